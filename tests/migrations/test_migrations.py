"""The migrations of MLflow and Airflow on a real Postgres: one at a time, at any instant of a kill or an outage."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.migrations.postgres import Postgres, running_postgres
from tests.waiting import until

pytestmark = pytest.mark.airflow

SCRIPTS = Path(__file__).parents[2] / "docker" / "migrate"
TABLES = {"mlflow": "registered_models", "airflow": "dag_run"}
MLFLOW_USERS = ("admin", "reader", "quality", "writer")
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"


class Migration:
    """A migration of the database `uri` in a process of its own."""

    def __init__(self, program: str, uri: str, home: Path, password: str = "first") -> None:
        env = {
            "PYTHONPATH": str(SCRIPTS.parent),
            "MLFLOW_BACKEND_STORE_URI": uri,
            "LOGIN_CONFIG": str(home / "login.ini"),
            **{f"{user.upper()}_PASSWORD": f"{password}-of-{user}" for user in MLFLOW_USERS},
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri,
            "AIRFLOW__CORE__AUTH_MANAGER": FAB,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_HOME": str(home),
            "ADMIN": "admin",
            "PASSWORD": password,
        }
        command = [sys.executable, str(SCRIPTS / f"migrate_{program}.py")]
        self.process = subprocess.Popen(
            command, env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    def has_logged(self, text: str) -> bool:
        assert self.process.poll() is None or text in self.output, self.output[-3000:]
        return text in self.output

    def wait(self) -> int:
        code = self.process.wait(timeout=240)
        self._reader.join()
        return code

    def succeed(self) -> None:
        assert self.wait() == 0, self.output[-3000:]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


def tables(uri: str) -> set[str]:
    engine = create_engine(uri)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def query(uri: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(uri, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def migrated(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the URIs of databases that two migrations have created at once, by program."""
    uris = {program: postgres.create_database(program) for program in TABLES}
    for program, uri in uris.items():
        migrations = [Migration(program, uri, tmp_path_factory.mktemp("home")) for _ in range(2)]
        for migration in migrations:
            migration.succeed()
    return uris


def test_two_migrations_of_a_new_database_run_one_after_the_other(migrated: dict[str, str]) -> None:
    for program, uri in migrated.items():
        assert TABLES[program] in tables(uri)
    assert query(migrated["airflow"], "SELECT username FROM ab_user") == [("admin",)]


