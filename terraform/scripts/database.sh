#!/usr/bin/env bash
# Create users and databases for Airflow and MLflow on RDS, and the Secret with their URIs for the chart. Each run sets
# new passwords: restart Airflow and MLflow afterwards.
# Usage: terraform/scripts/database.sh terraform/examples/production
set -euo pipefail
example=${1:?pass the folder of an applied example, such as terraform/examples/minimal}

output() { terraform -chdir="$example" output -json | python3 -c 'import json, sys; v = json.load(sys.stdin)
for key in sys.argv[1].split("."): v = v[key]
print(v)' "$1"; }
host=$(output database.value.host)
port=$(output database.value.port)
username=$(output database.value.username)
secret=$(output database.value.secret_arn)
region=$(output region.value)
platform=$(output namespaces.value.platform)

master_password=$(aws secretsmanager get-secret-value --region "$region" --secret-id "$secret" --query SecretString --output text |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["password"])')
random() { python3 -c 'import secrets; print(secrets.token_hex(24))'; }
airflow=$(random)
mlflow=$(random)

# psql runs in the cluster because only the nodes can reach the database. The master password is passed on standard
# input: anyone who may read pods could read it in an argument or an environment variable.
{
  echo "$master_password"
  for user in airflow mlflow; do
    echo "SELECT 'CREATE ROLE $user' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$user') \\gexec"
    echo "ALTER ROLE $user LOGIN PASSWORD '${!user}';"
    # The RDS master user is not a superuser: it can create a database only for a role that it is a member of.
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
