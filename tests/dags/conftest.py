"""The API server that the tasks of the DAGs are run against."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.dags.api import APP, MAP, POD, Api, serving
from tests.dags.facts import driver, live, manifest
from tests.dags.runs import in_airflow


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Api]:
    """A stream that runs, and whose driver has no address yet; each test changes that."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    from kubernetes import client

    from tweet_dags.cluster import Cluster

    made = Api()
    head = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
    job = manifest(name="rescore")
    job["spec"]["arguments"] = ["rescore"]
    data = {"gold.yaml": yaml.safe_dump(head | manifest()), "rescore.yaml": yaml.safe_dump(head | job)}
    made.put(MAP, {"metadata": {"name": "stream-applications"}, "data": data})
    made.put(APP, live("RUNNING"))
    made.put(POD, driver())
    with serving(made):
        reached = client.ApiClient(client.Configuration(host=made.url))
        cluster = Cluster("tweets", client.CoreV1Api(reached), client.CustomObjectsApi(reached))
        monkeypatch.setattr(Cluster, "connect", lambda _: cluster)
        monkeypatch.setenv("TWEETS_STREAMS_NAMESPACE", "tweets")
        monkeypatch.setenv("TWEETS_FAILURES_PER_HOUR", "3")
        yield made


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the database of an Airflow."""
    home = tmp_path_factory.mktemp("airflow")
    in_airflow(home, "from airflow.utils.db import initdb\ninitdb()")
    return home
