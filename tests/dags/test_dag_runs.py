"""`release_model` and `operate_stream`, run by Airflow; test_watch_services runs `keep_streams_running`."""

from pathlib import Path

import pytest

from tests.dags.airflow_process import in_airflow
from tests.dags.fake_api import APP, FakeApi, stored
from tests.kubeconfig import kubeconfig

pytestmark = pytest.mark.airflow

# Pods need a cluster: the replacement records the arguments, and returns the result of a pod.
RELEASE = """
from tweet_dags.pod_job import PodJob
import release_model

def recorded(self, context):
    assert self.pod == "model-jobs"
    commands.append(self.arguments[2:])
    return {"uri": "runs:/1/exported"} if self.task_id == "export" else None

PodJob.execute = recorded
commands = []
conf = {"model": "cardiffnlp/roberta", "data": "runs:/2/semeval", "why": "better with “irony”; rm -rf /"}
run = release_model.dag.test(run_conf=conf)
report([str(run.state), commands])
"""

SHADOW = (
    RELEASE.replace('"cardiffnlp/roberta"', '"models:/tweet-sentiment@shadow"')
    + """
del commands[:]
conf["model"], conf["shadow_first"] = "cardiffnlp/roberta", True
run = release_model.dag.test(run_conf=conf)
report([str(run.state), commands])
"""
)

OPERATE = """
import operate_stream
run = operate_stream.dag.test(run_conf={"stream": "gold", "action": "stop", "reason": "disk is full"})
report([str(run.state), states(run)])
"""


def test_a_release_passes_the_exported_model_from_task_to_task(airflow_home: Path) -> None:
    ((state, commands),) = in_airflow(airflow_home, RELEASE)
    assert state == "success"
    export, evaluate, release = commands
    assert export == [
        "export", "--model=cardiffnlp/roberta", "--data=runs:/2/semeval", "--precision=int8", "--out=/tmp/exported",
        "--json",
    ]  # fmt: skip
    assert evaluate == ["evaluate", "--model=runs:/1/exported", "--data=runs:/2/semeval", "--split=val", "--json"]
    assert release == [
        "release", "--model=runs:/1/exported", "--data=runs:/2/semeval", "--split=val",
        "--why=better with “irony”; rm -rf /", "--by=dag_test", "--no-shadow-first", "--json",
    ]  # fmt: skip


def test_a_version_is_shadowed_first_and_released_without_another_export(airflow_home: Path) -> None:
    (state, commands), (shadow_state, shadowed) = in_airflow(airflow_home, SHADOW)
    assert state == shadow_state == "success"
    assert [command[:2] for command in commands] == [
        ["evaluate", "--model=models:/tweet-sentiment@shadow"],
        ["release", "--model=models:/tweet-sentiment@shadow"],
    ]
    assert [command[0] for command in shadowed] == ["export", "evaluate", "release"]
    assert "--shadow-first" in shadowed[-1] and "--no-shadow-first" in commands[-1]


def test_a_person_stops_a_stream(api: FakeApi, airflow_home: Path, tmp_path: Path) -> None:
    ((state, _),) = in_airflow(airflow_home, OPERATE, KUBECONFIG=kubeconfig(tmp_path, api.url))
    assert state == "success" and stored(api, "hold")["reason"].startswith("disk is full")
    assert api.objects[APP]["spec"]["suspend"] is True
