"""The whole product on a real cluster: installed with no values, then hurt in every way, and nothing is lost.

The tests build on each other, in this order: each heals before the next begins. Times are printed (`pytest -s`).
"""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.product import CHART, LAYERS, Product, call
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

# What a stream may take to be back, measured from the blow, and a driver or executor that was killed.
KILLED, CHANGED = 90, 150
# The stream of the demo is off but for the first test: known tweets have exact totals.
QUIET = ["--set", "demo.enabled=false"]


class Known:
    """What must stand in the tables: what stood there before, and what was landed since."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._seed = int(time.time())
        self.totals = product.totals()

    def land(self, tweets: int = 60) -> None:
        self._seed += 1
        expected = self._product.land(tweets, self._seed)
        self.totals["documents"] += expected["documents"]
        self.totals["duplicates"] += expected["duplicates"]
        self.totals["quarantine"] += sum(expected["quarantine"].values())
        for name in ("tweets", "gold", "rows", "trends"):
            self.totals[name] += expected["tweets"]

    def arrived(self) -> bool:
        return self._product.totals() == self.totals

    def settle(self, seconds: float = 300) -> float:
        """Wait until the tables hold exactly what they must."""
        began = time.monotonic()
        while not self.arrived():
            assert time.monotonic() - began < seconds, f"{self._product.totals()} instead of {self.totals}"
            time.sleep(1)
        return time.monotonic() - began


@pytest.fixture(scope="module")
def known(product: Product) -> Iterator[Known]:
    """Known totals, from a product whose own stream of tweets is off."""
    product.helm("upgrade", str(CHART), *QUIET, "--wait", "--timeout", "10m")
    until(lambda: all(product.runs(layer) for layer in LAYERS), 600, "all streams with the settings of the tests")
    before: dict[str, int] = {}

    def still() -> bool:
        nonlocal before
        now = product.totals()
        same = now == before and now["gold"] == now["tweets"] == now["trends"] > 0
        before = now
        if not same:
            time.sleep(5)
        return same

    until(still, 900, "all tweets of the demo in Gold")
    yield Known(product)


def healed(known: Known, blow: Callable[[], object], seconds: float, what: str) -> None:
    """Land tweets, strike, land more: they all arrive, once; the time runs from the blow."""
    known.land()
    began = time.monotonic()
    blow()
    known.land()
    known.settle(600)
    took = time.monotonic() - began
    print(f"\nhealed: {what}: {took:.0f} s (goal {seconds:.0f} s)", flush=True)


def test_an_install_with_no_values_labels_tweets(product: Product) -> None:
    began = time.monotonic()
    product.helm("install", str(CHART), "--wait", "--timeout", "10m")
    print(f"\ninstalled: {time.monotonic() - began:.0f} s", flush=True)
    until(lambda: product.totals()["gold"] > 0, 900, "the first tweet in gold/sentiment")
    print(
        f"first tweet in gold/sentiment: {time.monotonic() - began:.0f} s after the start of helm install", flush=True
    )
    found = product.kubectl(
        "exec", "deploy/dashboard", "--", "python", "-c",
        "import urllib.request as r; print(r.urlopen('http://localhost:8501/_stcore/health').read().decode())",
    )  # fmt: skip
    assert found.strip() == "ok"


def test_every_known_tweet_arrives_once(known: Known) -> None:
    known.land(500)
    print(f"\n500 tweets in Gold and its aggregates: {known.settle():.0f} s", flush=True)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_driver_is_killed(product: Product, known: Known, layer: str) -> None:
    kill = ["delete", "pod", f"{layer}-driver", "--grace-period=0", "--force", "--wait=false"]
    healed(known, lambda: product.kubectl(*kill), KILLED, f"driver of {layer} killed")


def test_an_executor_is_killed(product: Product, known: Known) -> None:
    kill = [
        "delete",
        "pods",
        "-l",
        "sparkoperator.k8s.io/app-name=gold,spark-role=executor",
        "--grace-period=0",
        "--force",
    ]
    healed(known, lambda: product.kubectl(*kill), KILLED, "executor of gold killed")


def test_an_application_is_deleted(product: Product, known: Known) -> None:
    healed(
        known, lambda: product.kubectl("delete", "sparkapplication", "silver"), CHANGED, "application of silver deleted"
    )


def test_an_application_is_edited_by_hand(product: Product, known: Known) -> None:
    """A foreign key and a broken image: both are gone afterwards."""
    patch = {"spec": {"image": "localhost/no-such-image:1", "sparkConf": {"spark.foreign": "1"}}}
    edit = ["patch", "sparkapplication", "bronze", "--type=merge", "-p", json.dumps(patch)]
    healed(known, lambda: product.kubectl(*edit), CHANGED, "application of bronze edited by hand")
    spec = product.get("sparkapplication", "bronze")["spec"]
    assert spec["image"].endswith("/tweet-sentiment-spark:0.1.0") and "spark.foreign" not in spec["sparkConf"]


def test_a_driver_freezes(product: Product, known: Known) -> None:
    before = product.uid("gold")
    freeze = (
        "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in "
        "/opt/venv/bin/python*'tweet-sentiment run gold'*) kill -STOP ${p#/proc/};; esac; done"
    )
    stop = ["exec", "gold-driver", "-c", "spark-kubernetes-driver", "--", "bash", "-c", freeze]
    healed(known, lambda: product.kubectl(*stop, check=False), CHANGED, "driver of gold frozen")
    assert product.uid("gold") != before


def test_the_operator_is_away_for_two_minutes_and_a_stream_is_edited_meanwhile(product: Product, known: Known) -> None:
    """Tweets flow without it; it never sees the edit, and the edit is gone when it is back."""
    operator = ["-n", "spark-operator", "deployment/spark-operator-controller"]
    call("kubectl", "scale", *operator, "--replicas=0")
    try:
        began = time.monotonic()
        known.land()
        known.settle()
        patch = json.dumps({"spec": {"sparkConf": {"spark.foreign": "1"}}})
        product.kubectl("patch", "sparkapplication", "silver", "--type=merge", "-p", patch)
        known.land()
        time.sleep(max(0, 120 - (time.monotonic() - began)))
    finally:
        call("kubectl", "scale", *operator, "--replicas=1")
    healed(known, lambda: None, KILLED, "operator back after two minutes, with an edit meanwhile")
    until(
        lambda: "spark.foreign" not in product.get("sparkapplication", "silver")["spec"]["sparkConf"], 120, "the edit"
    )


def test_roles_hold_only_what_is_used(product: Product) -> None:
    def may(account: str, verb: str, what: str, namespace: str) -> bool:
        said = call(
            "kubectl",
            "auth",
            "can-i",
            verb,
            what,
            "-n",
            namespace,
            f"--as=system:serviceaccount:{account}",
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
    assert not may(airflow, "create", "pods", product.streams)
    assert not may(airflow, "delete", "pods/dashboard", product.streams)
    assert not may(f"{product.streams}:dashboard", "list", "pods", product.streams)


SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 185,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, ""),
        ({"serviceAccountName": "silver"}, "of its own service account only"),
        ({"volumes": [{"name": "loot", "secret": {"secretName": "prey"}}]}, "may not mount Secrets"),
        (
            {"volumes": [{"name": "loot", "projected": {"sources": [{"secret": {"name": "prey"}}]}}]},
            "may not mount Secrets",
        ),
        ({"env": [{"name": "LOOT", "valueFrom": {"secretKeyRef": {"name": "prey", "key": "k"}}}]}, "not read Secrets"),
        ({"envFrom": [{"secretRef": {"name": "prey"}}]}, "not read Secrets"),
    ],
)
def test_a_driver_cannot_steal(product: Product, change: dict[str, object], says: str) -> None:
    """What a driver that was broken into would try, with its own rights; the first pod is an honest one."""
    container: dict[str, object] = {
        "name": "thief",
        "image": "localhost/x:1",
        "command": ["true"],
        "securityContext": SECURITY,
    }
    spec: dict[str, object] = {"serviceAccountName": "gold", "containers": [container]}
    container |= {key: value for key, value in change.items() if key.startswith("env")}
    spec |= {key: value for key, value in change.items() if not key.startswith("env")}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "thief"}, "spec": spec}
    said = product.kubectl(
        "create", "--dry-run=server", "-f", "-", f"--as=system:serviceaccount:{product.streams}:gold",
        stdin=json.dumps(pod), check=False,
    )  # fmt: skip
    assert (says in said and "denied" in said) if says else "created" in said, said


def test_airflow_cannot_have_a_stream_of_its_own_making(product: Product) -> None:
    application = product.get("sparkapplication", "gold")
    application["metadata"] = {"name": "gold"}
    account = f"--as=system:serviceaccount:{product.platform}:airflow"
    for change, says in (
        ({"driver": {"serviceAccount": "default"}}, "service account of its name"),
        ({"volumes": [{"name": "loot", "secret": {"secretName": "prey"}}]}, "mounts no Secrets"),
    ):
        said = product.kubectl(
            "patch", "sparkapplication", "gold", "--type=merge", "-p", json.dumps({"spec": change}), account,
            "--dry-run=server", check=False,
        )  # fmt: skip
        assert says in said, said
    application["metadata"] = {"name": "another"}
    said = product.kubectl("create", "-f", "-", account, "--dry-run=server", stdin=json.dumps(application), check=False)
    assert "bronze, silver and gold only" in said
