"""The script of the chart that gives Airflow and MLflow a role and a database each, on a real Postgres."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tests.migrations.postgres import Postgres, create_roles, role_uri, running_postgres
from tests.migrations.test_migrations import TABLES, Migration, query, tables

pytestmark = pytest.mark.airflow

# Objects of every kind that the script must give to the role, beside those of the migrations.
OBJECTS = [
    "CREATE TYPE mood AS ENUM ('good')",
    "CREATE TABLE plain (id serial PRIMARY KEY, identity bigint GENERATED ALWAYS AS IDENTITY, mood mood)",
    "CREATE TABLE parted (day date) PARTITION BY RANGE (day)",
    "CREATE SEQUENCE alone",
    "CREATE VIEW seen AS SELECT id FROM plain",
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "INSERT INTO plain (mood) VALUES ('good')",
]
OWNERS = (
    "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace "
    "UNION SELECT pg_get_userbyid(typowner) FROM pg_type WHERE typnamespace = 'public'::regnamespace "
    "UNION SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A server that asks the roles, but not the superuser, for a password."""
    with running_postgres("host all airflow,mlflow 127.0.0.1/32 scram-sha-256") as server:
        yield server


@pytest.mark.parametrize("program", TABLES)
def test_a_database_of_an_earlier_chart_belongs_to_its_role_after_an_upgrade(
    postgres: Postgres, program: str, tmp_path: Path
) -> None:
    """Its tables belong to the superuser. The role continues with them, and migrates them."""
    old = postgres.create_database(program)
    Migration(program, old, tmp_path).succeed()
    for statement in OBJECTS:
        query(old, statement)
    passwords = {"airflow": "a'1", "mlflow": "m$2"}
    for _ in range(2):  # each start of the pod runs the script
        create_roles(postgres, **passwords)
    assert query(old, OWNERS) == [(program,)]
    new = role_uri(postgres, program, program, passwords[program].replace("'", "%27"))
    assert query(new, "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user") == [
        (False, False, False)
    ]
    Migration(program, new, tmp_path).succeed()
    assert TABLES[program] in tables(new)
    query(new, "INSERT INTO plain DEFAULT VALUES")
    assert query(old, "SELECT count(*) FROM plain") == [(2,)]


def test_a_role_reaches_no_other_database_and_needs_its_password(postgres: Postgres) -> None:
    create_roles(postgres, airflow="first", mlflow="second")
    for role, database, password in (
        ("mlflow", "airflow", "second"),
        ("airflow", "mlflow", "first"),
        ("mlflow", "postgres", "second"),
        ("mlflow", "mlflow", "first"),
    ):
        with pytest.raises(OperationalError, match=r"permission denied for database|password authentication failed"):
            query(role_uri(postgres, role, database, password), "SELECT 1")
    create_roles(postgres, airflow="first", mlflow="changed")
    assert query(role_uri(postgres, "mlflow", "mlflow", "changed"), "SELECT current_user") == [("mlflow",)]
    log = (postgres.folder / "log").read_text() + (postgres.folder.parent / "postgres.log").read_text()
    assert "first" not in log and "second" not in log


def test_an_existing_secret_without_passwords_of_the_roles_keeps_its_user(postgres: Postgres) -> None:
    """Secrets that were made for an earlier version of the chart have URIs with the superuser."""
    output = create_roles(postgres)
    assert "has no airflow-password" in output and "has no mlflow-password" in output
    for name in TABLES:
        assert query(role_uri(postgres, "tweets", name, "any"), "SELECT 1") == [(1,)]
    assert query(role_uri(postgres, "tweets", "postgres", "any"), "SELECT rolname FROM pg_roles WHERE rolcanlogin") == [
        ("tweets",)
    ]
