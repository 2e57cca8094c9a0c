"""A task that runs one pod: its result, and which exit codes are retried. tests/cluster runs real pods."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml

from tests.dags.fake_api import FakeApi, serving

pytestmark = pytest.mark.airflow


class FakePodOperator:
    """Replaces `KubernetesPodOperator`: prints the lines of `log`, and exits with `exit_code`."""

    log: tuple[str, ...] = ()
    exit_code: int = 0
    made: ClassVar[list["FakePodOperator"]] = []

    def __init__(self, **options: Any) -> None:
        self.options, self.killed = options, False
        container = SimpleNamespace(
            name="job", state=SimpleNamespace(terminated=SimpleNamespace(exit_code=self.exit_code))
        )
        self.remote_pod = SimpleNamespace(status=SimpleNamespace(container_statuses=[container]))
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

    from tweet_dags.kubernetes.client import Cluster
    from tweet_dags.pod_job import PodJob

    monkeypatch.setattr(pod, "KubernetesPodOperator", FakePodOperator)
    monkeypatch.setattr(FakePodOperator, "made", [])
    api = FakeApi()
    template = {"metadata": {"namespace": "platform"}, "spec": {"serviceAccountName": "model-jobs"}}
    api.put(
        "/api/v1/namespaces/tweets/configmaps/job-pods",
        {"metadata": {"name": "job-pods"}, "data": {"model-jobs.yaml": yaml.safe_dump(template)}},
    )
    with serving(api):
        api_client = client.ApiClient(client.Configuration(host=api.url))
        cluster = Cluster("tweets", client.CoreV1Api(api_client), client.CustomObjectsApi(api_client))
        monkeypatch.setattr(Cluster, "connect", lambda _: cluster)
        with DAG("release_model"):
            yield lambda name="model-jobs": PodJob(task_id="export", pod=name, arguments=["model", "export"])


def test_a_pod_of_the_chart_runs_with_arguments_and_returns_its_last_json_object(
    job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        FakePodOperator, "log", ('{"uri": "runs:/old"}', "scoring", '{"uri": "runs:/1/x"}', "done", "[1]")
    )
    assert job().execute({}) == {"uri": "runs:/1/x"}
    (made,) = FakePodOperator.made
    assert made.options["pod_template_dict"]["spec"] == {"serviceAccountName": "model-jobs"}
    assert made.options["arguments"] == ["model", "export"]
    assert made.options["name"] == "release-model-export"


def test_a_refusal_is_not_retried_and_its_reason_is_reported(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setattr(FakePodOperator, "exit_code", 3)
    monkeypatch.setattr(FakePodOperator, "log", ("refused by the gate macro recall",))
    with pytest.raises(AirflowFailException, match="macro recall"):
        job().execute({})


def test_other_failures_are_retried(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakePodOperator, "exit_code", 2)
    with pytest.raises(RuntimeError, match="returned a failure"):
        job().execute({})


def test_a_pod_that_the_chart_does_not_render_is_named(job: Any) -> None:
    from tweet_dags.kubernetes.client import ManifestNotFoundError

    with pytest.raises(ManifestNotFoundError, match=r"job-pods in tweets has no other\.yaml"):
        job("other").execute({})


def test_killing_a_task_deletes_its_pod(job: Any) -> None:
    task = job()
    task.on_kill()
    task.execute({})
    task.on_kill()
    assert FakePodOperator.made[0].killed