def test_a_migration_waits_for_the_lock_of_another_and_runs_when_that_is_killed(
    postgres: Postgres, tmp_path: Path
) -> None:
    """Airflow's own lock gives up after two seconds, and MLflow has none."""
    uri = postgres.create_database("locked")
    code = (
        f"import sys, time; sys.path.insert(0, {str(SCRIPTS)!r}); from database_lock import migrating\n"
        f"with migrating({uri!r}):\n    print('locked', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        migration = Migration("mlflow", uri, tmp_path)
        until(lambda: migration.has_logged("another process migrates the database"), 120, "the wait for the lock")
        time.sleep(3)
        assert migration.process.poll() is None and not tables(uri)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    migration.succeed()
    assert TABLES["mlflow"] in tables(uri)


@pytest.mark.parametrize("program", TABLES)
def test_a_killed_migration_is_continued_by_the_next(
    program: str, postgres: Postgres, migrated: dict[str, str], tmp_path: Path
) -> None:
    uri = postgres.create_database(f"killed_{program}")
    migration = Migration(program, uri, tmp_path)
    until(lambda: _is_migrating(uri), 120, "an open transaction with new tables", 0.01)
    migration.process.send_signal(signal.SIGKILL)
    migration.wait()
    Migration(program, uri, tmp_path).succeed()
    assert tables(uri) == tables(migrated[program])


def _is_migrating(uri: str) -> bool:
    """Tell whether a session has an open transaction that has created tables."""
    statement = (
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.mode = 'AccessExclusiveLock' "
        "AND a.datname = current_database()"
    )
    return query(uri, statement) != [(0,)]


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("program", TABLES)
def test_a_database_of_a_newer_version_is_refused_with_the_remedy(
    program: str, postgres: Postgres, tmp_path: Path
) -> None:
    """This happens after a rollback to an image with an older schema."""
    uri = postgres.create_database(f"newer_{program}", template=program)
    query(uri, "UPDATE alembic_version SET version_num = 'from_the_future'")
    before = tables(uri)
    migration = Migration(program, uri, tmp_path)
    assert migration.wait() == 1
    last = migration.output.strip().splitlines()[-1]
    assert last.startswith("error: a newer version has migrated the database")
    assert "from_the_future" in last and "restore a backup" in last
    assert tables(uri) == before


def test_a_migration_waits_for_the_server_and_its_connections_end_with_their_node(tmp_path: Path) -> None:
    with running_postgres() as server:
        uri = server.create_database("late")
        server.stop()
        migration = Migration("mlflow", uri, tmp_path)
        until(lambda: migration.has_logged("waiting for the database"), 120, "the wait for the server")
        assert "a-secret" not in migration.output
        server.start()
        migration.succeed()
        code = (
            f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import database_lock, sqlalchemy as s\n"
            f"print(s.create_engine({uri!r}).connect().scalar(s.text('SHOW tcp_keepalives_idle')))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "30\n"


@pytest.mark.usefixtures("migrated")
def test_a_changed_password_of_the_administrator_takes_effect(postgres: Postgres, tmp_path: Path) -> None:
    from werkzeug.security import check_password_hash

    uri = postgres.create_database("password", template="airflow")

    def stored() -> str:
        ((password,),) = query(uri, "SELECT password FROM ab_user WHERE username = 'admin'")
        return str(password)

    before = stored()
    assert check_password_hash(before, "first")
    Migration("airflow", uri, tmp_path, "first").succeed()
    assert stored() == before  # an unchanged password ends no session of the user
    Migration("airflow", uri, tmp_path, "second").succeed()
    assert check_password_hash(stored(), "second")
    assert query(uri, "SELECT r.name FROM ab_role r JOIN ab_user_role u ON r.id = u.role_id") == [("Admin",)]


@pytest.mark.usefixtures("migrated")
def test_the_users_of_mlflow_are_created_beside_its_tables_and_get_changed_passwords(
    postgres: Postgres, tmp_path: Path
) -> None:
    from werkzeug.security import check_password_hash

    uri = postgres.create_database("users", template="mlflow")

    def accepted(password: str) -> dict[str, bool]:
        rows = query(uri, "SELECT username, password_hash FROM users")
        return {str(user): check_password_hash(str(stored), f"{password}-of-{user}") for user, stored in rows}

    def grants() -> set[tuple[object, ...]]:
        statement = (
            "SELECT u.username, p.resource_type, p.permission FROM users u JOIN user_role_assignments a "
            "ON u.id = a.user_id JOIN role_permissions p ON p.role_id = a.role_id WHERE p.resource_pattern = '*'"
        )
        return set(query(uri, statement))

    assert accepted("first") == dict.fromkeys(MLFLOW_USERS, True)
    assert query(uri, "SELECT username FROM users WHERE is_admin") == [("admin",)]
    before = grants()
    assert ("reader", "registered_model", "READ") in before and ("writer", "registered_model", "MANAGE") in before
    assert query(uri, "SELECT name FROM registered_models") == [("tweet-sentiment",)]
    query(uri, "UPDATE role_permissions SET permission = 'MANAGE'")
    migration = Migration("mlflow", uri, tmp_path, "second")
    migration.succeed()
    assert accepted("second") == dict.fromkeys(MLFLOW_USERS, True) and grants() == before
    assert "second-of" not in migration.output and "a-secret" not in migration.output
    config = tmp_path / "login.ini"
    assert uri in config.read_text() and config.stat().st_mode & 0o077 == 0


def test_a_password_that_mlflow_refuses_is_named_by_its_key(postgres: Postgres, tmp_path: Path) -> None:
    migration = Migration("mlflow", postgres.create_database("short"), tmp_path, "")
    assert migration.wait() == 1
    last = migration.output.strip().splitlines()[-1]
    assert last.startswith("error: admin-password of the Secret of mlflow.existingSecret: "), migration.output[-2000:]
    assert "12 characters" in last
