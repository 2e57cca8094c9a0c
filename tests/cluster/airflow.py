"""Airflow on the cluster, used as a person uses its UI: through its REST API, called from within its pod."""

import json
from dataclasses import dataclass
from typing import Any

from tests.cluster.installation import Installation
from tests.waiting import until

_CALL_API = """
import json, sys, urllib.error, urllib.request as r
request = json.load(sys.stdin)
def call(path, body, **headers):
    data = None if body is None else json.dumps(body).encode()
    http = r.Request("http://localhost:8080" + path, data, {"Content-Type": "application/json", **headers})
    try:
        return json.load(r.urlopen(http, timeout=30))
    except urllib.error.HTTPError as error:
        sys.exit(f"{path}: {error} {error.read().decode()}")
token = call("/auth/token", request["login"])["access_token"]
print(json.dumps(call(request["path"], request["body"], Authorization=f"Bearer {token}")))
"""
_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Airflow:
    """The Airflow of an installation."""

    installation: Installation

    def call_api(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the REST API as the user that the chart has created: GET, or POST with a body."""
        login = {"username": "admin", "password": self.installation.password("airflow", "admin-password")}
        request = json.dumps({"login": login, "path": path, "body": body})
        command = ["exec", "-i", "airflow-0", "-c", "scheduler", "--", "python", "-c", _CALL_API]
        output = ""
        # On a busy node, `kubectl exec` may lose the output of a command that succeeds. A POST is not repeated.
        for _ in range(1 if body else 3):
            output = output or self.installation.kubectl(*command, platform=True, stdin=request)
        return json.loads(output)

    def is_healthy(self) -> bool:
        """Tell whether Airflow answers, and its scheduler and triggerer work."""
        try:
            health = self.call_api("/api/v2/monitor/health")
            return all(health[service]["status"] == "healthy" for service in ("scheduler", "triggerer"))
        except AssertionError:  # the pod does not exist, or its API server does not listen yet
            return False

    def trigger(self, dag: str, **conf: Any) -> str:
        """Trigger a DAG; return the id of the run."""
        run = self.call_api(f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def operate_stream(self, stream: str, action: str, reason: str) -> str:
        """Trigger `operate_stream`; return the id of the run."""
        return self.trigger("operate_stream", stream=stream, action=action, reason=reason)

    def run_state(self, dag: str, run: str) -> str:
        return str(self.call_api(f"/api/v2/dags/{dag}/dagRuns/{run}")["state"])

    def task_states(self, dag: str, run: str) -> dict[str, str]:
        """Return the state of each task of a run."""
        tasks = self.call_api(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: str(task["state"]) for task in tasks}

    def try_number(self, dag: str, run: str, task: str) -> int:
        return int(self.call_api(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}")["try_number"])

    def task_log(self, dag: str, run: str, task: str) -> str:
        """Return the log of the last try of a task."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}"
        content = self.call_api(f"{path}/logs/{self.call_api(path)['try_number']}")["content"]
        return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in content)

    def has_logged(self, pattern: str) -> bool:
        """Tell whether a task of `keep_streams_running` has logged a line that matches the extended regex."""
        logs = "/logs/dag_id=keep_streams_running"
        command = ["exec", "airflow-0", "-c", "scheduler", "--", "grep", "-rlE", "--", pattern, logs]
        return self.installation.kubectl(*command, platform=True, check=False).startswith(logs)

    def wait_for_log(self, pattern: str, seconds: float) -> None:
        """Wait until `keep_streams_running` has logged a line that matches."""
        until(lambda: self.has_logged(pattern), seconds, f"a log line that matches {pattern!r}", every=2)

    def wait_for_run(self, dag: str, run: str, seconds: float) -> str:
        """Wait until a run has ended; return its state."""
        ended = {"success", "failed"}
        until(lambda: self.run_state(dag, run) in ended, seconds, f"the end of the run {run} of {dag}", _POLL_SECONDS)
        return self.run_state(dag, run)

    def scale(self, replicas: int) -> None:
        """Set the number of Airflow's pods, and wait until 0 or 1 of them is there."""
        kubectl = self.installation.kubectl
        kubectl("scale", "statefulset/airflow", f"--replicas={replicas}", platform=True)
        if replicas:
            kubectl("rollout", "status", "statefulset/airflow", "--timeout=300s", platform=True)
        else:
            kubectl("wait", "pod/airflow-0", "--for=delete", "--timeout=120s", platform=True)
