"""The fake API server for the tasks of the DAGs, and the database of Airflow."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.dags.airflow_process import in_airflow
from tests.dags.fake_api import APP, CONFIG_MAP, POD, FakeApi, serving
from tests.dags.observations import application, driver, manifest


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeApi]:
    """Serve a running stream; its driver has no IP address yet. Each test changes what it needs."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    from kubernetes import client

    from tweet_dags.kubernetes.client import Cluster

    made = FakeApi()
    head = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
    job = manifest(name="rescore")
    job["spec"]["arguments"] = ["rescore"]
    data = {"gold.yaml": yaml.safe_dump(head | manifest()), "rescore.yaml": yaml.safe_dump(head | job)}
    made.put(CONFIG_MAP, {"metadata": {"name": "stream-applications"}, "data": data})
    made.put(APP, application("RUNNING"))
    made.put(POD, driver())
    with serving(made):
        api_client = client.ApiClient(client.Configuration(host=made.url))
        cluster = Cluster("tweets", client.CoreV1Api(api_client), client.CustomObjectsApi(api_client))
        monkeypatch.setattr(Cluster, "connect", lambda _: cluster)
        monkeypatch.setenv("TWEETS_STREAMS_NAMESPACE", "tweets")
        monkeypatch.setenv("TWEETS_FAILURES_PER_HOUR", "3")
        yield made


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an AIRFLOW_HOME with an initialised database."""
    home = tmp_path_factory.mktemp("airflow")
    in_airflow(home, "from airflow.utils.db import initdb\ninitdb()")
    return home
