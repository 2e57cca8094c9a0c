"""A Postgres server of this machine for one test, without a network port that others use."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.process import free_port

_ROLES = Path(__file__).parents[2] / "helm" / "tweet-sentiment" / "database" / "roles.sh"
_PROGRAMS = ("initdb", "pg_ctl", "createdb")


def find_programs() -> Path | None:
    """Return the folder with Postgres's programs; Debian does not put it on the PATH."""
    found = shutil.which("pg_ctl")
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *([Path(found).resolve().parent] if found else [])]
    complete = [folder for folder in folders if all((folder / name).exists() for name in _PROGRAMS)]
    return complete[0] if complete else None


@dataclass(frozen=True)
class Postgres:
    """A Postgres server with its data in `folder`."""

    programs: Path
    folder: Path
    port: int

    @classmethod
    def create(cls, folder: Path) -> "Postgres":
        """Create the data folder; skip the test if this machine has no Postgres."""
        programs = find_programs()
        if programs is None:
            pytest.skip("Postgres is not installed: on Debian, apt install postgresql")
        if os.geteuid() == 0:
            # Postgres refuses to run as root.
            shutil.chown(folder, "nobody")
        server = cls(programs, folder, free_port())
        server._run("initdb", "-D", "data", "-U", "tweets", "--auth=trust", "-E", "UTF8", "--no-sync")
        return server

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -k {self.folder}"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-o", options, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database as a copy of `template`, by default an empty one; return its URI, with a password."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tweets", "-T", template, name)
        return f"postgresql+psycopg2://tweets:a-secret@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        user = "nobody" if os.geteuid() == 0 else None
        # A server that inherited the pipes of the output would keep them open.
        with (self.folder.parent / "postgres.log").open("a") as log:
            command = [str(self.programs / program), *arguments]
            subprocess.run(command, cwd=self.folder, user=user, stdout=log, stderr=log, check=True)


@contextmanager
def running_postgres(host_rule: str = "") -> Iterator[Postgres]:
    """Run a server until the end of the context; `host_rule` is a line before all others of its pg_hba.conf."""
    # Not in a folder of pytest: Postgres runs as another user, which cannot enter it.
    folder = Path(tempfile.mkdtemp(prefix="tweets-postgres-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        server = Postgres.create(folder)
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text(f"{host_rule}\n{rules.read_text()}")
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def create_roles(postgres: Postgres, **passwords: str) -> str:
    """Run the script of the chart that creates roles and databases, as the pod of Postgres does; return its output."""
    env = {
        "PATH": f"{postgres.programs}:{os.environ['PATH']}",
        "PGPORT": str(postgres.port),
        "POSTGRES_USER": "tweets",
        "POSTGRES_PASSWORD": "superuser",
        **{f"{name.upper()}_PASSWORD": password for name, password in passwords.items()},
    }
    done = subprocess.run(["bash", _ROLES], env=env, text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def role_uri(postgres: Postgres, role: str, database: str, password: str) -> str:
    """Return the URI of a database for a role."""
    return f"postgresql+psycopg2://{role}:{password}@127.0.0.1:{postgres.port}/{database}"
