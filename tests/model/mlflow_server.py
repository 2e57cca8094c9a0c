"""An MLflow server with the login of the chart, on SQLite."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.process import free_port, run_command
from tests.waiting import answers, until

ROOT = Path(__file__).parents[2]
USERS = ("admin", "reader", "quality", "writer")
# The steps of docker/migrate/migrate_mlflow.py without the lock, which needs Postgres.
_PREPARE = """
import json, sys
from pathlib import Path
from mlflow_login import create_model, create_users, write_config
uri, config, passwords = sys.argv[1:]
create_users(uri, json.loads(passwords))
create_model(uri)
write_config(Path(config), uri)
"""


def password(user: str) -> str:
    """Return the password of a user of the server, unless it was started with another one."""
    return f"{user}-has-a-password"


@contextmanager
def mlflow_server(home: Path, passwords: dict[str, str] | None = None) -> Iterator[str]:
    """Start a server with its database and artifacts in `home`; yield its URL, and kill the server in the end.

    `passwords` replaces passwords of users.
    """
    config = home / "auth.ini"
    uri = f"sqlite:///{home / 'mlflow.db'}"
    env = os.environ | {
        "PYTHONPATH": f"{ROOT / 'docker'}:{ROOT}",
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-secret-key",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    given = {user: password(user) for user in USERS} | (passwords or {})
    done = run_command([sys.executable, "-c", _PREPARE, uri, str(config), json.dumps(given)], env)
    assert done.returncode == 0, done.stderr
    port = free_port()
    env["MLFLOW_AUTH_CONFIG_PATH"] = str(config)
    command = [sys.executable, "-m", "mlflow", "server", "--app-name=basic-auth", "--host=127.0.0.1", f"--port={port}"]
    command += ["--workers=1", "--serve-artifacts", f"--artifacts-destination={home / 'artifacts'}"]
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=env, start_new_session=True, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def is_healthy() -> bool:
        assert process.poll() is None, (home / "server.log").read_text()
        return answers(f"{url}/health")

    try:
        until(is_healthy, 300, "a healthy MLflow server", every=0.3)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
