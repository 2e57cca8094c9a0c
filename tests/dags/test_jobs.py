"""A task that is one pod: what it returns, and which ends of the pod are tried again. Real pods: tests/cluster."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml

from tests.dags.api import Api, serving

pytestmark = pytest.mark.airflow


class Operator:
    """In the place of the provider's: says the lines of `log`, and ends with `exit_code`."""

    log: tuple[str, ...] = ()
    exit_code: int = 0
    made: ClassVar[list["Operator"]] = []

    def __init__(self, **options: Any) -> None:
        self.options, self.killed = options, False
        ended = SimpleNamespace(name="job", state=SimpleNamespace(terminated=SimpleNamespace(exit_code=self.exit_code)))
        self.remote_pod = SimpleNamespace(status=SimpleNamespace(container_statuses=[ended]))
        self.made.append(self)

    def execute_sync(self, _: Any) -> None:
        for line in self.log:
            self.options["callbacks"][0].progress_callback(line=line, pod=None, mode="sync")
        if self.exit_code:
            raise RuntimeError("the pod returned a failure")

    def on_kill(self) -> None:
        self.killed = True


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("TWEETS_STREAMS_NAMESPACE", "tweets")
    from airflow.providers.cncf.kubernetes.operators import pod
    from airflow.sdk import DAG
    from kubernetes import client

    from tweet_dags.cluster import Cluster
    from tweet_dags.jobs import PodJob

    monkeypatch.setattr(pod, "KubernetesPodOperator", Operator)
    monkeypatch.setattr(Operator, "made", [])
    api = Api()
    template = {"metadata": {"namespace": "platform"}, "spec": {"serviceAccountName": "model-jobs"}}
    api.put(
        "/api/v1/namespaces/tweets/configmaps/job-pods",
        {"metadata": {"name": "job-pods"}, "data": {"model-jobs.yaml": yaml.safe_dump(template)}},
    )
    with serving(api):
        reached = client.ApiClient(client.Configuration(host=api.url))
        cluster = Cluster("tweets", client.CoreV1Api(reached), client.CustomObjectsApi(reached))
        monkeypatch.setattr(Cluster, "connect", lambda _: cluster)
        with DAG("release_model"):
            yield lambda name="model-jobs": PodJob(task_id="exported", pod=name, arguments=["model", "export"])


def test_a_pod_of_the_chart_runs_with_arguments_and_hands_on_what_it_says_last(
    job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Operator, "log", ('{"uri": "runs:/old"}', "scoring", '{"uri": "runs:/1/x"}', "done", "[1]"))
    assert job().execute({}) == {"uri": "runs:/1/x"}
    (made,) = Operator.made
    assert made.options["pod_template_dict"]["spec"] == {"serviceAccountName": "model-jobs"}
    assert made.options["arguments"] == ["model", "export"]
    assert made.options["name"] == "release-model-exported"


def test_a_refusal_is_not_tried_again_and_says_why(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setattr(Operator, "exit_code", 3)
    monkeypatch.setattr(Operator, "log", ("refused by the gate macro recall",))
    with pytest.raises(AirflowFailException, match="macro recall"):
        job().execute({})


def test_all_else_is_tried_again(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Operator, "exit_code", 2)
    with pytest.raises(RuntimeError, match="returned a failure"):
        job().execute({})


def test_a_pod_that_the_chart_does_not_know_is_named(job: Any) -> None:
    from tweet_dags.cluster import NotRenderedError

    with pytest.raises(NotRenderedError, match=r"job-pods in tweets has no other\.yaml"):
        job("other").execute({})


def test_a_task_that_is_killed_ends_its_pod(job: Any) -> None:
    task = job()
    task.on_kill()
    task.execute({})
    task.on_kill()
    assert Operator.made[0].killed
