"""Run DAGs in a separate Airflow process with its own database."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

DAGS = Path(__file__).parents[2] / "dags"


def in_airflow(home: Path, code: str, **env: str) -> list[Any]:
    """Run `code` in an Airflow process, where it may import the DAGs; return the values that it passed to `report`."""
    prelude = f"""
import json, sys
sys.path.insert(0, {str(DAGS)!r})
def report(value):
    print("REPORT" + json.dumps(value))
def states(run):
    return {{task.task_id: str(task.state) for task in run.get_task_instances()}}
"""
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    }
    process = subprocess.run(
        [sys.executable, "-c", prelude + code],
        env=os.environ | settings | env,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return [
        json.loads(line.removeprefix("REPORT")) for line in process.stdout.splitlines() if line.startswith("REPORT")
    ]
