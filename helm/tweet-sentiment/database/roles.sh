#!/usr/bin/env bash
# Create the databases of Airflow and MLflow, and for each a role that owns it. Each start of the pod runs this script, so
# it also gives the databases of a volume that an earlier version of the chart has created to their roles.
# Passwords come from the environment: arguments of a process are visible to other processes.
set -euo pipefail
export PGHOST=127.0.0.1 PGUSER=$POSTGRES_USER PGPASSWORD=$POSTGRES_PASSWORD PGDATABASE=postgres
cd "$(dirname "$0")"

until pg_isready --quiet; do sleep 1; done
for name in airflow mlflow; do
  password="${name^^}_PASSWORD"
  export NAME=$name ROLE_PASSWORD=${!password:-}
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file=database.sql
  if [[ -n $ROLE_PASSWORD ]]; then
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file=role.sql
    echo "the database $name belongs to the role $name"
  else
    echo "the Secret of postgres.existingSecret has no $name-password: $name uses the role of its URI" >&2
  fi
done
