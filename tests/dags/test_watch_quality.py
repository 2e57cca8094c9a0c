"""`watch_quality`, run by Airflow: the commands of the pods, scheduled and triggered with a reason."""

from pathlib import Path
from typing import Any

import pytest

from tests.dags.airflow_process import in_airflow

pytestmark = pytest.mark.airflow

# Pods need a cluster: the replacement records the arguments, and fails if the test asks for it.
RUN = """
from airflow.sdk.exceptions import AirflowFailException
from tweet_dags.pod_job import PodJob
import watch_quality

def recorded(self, context):
    assert self.pod == "quality"
    commands.append(self.arguments)
    if refused and self.task_id == "measure":
        raise AirflowFailException("found label drift in en")

PodJob.execute = recorded
for conf, refused in (({}, False), ({}, True), ({"acknowledge": "so it is"}, False)):
    commands = []
    run = watch_quality.dag.test(run_conf=conf)
    report([str(run.state), states(run), commands])
"""


def test_it_measures_and_acknowledges_if_a_person_gives_a_reason(airflow_home: Path) -> None:
    scheduled, refused, triggered = in_airflow(airflow_home, RUN)
    check = ["tweet-sentiment", "quality", "check"]
    acknowledge = ["tweet-sentiment", "quality", "acknowledge", "--why=so it is", "--by=dag_test"]
    assert scheduled == ["success", states("success", "skipped", "success"), [check]]
    assert triggered == ["success", states("success", "success", "success"), [acknowledge, check]]
    assert refused == ["failed", states("success", "skipped", "failed"), [check]]


def states(requested: str, acknowledge: str, measure: str) -> dict[str, Any]:
    return {"acknowledgement_requested": requested, "acknowledge": acknowledge, "measure": measure}
