"""docs/security.md lists the permissions that the chart grants, and the connections that it allows."""

from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.chart.connections import API, DNS, INTERNET, installation, may_connect
from tests.chart.network import Peer
from tests.chart.rendering import NAMESPACE, ROOT, S3, Object, objects, render

pytestmark = pytest.mark.chart

PAGE = (ROOT / "docs" / "security.md").read_text()
# A service account, a namespace, and a resource, with the names of its objects if the permission is restricted to them.
Key = tuple[str, str, str]

# An installation in which each destination of the table has an address and port of its own.
SETTINGS = (
    *S3,
    "postgres.enabled=true",
    "demo.enabled=true",
    "dashboard.typing=true",
    "network.s3.ports=[9000]",
    'network.kubernetesApi.to=[{"ipBlock": {"cidr": "10.20.0.0/16"}}]',
)
DESTINATIONS: dict[str, tuple[Peer | str, int]] = {
    "name servers": (DNS, 53),
    "Kubernetes API": (API, 6443),
    "S3": (INTERNET, 9000),
    "MLflow": ("platform mlflow", 5000),
    "Postgres": ("platform postgres", 5432),
    "driver": ("streams bronze driver", 8090),
    "Airflow": ("platform airflow", 8080),
    "dashboard": ("streams dashboard", 8501),
    "Hugging Face": (INTERNET, 443),
}


def documented() -> dict[Key, set[str]]:
    table = PAGE.partition("| Service account | Namespace | Resource | Verbs |\n")[2].partition("\n\n")[0]
    permissions: dict[Key, set[str]] = {}
    for line in table.splitlines()[1:]:
        accounts, namespace, resource, verbs = (cell.strip() for cell in line.strip("|").split("|"))
        for account in accounts.split(", "):
            permissions[account, namespace, resource] = set(verbs.split(", "))
    return permissions


def rendered(documents: list[Object]) -> dict[Key, set[str]]:
    permissions: dict[Key, set[str]] = defaultdict(set)
    roles = {(role["metadata"]["namespace"], role["metadata"]["name"]): role for role in _of(documents, "Role")}
    for binding in _of(documents, "RoleBinding"):
        namespace = binding["metadata"]["namespace"]
        for rule in roles[namespace, binding["roleRef"]["name"]]["rules"]:
            names = f": {', '.join(rule['resourceNames'])}" if "resourceNames" in rule else ""
            for subject in binding["subjects"]:
                for resource in rule["resources"]:
                    where = "platform" if namespace == NAMESPACE else "streams"
                    permissions[subject["name"], where, f"{resource}{names}"].update(rule["verbs"])
    return {key: verbs for key, verbs in permissions.items() if not _is_covered(key, verbs, permissions)}


def _is_covered(key: Key, verbs: set[str], permissions: dict[Key, set[str]]) -> bool:
    """Tell whether the account has the same permission without the names."""
    resource, colon, _ = key[2].partition(":")
    return bool(colon) and verbs <= permissions.get((*key[:2], resource), set())


def _of(documents: list[Object], kind: str) -> Iterator[Object]:
    return (document for document in documents if document["kind"] == kind)


def test_the_table_of_permissions_is_that_of_the_chart() -> None:
    documents = render()
    assert documented() == rendered(documents)
    assert not list(_of(documents, "ClusterRole")) and not list(_of(documents, "ClusterRoleBinding"))


def test_the_page_names_all_service_accounts_and_admission_policies() -> None:
    documents = render()
    (without,) = [line for line in PAGE.splitlines() if "have no permissions in Kubernetes" in line]
    listed = {account for account, _, _ in documented()}
    assert {name for name in objects(documents, "ServiceAccount") if name not in listed} == {
        name for name in objects(documents, "ServiceAccount") if name in without.replace(",", "").split()
    }
    for name in objects(documents, "ValidatingAdmissionPolicy"):
        assert f"| `{name.removeprefix('tweets.tweet-sentiment-')}` |" in PAGE


def documented_connections(names: set[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield each destination of the table with the pods that may connect to it."""
    table = PAGE.partition(
        "| Destination | Port | Pods of the streams | Pods of the platform | Value with the addresses |\n"
    )[2]
    for line in table.partition("\n\n")[0].splitlines()[1:]:
        destination, _, *cells, _ = (cell.strip() for cell in line.strip("|").split("|"))
        pods: set[str] = set()
        for where, cell in zip(("streams", "platform"), cells, strict=True):
            included, _, excluded = cell.partition(" but ")
            pods |= {pod for word in included.split(", ") for pod in _named(f"{where} {word}", names)}
            pods -= {f"{where} {excluded}"}
        yield destination, pods


def _named(words: str, names: set[str]) -> set[str]:
    """Return the pods that a cell names: one, or `all`, `drivers` or `executors` of a namespace."""
    where, _, word = words.partition(" ")
    if word in {"drivers", "executors"}:
        return {name for name in names if name.endswith(f" {word.removesuffix('s')}")}
    if word == "all":
        return {name for name in names if name.startswith(where)}
    assert words in names or word == "none", f"{words} is no pod of the chart"
    return {words} & names


def test_the_table_of_connections_is_that_of_the_network_policies() -> None:
    _, pods = installation(*SETTINGS)
    documented = dict(documented_connections(set(pods)))
    assert documented.keys() == DESTINATIONS.keys()
    # The driver and the executors of one application connect to each other on all ports.
    sources = {name: pod for name, pod in pods.items() if not name.startswith("streams bronze")}
    for destination, (target, port) in DESTINATIONS.items():
        asked = sources if destination == "driver" else pods
        assert {name for name in asked if may_connect(SETTINGS, name, target, port)} == documented[destination]
