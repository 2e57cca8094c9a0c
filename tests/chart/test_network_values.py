"""The values of `network`: clients of the servers, and addresses outside the cluster."""

import json

import pytest

from tests.chart.connections import (
    API_SERVICE,
    DNS,
    INTERNET,
    POD_IDENTITY,
    SERVERS,
    STRANGER,
    VOLUME,
    installation,
    may_connect,
)
from tests.chart.network import Pod, Policies
from tests.chart.rendering import S3, helm

pytestmark = pytest.mark.chart


@pytest.mark.parametrize(
    ("client", "server", "port"),
    [
        ("dashboard", "streams dashboard", 8501),
        ("airflow", "platform airflow", 8080),
        ("mlflow", "platform mlflow", 5000),
    ],
)
def test_clients_of_the_values_may_connect_to_their_server_only(client: str, server: str, port: int) -> None:
    peer = json.dumps([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}])
    settings = (*VOLUME, f"network.clients.{client}={peer}")
    reachable = {name for name, number in SERVERS.items() if may_connect(settings, "stranger", name, number)}
    assert reachable == {server}
    assert not may_connect(settings, "Prometheus", server, port)


def test_the_metrics_can_be_restricted_to_a_namespace() -> None:
    peer = json.dumps([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}])
    settings = (*VOLUME, f"network.clients.prometheus={peer}")
    assert not may_connect(settings, "Prometheus", "streams gold driver", 8090)
    assert may_connect(settings, "platform airflow", "streams gold driver", 8090)


@pytest.mark.parametrize("name", ["kubernetesApi", "modelHub", "dns"])
def test_an_empty_list_of_destinations_allows_nothing(name: str) -> None:
    """In a NetworkPolicy, an empty list allows everything."""
    settings = (*VOLUME, f"network.{name}.to=[]")
    users = {"kubernetesApi": "platform airflow", "modelHub": "platform model-jobs", "dns": "streams demo"}
    target, port = (DNS, 53) if name == "dns" else (INTERNET, 443)
    assert may_connect(VOLUME, users[name], target, port)
    assert not may_connect(settings, users[name], target, port)


def test_with_known_addresses_s3_is_no_way_to_the_kubernetes_api() -> None:
    private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"]
    settings = (*S3, f"network.s3.to={json.dumps([{'ipBlock': {'cidr': '0.0.0.0/0', 'except': private}}])}")
    assert may_connect(S3, "streams gold executor", API_SERVICE, 443)
    assert not may_connect(settings, "streams gold executor", API_SERVICE, 443)
    assert may_connect(settings, "streams gold executor", INTERNET, 443)
    assert may_connect(settings, "streams gold driver", API_SERVICE, 443)


MINIO = Pod("minio", {"app": "minio"})
STORE = (
    "storage.type=s3",
    "landing=s3a://tweets-landing",
    "lake=s3a://tweets-lake",
    "storage.s3.endpoint=http://minio.minio:9000",
    "storage.s3.existingSecret=keys",
    "streams.bronze.queueUrl=http://queue:9324/landing",
)
STORE_PODS = json.dumps([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "minio"}}}])


def test_a_store_with_keys_needs_only_its_port() -> None:
    for source in ("streams dashboard", "streams silver executor"):
        assert may_connect(STORE, source, INTERNET, 9000)
        assert not may_connect(STORE, source, INTERNET, 443)
        assert not may_connect(STORE, source, POD_IDENTITY, 80)
    assert may_connect(STORE, "streams bronze driver", INTERNET, 9324)
    assert not may_connect(STORE, "streams silver driver", INTERNET, 9324)
    assert not may_connect(STORE, "platform mlflow", INTERNET, 9000)


def test_a_store_in_the_cluster_is_named_by_its_pods() -> None:
    """The default addresses include pods in some network plugins only."""
    settings = (*STORE, f"network.s3.to={STORE_PODS}", "network.s3.ports=[9001]")
    assert may_connect(settings, "streams silver executor", MINIO, 9001)
    assert not may_connect(settings, "streams silver executor", MINIO, 9000)
    assert not may_connect(settings, "streams silver executor", INTERNET, 9001)


def test_a_store_without_keys_may_ask_sts() -> None:
    settings = (*STORE, "storage.s3.existingSecret=", "streams.bronze.queueUrl=")
    assert may_connect(settings, "streams dashboard", INTERNET, 443)
    assert may_connect(settings, "streams dashboard", POD_IDENTITY, 80)


@pytest.mark.parametrize(
    ("uri", "port"),
    [("http://registry:5001", 5001), ("http://registry/mlflow", 80), ("https://registry.example.com/mlflow", 443)],
)
def test_an_existing_registry_is_reached_at_its_port(uri: str, port: int) -> None:
    settings = ("mlflow.enabled=false", f"mlflow.uri={uri}")
    for source in ("streams gold driver", "streams dashboard", "platform model-jobs"):
        assert may_connect(settings, source, INTERNET, port)
    assert not may_connect(settings, "streams gold executor", INTERNET, port)
    assert not may_connect(settings, "streams dashboard", INTERNET, 5000)


def test_your_own_airflow_may_connect_to_the_drivers() -> None:
    own = Pod("airflow", {"component": "triggerer"})
    policies, pods = installation(
        "airflow.enabled=false",
        "airflow.serviceAccount.namespace=airflow",
        "airflow.serviceAccount.name=airflow-scheduler",
    )
    for blocks in (False, True):
        cluster = Policies(policies, blocks)
        assert cluster.allow(own, pods["streams gold driver"], 8090)
        assert not cluster.allow(own, pods["streams gold driver"], 7078)
        assert not cluster.allow(STRANGER, pods["streams gold driver"], 8090)


def test_an_ingress_without_its_controller_is_refused() -> None:
    process = helm("dashboard.ingress.enabled=true")
    assert process.returncode != 0 and "network.clients.dashboard is empty" in process.stderr
    assert helm("dashboard.ingress.enabled=true", "networkPolicies=false").returncode == 0


def test_without_network_policies_there_are_none() -> None:
    assert installation("networkPolicies=false")[0] == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('network.clients.dashboard=["ingress-nginx"]', "/network/clients/dashboard/0"),
        ('network.s3.to=[{"cidr": "10.0.0.0/8"}]', "'cidr' not allowed"),
        ("network.database.ports=[]", "/network/database/ports"),
        ("network.kubernetesApi.ports=[0]", "/network/kubernetesApi/ports/0"),
    ],
)
def test_invalid_values_are_refused_with_the_key(setting: str, message: str) -> None:
    process = helm(setting)
    assert process.returncode != 0 and message in process.stderr, process.stderr
