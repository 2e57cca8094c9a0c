"""Runs of the DAGs by Airflow itself, over a database of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

DAGS = Path(__file__).parents[2] / "dags"


def in_airflow(home: Path, code: str, **env: str) -> list[Any]:
    """Run `code`, which may import the DAGs and `told`, in a process of Airflow's; return what it gave to `told`."""
    begin = f"""
import json, sys
sys.path.insert(0, {str(DAGS)!r})
def told(found):
    print("TOLD" + json.dumps(found))
def states(run):
    return {{task.task_id: str(task.state) for task in run.get_task_instances()}}
"""
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    }
    done = subprocess.run(
        [sys.executable, "-c", begin + code],
        env=os.environ | settings | env,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line.removeprefix("TOLD")) for line in done.stdout.splitlines() if line.startswith("TOLD")]


def kubeconfig(folder: Path, url: str) -> str:
    """Write the file by which kubectl and the DAGs find the API server at `url`; return its path."""
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {}}],
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(found))
    return str(file)
