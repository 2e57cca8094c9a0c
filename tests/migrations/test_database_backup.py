"""The scripts in the pods of backups and restore drills, on a real Postgres: as the chart renders them."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.migrations.postgres import Postgres, create_roles, role_uri, running_postgres

pytestmark = pytest.mark.airflow

RENDERED = Path(__file__).parents[1] / "chart" / "golden" / "backup.yaml"


class Scripts:
    """The containers that use Postgres; their folders are below `folder`."""

    def __init__(self, postgres: Postgres, folder: Path) -> None:
        self._folder = folder
        path = f"{postgres.programs}:{os.environ['PATH']}"
        self._env = {"PATH": path, "PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "PGUSER": "tweets"}
        cron_jobs = [
            found for found in yaml.safe_load_all(RENDERED.read_text()) if found and found["kind"] == "CronJob"
        ]
        pods = [found["spec"]["jobTemplate"]["spec"]["template"]["spec"] for found in cron_jobs]
        containers = [c for pod in pods for c in (*pod["containers"], *pod.get("initContainers", ()))]
        self._containers: dict[str, Any] = {container["name"]: container for container in containers}

    def run(self, container: str, **env: str) -> subprocess.CompletedProcess[str]:
        found = self._containers[container]
        given = {entry["name"]: entry["value"] for entry in found["env"] if not entry["name"].startswith("PG")}
        script = found["command"][-1]
        script = re.sub(r'(?<=[ ="])/(?=dumps|scratch|artifacts)', f"{self._folder}/", script)
        command = [*found["command"][:-1], script]
        return subprocess.run(command, env={**self._env, **given, **env}, capture_output=True, text=True, check=False)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


def test_databases_are_dumped_drilled_and_restored(postgres: Postgres, tmp_path: Path) -> None:
    create_roles(postgres, mlflow="a", airflow="b")
    engines = {name: create_engine(role_uri(postgres, name, name, "any")) for name in ("mlflow", "airflow")}

    def execute(name: str, statement: str) -> Any:
        with engines[name].begin() as connection:
            found = connection.execute(text(statement))
            rows = [tuple(row) for row in found] if found.returns_rows else []
        engines[name].dispose()
        return rows

    for name in engines:
        execute(name, "CREATE TABLE versions (name text)")
        execute(name, f"INSERT INTO versions VALUES ('{name} ☃')")
    for folder in ("dumps", "scratch/registry/artifacts", "artifacts"):
        (tmp_path / folder).mkdir(parents=True)
    scripts = Scripts(postgres, tmp_path)
    done = scripts.run("dump")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "dumps").iterdir()} == {"mlflow.dump", "airflow.dump"}
    (tmp_path / "dumps").rename(tmp_path / "scratch" / "registry" / "dumps")
    (tmp_path / "scratch" / "registry" / "artifacts" / "model.onnx").write_text("a model")

    for name in engines:
        execute(name, "INSERT INTO versions VALUES ('after the backup')")
    (tmp_path / "artifacts").rename(tmp_path / "not mounted")
    done = scripts.run("databases")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["restored drill_mlflow: 1 tables", "restored drill_airflow: 1 tables"]
    assert execute("mlflow", "SELECT count(*) FROM versions") == [(2,)]
    databases = execute("mlflow", "SELECT datname FROM pg_database WHERE datname LIKE 'drill%'")
    assert databases == []

    # A restore of the databases themselves is refused while a server uses one of them.
    with engines["mlflow"].connect():
        done = scripts.run("databases", PREFIX="")
    engines["mlflow"].dispose()
    assert done.returncode != 0 and "is being accessed by other users" in done.stderr
    assert execute("mlflow", "SELECT count(*) FROM versions") == [(2,)]
    (tmp_path / "not mounted").rename(tmp_path / "artifacts")
    done = scripts.run("databases", PREFIX="")
    assert done.returncode == 0, done.stderr
    for name in engines:
        assert execute(name, "SELECT name FROM versions") == [(f"{name} ☃",)]
        execute(name, "CREATE TABLE migrated (name text)")
    with pytest.raises(OperationalError, match="permission denied for database"):
        create_engine(role_uri(postgres, "mlflow", "airflow", "any")).connect()
    assert (tmp_path / "artifacts" / "model.onnx").read_text() == "a model"


def test_a_dump_that_fails_ends_the_backup(postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "dumps").mkdir()
    done = Scripts(postgres, tmp_path).run("dump")
    assert done.returncode != 0 and 'database "mlflow" does not exist' in done.stderr
