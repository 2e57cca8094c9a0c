"""What the streams and Airflow may do on a real cluster: no more than they need, and nothing by way of a pod.

Runs on the installation that the tests of the product have left.
"""

import json

import pytest
import yaml

from tests.cluster.product import Product, call

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


def test_roles_hold_only_what_is_used(product: Product) -> None:
    def may(account: str, verb: str, what: str, namespace: str, *options: str) -> bool:
        said = call(
            "kubectl",
            "auth",
            "can-i",
            verb,
            what,
            "-n",
            namespace,
            f"--as=system:serviceaccount:{account}",
            *options,
            check=False,
        )
        return said.strip().endswith("yes")

    gold, airflow = f"{product.streams}:gold", f"{product.platform}:airflow"
    assert may(gold, "create", "pods", product.streams)
    assert may(airflow, "patch", "sparkapplications/gold", product.streams)
    for account in (gold, airflow, f"{product.streams}:dashboard", f"{product.platform}:mlflow"):
        for namespace in (product.platform, product.streams, "kube-system", "spark-operator"):
            assert not may(account, "get", "secrets", namespace), (account, namespace)
    assert not may(gold, "create", "pods", product.platform)
    assert not may(airflow, "create", "pods", "spark-operator")
    assert not may(airflow, "create", "pods", product.streams, "--subresource=exec")
    assert not may(f"{product.streams}:dashboard", "list", "pods", product.streams)


SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 185,
    "seccompProfile": {"type": "RuntimeDefault"},
}


BY_DRIVERS = [
    ({}, ""),
    ({"volumes": [{"name": "loot", "secret": {"secretName": "prey"}}]}, "may not mount Secrets"),
    (
        {"volumes": [{"name": "loot", "projected": {"sources": [{"secret": {"name": "prey"}}]}}]},
        "may not mount Secrets",
    ),
    ({"env": [{"name": "LOOT", "valueFrom": {"secretKeyRef": {"name": "prey", "key": "k"}}}]}, "not read Secrets"),
    ({"envFrom": [{"secretRef": {"name": "prey"}}]}, "not read Secrets"),
]


@pytest.mark.parametrize(("change", "says"), [*BY_DRIVERS, ({"serviceAccountName": "silver"}, "of its own service")])
def test_a_driver_cannot_steal(product: Product, change: dict[str, object], says: str) -> None:
    """What a driver that was broken into would try, with its own rights; the first pod is an honest one."""
    said = create(product, change, {}, f"--as=system:serviceaccount:{product.streams}:gold")
    assert (says in said and "denied" in said) if says else "created" in said, said


@pytest.mark.parametrize(("change", "says"), [*BY_DRIVERS, ({"serviceAccountName": "default"}, "account of its layer")])
def test_the_operator_makes_no_pod_that_steals(product: Product, change: dict[str, object], says: str) -> None:
    """What an application that somebody has edited would have it make; Spark gives each pod this label."""
    said = create(product, change, {"spark-role": "driver"})
    assert (says in said and "denied" in said) if says else "created" in said, said


def create(product: Product, change: dict[str, object], labels: dict[str, str], *options: str) -> str:
    """Try to create a pod of gold that was changed; return what is said to it."""
    container: dict[str, object] = {
        "name": "thief",
        "image": "localhost/x:1",
        "command": ["true"],
        "securityContext": SECURITY,
    }
    spec: dict[str, object] = {"serviceAccountName": "gold", "containers": [container]}
    container |= {key: value for key, value in change.items() if key.startswith("env")}
    spec |= {key: value for key, value in change.items() if not key.startswith("env")}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "thief", "labels": labels}, "spec": spec}
    return product.kubectl(
        "create", "--dry-run=server", "-f", "-", *options, stdin=json.dumps(pod), check=False
    )  # fmt: skip


THEFTS = [
    ({}, ""),
    ({"serviceAccountName": "default"}, "pods of its jobs only"),
    ({"volumes": [{"name": "loot", "secret": {"secretName": "airflow"}}], "volumeMounts": []}, "may not mount Secrets"),
    ({"env": [{"name": "LOOT", "valueFrom": {"secretKeyRef": {"name": "postgres", "key": "k"}}}]}, "not read Secrets"),
    ({"envFrom": [{"secretRef": {"name": "postgres"}}]}, "not read Secrets"),
    ({"image": "localhost/x:1"}, "the image of the chart"),
]


@pytest.mark.parametrize("job", ["model-jobs", "quality"])
@pytest.mark.parametrize(("change", "says"), THEFTS)
def test_a_job_of_airflow_cannot_steal(product: Product, job: str, change: dict[str, object], says: str) -> None:
    """The first pod is the one that the chart has rendered for the job."""
    pod = yaml.safe_load(product.get("configmap", "job-pods")["data"][f"{job}.yaml"])
    pod["metadata"]["name"] = "thief"
    of_container = {"env", "envFrom", "image", "volumeMounts"}
    pod["spec"] |= {key: value for key, value in change.items() if key not in of_container}
    pod["spec"]["containers"][0] |= {key: value for key, value in change.items() if key in of_container}
    account = f"--as=system:serviceaccount:{product.platform}:airflow"
    said = call(
        "kubectl", "create", "--dry-run=server", "-f", "-", account, stdin=json.dumps(pod), check=False
    )  # fmt: skip
    assert (says in said and "denied" in said) if says else "created" in said, said


def test_airflow_ends_and_changes_no_pods_but_its_own(product: Product) -> None:
    """And the drivers, which keep_streams_running ends where they stand still; executors only once they are over."""
    options = ["--dry-run=server", f"--as=system:serviceaccount:{product.platform}:airflow"]

    def refused(*command: str, platform: bool = False) -> bool:
        return "pods of its jobs only" in product.kubectl(*command, *options, platform=platform, check=False)

    dashboard = product.get("pods", "-l", "app.kubernetes.io/name=dashboard")["items"][0]["metadata"]["name"]
    assert refused("delete", "pod", dashboard)
    assert refused("delete", "pod", "postgres-0", platform=True)
    label = json.dumps({"metadata": {"labels": {"a": "b"}}})
    assert refused("patch", "pod", "postgres-0", "-p", label, platform=True)
    assert not refused("delete", "pod", "gold-driver")
    executor = next(iter(product.pods("Running", which="spark-role=executor")))
    assert refused("delete", "pod", executor)


def test_airflow_cannot_have_a_stream_of_its_own_making(product: Product) -> None:
    application = product.get("sparkapplication", "gold")
    application["metadata"] = {"name": "gold"}
    account = f"--as=system:serviceaccount:{product.platform}:airflow"
    for change, says in (
        ({"driver": {"serviceAccount": "default"}}, "service account of its name"),
        ({"volumes": [{"name": "loot", "secret": {"secretName": "prey"}}]}, "may not mount Secrets"),
    ):
        said = product.kubectl(
            "patch", "sparkapplication", "gold", "--type=merge", "-p", json.dumps({"spec": change}), account,
            "--dry-run=server", check=False,
        )  # fmt: skip
        assert says in said, said
    application["metadata"] = {"name": "another"}
    said = product.kubectl("create", "-f", "-", account, "--dry-run=server", stdin=json.dumps(application), check=False)
    assert "only the applications bronze, silver, gold and rescore" in said
