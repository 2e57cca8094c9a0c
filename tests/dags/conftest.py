"""The fake API server for the tasks of the DAGs, and the database of Airflow."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.dags.airflow_process import in_airflow
from tests.dags.fake_api import APP, CONFIG_MAP, POD, STATUS, FakeApi, serving
from tests.dags.job_run import JobRun
from tests.dags.observations import application, driver, manifest
from tweet_dags.table_jobs.definitions import JOBS

# These modules import packages that come with Airflow. `make test` runs the other tests of this folder without Airflow.
collect_ignore = [] if find_spec("airflow") else ["test_login.py", "test_watch.py", "test_watch_services.py"]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeApi]:
    """Serve a running stream; its driver has no IP address yet. Each test changes what it needs."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    from kubernetes import client

    from tweet_dags.kubernetes.client import Cluster

    api = FakeApi()
    head = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
    manifests = {job.stream: manifest(name=job.stream) for job in JOBS}
    for job in JOBS:
        manifests[job.application] = manifest(name=job.application)
        manifests[job.application]["spec"]["arguments"] = [job.application]
    data = {f"{name}.yaml": yaml.safe_dump(head | made) for name, made in manifests.items()}
    api.put(CONFIG_MAP, {"metadata": {"name": "stream-applications"}, "data": data})
    api.put(STATUS, {"metadata": {"name": "stream-status"}})
    api.put(APP, application("RUNNING"))
    api.put(POD, driver())
    with serving(api):
        api_client = client.ApiClient(client.Configuration(host=api.url))
        cluster = Cluster("tweets", client.CoreV1Api(api_client), client.CustomObjectsApi(api_client))
        monkeypatch.setattr(Cluster, "connect", lambda _: cluster)
        monkeypatch.setenv("TWEETS_STREAMS_NAMESPACE", "tweets")
        monkeypatch.setenv("TWEETS_FAILURES_PER_HOUR", "3")
        yield api


@pytest.fixture(params=JOBS, ids=lambda job: job.application)
def run(api: FakeApi, request: pytest.FixtureRequest) -> JobRun:
    """Serve the running stream of each job."""
    run = JobRun(api, request.param)
    run.run_stream()
    return run


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an AIRFLOW_HOME with an initialised database."""
    home = tmp_path_factory.mktemp("airflow")
    in_airflow(home, "from airflow.utils.db import initdb\ninitdb()")
    return home
