"""`watch_quality`, run by Airflow itself over a database of its own: what each way of triggering it asks the pods."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[2] / "dags"
# Pods need a cluster: here a task notes what it would have asked, and is refused where the test says so.
RUN = f"""
import json, sys
from airflow.utils.db import initdb
initdb()
sys.path.insert(0, {str(DAGS)!r})
from airflow.sdk.exceptions import AirflowFailException
from tweet_dags.jobs import PodJob
import watch_quality

def noted(self, context):
    assert self.pod == "quality"
    asked.append(self.arguments)
    if refused and self.task_id == "measured":
        raise AirflowFailException("found label drift in en")

PodJob.execute = noted
for conf, refused in (({{}}, False), ({{}}, True), ({{"acknowledge": "so it is"}}, False)):
    asked = []
    run = watch_quality.dag.test(run_conf=conf)
    states = {{task.task_id: str(task.state) for task in run.get_task_instances()}}
    print("RESULT" + json.dumps([str(run.state), states, asked]))
"""


def test_it_measures_and_acknowledges_where_a_person_gives_a_reason(tmp_path: Path) -> None:
    env = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.removeprefix("RESULT") for line in done.stdout.splitlines() if line.startswith("RESULT")]
    scheduled, refused, triggered = [json.loads(line) for line in lines]
    check = ["tweet-sentiment", "quality", "check"]
    acknowledge = ["tweet-sentiment", "quality", "acknowledge", "--why=so it is", "--by=dag_test"]
    assert scheduled == ["success", states("success", "skipped", "success"), [check]]
    assert triggered == ["success", states("success", "success", "success"), [acknowledge, check]]
    assert refused == ["failed", states("success", "skipped", "failed"), [check]]


def states(asked: str, acknowledged: str, measured: str) -> dict[str, Any]:
    return {"asked": asked, "acknowledged": acknowledged, "measured": measured}
