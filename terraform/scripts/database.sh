#!/usr/bin/env bash
# Users and databases of Airflow and MLflow on RDS, and the Secret by which the chart knows them. Run again, it gives both
# users new passwords: restart Airflow and MLflow afterwards.
# Usage: terraform/scripts/database.sh terraform/examples/production
set -euo pipefail
example=${1:?name the folder of an applied example}

output() { terraform -chdir="$example" output -json | python3 -c 'import json, sys; v = json.load(sys.stdin)
for key in sys.argv[1].split("."): v = v[key]
print(v)' "$1"; }
host=$(output database.value.host)
port=$(output database.value.port)
username=$(output database.value.username)
secret=$(output database.value.secret_arn)
region=$(output region.value)
platform=$(output namespaces.value.platform)

first=$(aws secretsmanager get-secret-value --region "$region" --secret-id "$secret" --query SecretString --output text |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["password"])')
random() { python3 -c 'import secrets; print(secrets.token_hex(24))'; }
airflow=$(random)
mlflow=$(random)

# In the cluster, since nothing else reaches the database. The password goes in on standard input: an argument or a
# variable of the pod could be read by whoever may look at pods.
{
  echo "$first"
  for user in airflow mlflow; do
    echo "SELECT 'CREATE ROLE $user' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$user') \\gexec"
    echo "ALTER ROLE $user LOGIN PASSWORD '${!user}';"
    # RDS' first user is no superuser: it may give a database only to a role that it belongs to.
    echo "GRANT $user TO CURRENT_USER;"
    echo "SELECT 'CREATE DATABASE $user OWNER $user' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '$user') \\gexec"
    echo "REVOKE CONNECT ON DATABASE $user FROM PUBLIC;"
  done
} | kubectl run "database-$RANDOM" --namespace default --rm --stdin --quiet --restart=Never --image=docker.io/library/postgres:17 \
  --command -- sh -c 'read -r PGPASSWORD; export PGPASSWORD; exec psql -v ON_ERROR_STOP=1 -q "$0"' \
  "host=$host port=$port user=$username dbname=postgres sslmode=require"

uri() { echo "postgresql+psycopg2://$1:${!1}@$host:$port/$1?sslmode=require"; }
kubectl create namespace "$platform" --dry-run=client -o yaml | kubectl apply -f -
kubectl apply -f - <<YAML
apiVersion: v1
kind: Secret
metadata: {name: database, namespace: $platform}
stringData:
  password: "$airflow"
  airflow-uri: "$(uri airflow)"
  mlflow-uri: "$(uri mlflow)"
YAML
