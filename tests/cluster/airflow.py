"""Airflow on the cluster, as a person has it who clicks in its UI: through its API, from within its pod."""

import json
from dataclasses import dataclass
from typing import Any

from tests.cluster.product import Product
from tests.waiting import until

_CALL = """
import json, sys, urllib.error, urllib.request as r
given = json.load(sys.stdin)
def call(path, body, **headers):
    data = None if body is None else json.dumps(body).encode()
    asked = r.Request("http://localhost:8080" + path, data, {"Content-Type": "application/json", **headers})
    try:
        return json.load(r.urlopen(asked, timeout=30))
    except urllib.error.HTTPError as error:
        sys.exit(f"{path}: {error} {error.read().decode()}")
token = call("/auth/token", given["login"])["access_token"]
print(json.dumps(call(given["path"], given["body"], Authorization=f"Bearer {token}")))
"""


@dataclass(frozen=True)
class Airflow:
    """The Airflow of an installation."""

    product: Product

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask its API, as the user that the chart has made."""
        import base64

        secret = self.product.get("secret", "airflow", platform=True)["data"]["admin-password"]
        login = {"username": "admin", "password": base64.b64decode(secret).decode()}
        given = json.dumps({"login": login, "path": path, "body": body})
        command = ["exec", "-i", "airflow-0", "-c", "scheduler", "--", "python", "-c", _CALL]
        return json.loads(self.product.kubectl(*command, platform=True, stdin=given))

    def answers(self) -> bool:
        """Tell whether it is there, and its scheduler works."""
        try:
            return bool(self.ask("/api/v2/monitor/health")["scheduler"]["status"] == "healthy")
        except AssertionError:  # no pod, or nothing that listens in it
            return False

    def trigger(self, dag: str, **conf: str) -> str:
        """Start a run; return its id."""
        found = self.ask(f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
        return str(found["dag_run_id"])

    def operate(self, stream: str, action: str, reason: str) -> str:
        """Stop or start a stream, as a person does."""
        return self.trigger("operate_stream", stream=stream, action=action, reason=reason)

    def state(self, dag: str, run: str) -> str:
        return str(self.ask(f"/api/v2/dags/{dag}/dagRuns/{run}")["state"])

    def tasks(self, dag: str, run: str) -> dict[str, str]:
        """Return the state of each task."""
        found = self.ask(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: str(task["state"]) for task in found}

    def tries(self, dag: str, run: str, task: str) -> int:
        return int(self.ask(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}")["try_number"])

    def log(self, dag: str, run: str, task: str) -> str:
        """Return the log of the last try of a task."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}"
        found = self.ask(f"{path}/logs/{self.ask(path)['try_number']}")["content"]
        return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in found)

    def has_seen(self, words: str) -> bool:
        """Tell whether `keep_streams_running` has logged what matches."""
        logs = "/logs/dag_id=keep_streams_running"
        command = ["exec", "airflow-0", "-c", "scheduler", "--", "grep", "-rlE", "--", words, logs]
        return self.product.kubectl(*command, platform=True, check=False).startswith(logs)

    def finish(self, dag: str, run: str, seconds: float) -> str:
        """Wait until a run has ended; return its state."""
        until(lambda: self.state(dag, run) in {"success", "failed"}, seconds, f"the end of {dag}", self.pause)
        return self.state(dag, run)

    pause = 5.0
