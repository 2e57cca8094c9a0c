"""Liveness and startup probe of a process of Airflow: fails if Airflow reports the process as unhealthy.

    python -IS airflow_health.py scheduler|dag_processor|triggerer [--started]

It asks the API server in the same pod. `airflow jobs check` asks the database, but takes seconds of CPU time to import
Airflow. If the API server or the database does not respond, the process is not at fault, and the probe succeeds. With
--started, the probe succeeds only once the process has sent a heartbeat since the start of this container.
"""

import json
import os
import sys
import time
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

_TIMEOUT_SECONDS = 15.0


def why_unhealthy(health: dict[str, Any], component: str) -> str:
    """Return why `component` is unhealthy by Airflow's response; empty if it is healthy, or if nobody can tell."""
    if health.get("metadatabase", {}).get("status") != "healthy":
        return ""
    state = health.get(component) or {}
    if state.get("status") != "unhealthy":
        return ""
    return f"the last heartbeat of the {component} was at {state.get(f'latest_{component}_heartbeat')}"


def why_not_started(health: dict[str, Any], component: str, since: float) -> str:
    """Return why `component` has not started; empty if its last heartbeat is newer than `since`, a Unix time."""
    heartbeat = (health.get(component) or {}).get(f"latest_{component}_heartbeat")
    if heartbeat and datetime.fromisoformat(heartbeat).timestamp() > since:
        return ""
    return f"the {component} has sent no heartbeat yet"


def fetch_health(port: int) -> dict[str, Any]:
    """Return the response of Airflow's health endpoint; empty if the API server does not respond."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/api/v2/monitor/health")
        health = json.loads(connection.getresponse().read())
        return health if isinstance(health, dict) else {}
    except (OSError, HTTPException, ValueError):
        return {}
    finally:
        connection.close()


def container_start() -> float:
    """Return when the first process of this container started, as a Unix time."""
    # The fields after the name of the program, which may contain spaces, begin with field 3; field 22 is the start.
    fields = Path("/proc/1/stat").read_text().rpartition(")")[2].split()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - uptime + int(fields[22 - 3]) / os.sysconf("SC_CLK_TCK")


def main(component: str, *options: str, port: int = 8080) -> int:
    """Print why the probe fails, and return its exit code."""
    health = fetch_health(port)
    if "--started" in options:
        reason = why_not_started(health, component, container_start())
    else:
        reason = why_unhealthy(health, component)
    print(reason or "healthy")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
