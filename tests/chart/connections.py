"""Connections between the pods of the chart, other pods of the cluster, and addresses outside."""

from collections.abc import Iterator
from functools import cache

from tests.chart.network import NAME, Address, Peer, Pod, Policies, chart_pods
from tests.chart.rendering import NAMESPACE, STREAMS_NAMESPACE, Object, render

VOLUME = ("backup.enabled=true",)
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
STRANGER = Pod("default", {NAME: "web"})
PROMETHEUS = Pod("monitoring", {NAME: "prometheus"})
API, API_V6, API_SERVICE = Address("10.20.0.5"), Address("2600:1f14::5"), Address("10.96.0.1")
INTERNET, INTERNET_V6 = Address("93.184.216.34"), Address("2606:2800:220:1::1")
METADATA, METADATA_V6 = Address("169.254.169.254"), Address("fd00:ec2::254")
POD_IDENTITY, POD_IDENTITY_V6 = Address("169.254.170.23"), Address("fd00:ec2::23")
SERVERS = {"platform mlflow": 5000, "platform postgres": 5432, "platform airflow": 8080, "streams dashboard": 8501}
OUTSIDE = {
    "stranger": STRANGER,
    "Prometheus": PROMETHEUS,
    # A label of a chart's pod does not help in another namespace.
    "impostor": Pod("default", {NAME: "airflow"}),
    "neighbour in streams": Pod(STREAMS_NAMESPACE, {NAME: "debug"}),
    "neighbour in platform": Pod(NAMESPACE, {NAME: "debug"}),
}
Matrix = dict[str, set[str]]


@cache
def installation(*settings: str) -> tuple[list[Object], dict[str, Pod]]:
    documents = render(*settings)
    return [d for d in documents if d["kind"] == "NetworkPolicy"], chart_pods(documents)


def may_connect(settings: tuple[str, ...], source: str, target: Peer | str, port: int) -> bool:
    """Tell whether a pod can connect; fail if this depends on the network plugin."""
    policies, pods = installation(*settings)
    peers = {**pods, **OUTSIDE}
    to = peers[target] if isinstance(target, str) else target
    answers = {Policies(policies, blocks).allow(peers[source], to, port) for blocks in (False, True)}
    assert len(answers) == 1, "the answer depends on whether the plugin matches pods with an ipBlock"
    return answers.pop()


def destinations(pods: dict[str, Pod]) -> Iterator[tuple[str, Peer, int, str]]:
    yield "name servers", DNS, 53, "UDP"
    yield "name servers (TCP)", DNS, 53, "TCP"
    yield "Kubernetes API", API, 6443, "TCP"
    yield "Kubernetes API (IPv6)", API_V6, 6443, "TCP"
    yield "addresses on 443", INTERNET, 443, "TCP"
    yield "addresses on 443 (IPv6)", INTERNET_V6, 443, "TCP"
    yield "addresses on 80", INTERNET, 80, "TCP"
    yield "addresses on 5432", INTERNET, 5432, "TCP"
    yield "addresses on 5432 (IPv6)", INTERNET_V6, 5432, "TCP"
    yield "instance metadata", METADATA, 80, "TCP"
    yield "instance metadata (443)", METADATA, 443, "TCP"
    yield "instance metadata (IPv6)", METADATA_V6, 443, "TCP"
    yield "EKS Pod Identity", POD_IDENTITY, 80, "TCP"
    yield "EKS Pod Identity (IPv6)", POD_IDENTITY_V6, 80, "TCP"
    yield "stranger", STRANGER, 8080, "TCP"
    for name, port in SERVERS.items():
        if name in pods:
            yield f"{name}:{port}", pods[name], port, "TCP"
    for name, pod in pods.items():
        yield f"{name}:7078", pod, 7078, "TCP"
        yield f"{name}:8090", pod, 8090, "TCP"


def connections(policies: list[Object], pods: dict[str, Pod], blocks_match_pods: bool) -> Matrix:
    """Return who can connect to each destination; without destinations that refuse everybody."""
    cluster = Policies(policies, blocks_match_pods)
    matrix = {
        name: {source for source, peer in {**pods, **OUTSIDE}.items() if cluster.allow(peer, target, port, protocol)}
        for name, target, port, protocol in destinations(pods)
    }
    return {name: sources for name, sources in matrix.items() if sources}
