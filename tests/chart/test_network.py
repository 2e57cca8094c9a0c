"""NetworkPolicies: which pods may connect to which, evaluated from the rendered policies and the labels of the pods.

Network plugins differ in whether an ipBlock matches pods: the answer must not depend on it.
"""

import copy
from collections.abc import Iterator

import pytest

from tests.chart.connections import (
    API,
    API_SERVICE,
    INTERNET,
    OUTSIDE,
    VOLUME,
    Matrix,
    connections,
    destinations,
    installation,
    may_connect,
)
from tests.chart.network import Peer, Pod
from tests.chart.rendering import S3, Object

pytestmark = pytest.mark.chart


def expected(pods: dict[str, Pod], s3: set[str], postgres: bool) -> Matrix:
    drivers = {name for name in pods if name.endswith(" driver")}
    strangers = {"stranger", "Prometheus", "impostor"}  # no policy of the chart selects them
    resolves = {*pods, *OUTSIDE} - {"platform postgres"}
    scoring = {f"streams {name} driver" for name in ("gold", "rescore", "rebuild-gold")}
    api = {*drivers, "platform airflow"}
    database = {f"platform {name}" for name in ("airflow", "airflow-clean", "mlflow")}
    by_name = {
        "name servers": resolves,
        "Kubernetes API": {*api, *strangers},
        "addresses on 443": {*api, *s3, "platform model-jobs", *strangers},
        "addresses on 5432": strangers if postgres else {*strangers, *database},
        "EKS Pod Identity": {*strangers, *s3},
    }
    # No policy keeps a stranger from an address outside.
    matrix = {name: by_name.get(name.partition(" (")[0], strangers) for name, *_ in destinations({})}
    matrix["platform mlflow:5000"] = {*scoring, "streams dashboard", "streams quality", "platform model-jobs"}
    if postgres:
        matrix["platform postgres:5432"] = {*database, "platform backup", "platform restore-drill"}
    for driver in drivers:
        own = {driver, driver.replace("driver", "executor")}
        matrix |= {f"{name}:{port}": own for name in own for port in (7078, 8090)}
        matrix[f"{driver}:8090"] = {*own, "platform airflow", "Prometheus"}
    return matrix


def s3_users(pods: dict[str, Pod]) -> set[str]:
    without = {"platform airflow", "platform airflow-clean", "platform model-jobs", "platform postgres"}
    return set(pods) - without


@pytest.mark.parametrize("blocks_match_pods", [False, True])
def test_on_a_volume_exactly_these_connections_are_allowed(blocks_match_pods: bool) -> None:
    policies, pods = installation(*VOLUME)
    assert connections(policies, pods, blocks_match_pods) == expected(pods, s3=set(), postgres=True)


@pytest.mark.parametrize("blocks_match_pods", [False, True])
def test_on_s3_exactly_these_connections_are_allowed(blocks_match_pods: bool) -> None:
    policies, pods = installation(*S3)
    matrix = expected(pods, s3=s3_users(pods), postgres=False)
    assert connections(policies, pods, blocks_match_pods) == matrix


def _without(policies: list[Object]) -> Iterator[tuple[str, list[Object]]]:
    """Yield the policies without one policy, and without one peer of a rule."""
    for index, policy in enumerate(policies):
        name = f"{policy['metadata']['namespace']} {policy['metadata']['name']}"
        yield name, policies[:index] + policies[index + 1 :]
        for direction, key in (("ingress", "from"), ("egress", "to")):
            for number, rule in enumerate(policy["spec"].get(direction, [])):
                for peer in range(len(rule[key])):
                    changed = copy.deepcopy(policy)
                    del changed["spec"][direction][number][key][peer]
                    if not changed["spec"][direction][number][key]:
                        del changed["spec"][direction][number]
                    yield f"{name} {direction} {rule[key][peer]}", [*policies[:index], changed, *policies[index + 1 :]]


@pytest.mark.parametrize("direction", ["Ingress", "Egress"])
def test_each_side_alone_refuses_the_other_connections_between_pods(direction: str) -> None:
    """A policy that is too wide is not hidden by the policy of the other side."""
    policies, pods = installation(*VOLUME)
    one_sided = [
        {**policy, "spec": {**policy["spec"], "policyTypes": [direction]}}
        for policy in policies
        if direction in policy["spec"]["policyTypes"]
    ]
    complete = connections(policies, pods, True)
    alone = connections(one_sided, pods, True)
    servers = [name for name, target, *_ in destinations(pods) if target in pods.values()]
    for name in servers:
        assert alone.get(name, set()) & pods.keys() == complete.get(name, set()) & pods.keys(), name


@pytest.mark.parametrize("settings", [VOLUME, S3])
def test_only_pods_of_one_application_connect_on_all_ports(settings: tuple[str, ...]) -> None:
    policies, _ = installation(*settings)
    for policy in policies:
        own = policy["spec"]["podSelector"]
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            peers = rule.get("to", []) + rule.get("from", [])
            assert peers and (rule.get("ports") or peers == [{"podSelector": own}]), policy["metadata"]["name"]


@pytest.mark.parametrize("settings", [VOLUME, (*S3, "network.clients.dashboard=[]", "dashboard.ingress.enabled=false")])
def test_each_policy_and_each_peer_is_needed(settings: tuple[str, ...]) -> None:
    """Without any of them, the connections change: the tests above would fail."""
    policies, pods = installation(*settings)
    complete = connections(policies, pods, False)
    mutants = dict(_without(policies))
    assert len(mutants) > 40
    assert [name for name, mutant in mutants.items() if connections(mutant, pods, False) == complete] == []


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        ("streams bronze driver", API_SERVICE, 443, True),
        ("streams bronze executor", API_SERVICE, 443, False),
        ("streams bronze executor", API, 6443, False),
        ("streams bronze driver", "platform postgres", 5432, False),
        ("streams bronze driver", "platform mlflow", 5000, False),
        ("streams gold driver", "platform mlflow", 5000, True),
        ("streams gold executor", "platform mlflow", 5000, False),
        ("streams gold executor", "streams gold driver", 7078, True),
        ("streams silver driver", "streams gold driver", 7078, False),
        ("streams silver driver", "streams gold driver", 8090, False),
        ("streams gold driver", "streams rescore driver", 7078, False),
        ("streams dashboard", INTERNET, 80, False),
        ("streams dashboard", INTERNET, 443, False),
        ("platform airflow", "streams silver driver", 8090, True),
        ("platform airflow", "streams silver driver", 7078, False),
        ("platform airflow", "platform mlflow", 5000, False),
        ("platform mlflow", "streams silver driver", 8090, False),
        ("Prometheus", "streams silver driver", 8090, True),
        ("Prometheus", "streams silver executor", 8090, False),
        ("stranger", "streams silver driver", 8090, False),
        ("stranger", "streams dashboard", 8501, False),
        ("stranger", "platform airflow", 8080, False),
        ("stranger", "platform mlflow", 5000, False),
        ("impostor", "platform postgres", 5432, False),
        ("neighbour in streams", "streams gold driver", 8090, False),
    ],
)
def test_named_connections(source: str, target: Peer | str, port: int, allowed: bool) -> None:
    assert may_connect(VOLUME, source, target, port) is allowed
