"""`release_model`, `keep_streams_running` and `operate_stream`, run by Airflow itself."""

from pathlib import Path

import pytest

from tests.dags.api import APP, POD, Api, note
from tests.dags.runs import in_airflow, kubeconfig

pytestmark = pytest.mark.airflow

# Pods need a cluster: here a task notes what it would have asked, and answers as a pod would.
RELEASE = """
from tweet_dags.jobs import PodJob
import release_model

def noted(self, context):
    assert self.pod == "model-jobs"
    asked.append(self.arguments[2:])
    return {"uri": "runs:/1/exported"} if self.task_id == "exported" else None

PodJob.execute = noted
asked = []
conf = {"model": "cardiffnlp/roberta", "data": "runs:/2/semeval", "why": "better with “irony”; rm -rf /"}
run = release_model.dag.test(run_conf=conf)
told([str(run.state), asked])
"""

KEEP = """
import keep_streams_running
run = keep_streams_running.dag.test()
told([str(run.state), states(run)])
"""

OPERATE = """
import operate_stream
run = operate_stream.dag.test(run_conf={"stream": "gold", "action": "stop", "reason": "disk is full"})
told([str(run.state), states(run)])
"""


def test_a_release_hands_the_export_from_task_to_task(airflow_home: Path) -> None:
    ((state, asked),) = in_airflow(airflow_home, RELEASE)
    assert state == "success"
    export, evaluate, release = asked
    assert export == [
        "export", "--model=cardiffnlp/roberta", "--data=runs:/2/semeval", "--precision=int8", "--out=/tmp/exported",
        "--json",
    ]  # fmt: skip
    assert evaluate == ["evaluate", "--model=runs:/1/exported", "--data=runs:/2/semeval", "--split=val", "--json"]
    assert release == [
        "release", "--model=runs:/1/exported", "--data=runs:/2/semeval", "--split=val",
        "--why=better with “irony”; rm -rf /", "--by=dag_test", "--json",
    ]  # fmt: skip


def test_a_look_applies_what_is_missing(api: Api, airflow_home: Path, tmp_path: Path) -> None:
    del api.objects[APP], api.objects[POD]
    env = {"KUBECONFIG": kubeconfig(tmp_path, api.url), "TWEETS_STREAMS": "gold"}
    ((state, tasks),) = in_airflow(airflow_home, KEEP, **env)
    assert (state, tasks) == (
        "success", {"gold.applied": "success", "gold.advancing": "success", "gold.healed": "skipped"}
    )  # fmt: skip
    assert APP in api.objects


def test_a_person_stops_a_stream(api: Api, airflow_home: Path, tmp_path: Path) -> None:
    ((state, _),) = in_airflow(airflow_home, OPERATE, KUBECONFIG=kubeconfig(tmp_path, api.url))
    assert state == "success" and note(api, "hold")["reason"].startswith("disk is full")
    assert api.objects[APP]["spec"]["suspend"] is True
