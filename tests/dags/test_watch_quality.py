"""`watch_quality`, run by Airflow itself over a database of its own: what each way of triggering it asks the pods."""

from pathlib import Path
from typing import Any

import pytest

from tests.dags.runs import in_airflow

pytestmark = pytest.mark.airflow

# Pods need a cluster: here a task notes what it would have asked, and is refused where the test says so.
RUN = """
from airflow.sdk.exceptions import AirflowFailException
from tweet_dags.jobs import PodJob
import watch_quality

def noted(self, context):
    assert self.pod == "quality"
    asked.append(self.arguments)
    if refused and self.task_id == "measured":
        raise AirflowFailException("found label drift in en")

PodJob.execute = noted
for conf, refused in (({}, False), ({}, True), ({"acknowledge": "so it is"}, False)):
    asked = []
    run = watch_quality.dag.test(run_conf=conf)
    told([str(run.state), states(run), asked])
"""


def test_it_measures_and_acknowledges_where_a_person_gives_a_reason(airflow_home: Path) -> None:
    scheduled, refused, triggered = in_airflow(airflow_home, RUN)
    check = ["tweet-sentiment", "quality", "check"]
    acknowledge = ["tweet-sentiment", "quality", "acknowledge", "--why=so it is", "--by=dag_test"]
    assert scheduled == ["success", states("success", "skipped", "success"), [check]]
    assert triggered == ["success", states("success", "success", "success"), [acknowledge, check]]
    assert refused == ["failed", states("success", "skipped", "failed"), [check]]


def states(asked: str, acknowledged: str, measured: str) -> dict[str, Any]:
    return {"asked": asked, "acknowledged": acknowledged, "measured": measured}
