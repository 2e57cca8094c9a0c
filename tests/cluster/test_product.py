"""The whole product on a real cluster: installed with no values, then hurt in every way, and nothing is lost.

The tests build on each other, in this order: each heals before the next begins. Times are printed (`pytest -s`).
"""

import json
import time

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.known import CHANGED, KILLED, SETTINGS, Known, healed
from tests.cluster.product import CHART, LAYERS, Product, call
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def test_an_install_with_no_values_labels_tweets(product: Product) -> None:
    began = time.monotonic()
    product.helm("install", str(CHART), "--wait", "--timeout", "10m")
    print(f"\ninstalled: {time.monotonic() - began:.0f} s", flush=True)
    until(lambda: product.totals()["gold"] > 0, 900, "the first tweet in gold/sentiment")
    print(
        f"first tweet in gold/sentiment: {time.monotonic() - began:.0f} s after the start of helm install", flush=True
    )
    found = product.run_python(
        "import urllib.request as r; print(r.urlopen('http://localhost:8501/_stcore/health').read().decode())"
    )
    assert found.strip() == "ok"


def test_every_known_tweet_arrives_once(known: Known) -> None:
    known.land(500)
    labelled, took = known.settle()
    print(f"\n500 tweets in Gold: {labelled:.0f} s, with the aggregates {took:.0f} s", flush=True)


def test_the_largest_documents_fit_into_the_memory_of_the_pods(product: Product, known: Known) -> None:
    """One of a timeline, one of a text that is no tweet's, and one that is over the limit, beside a small one."""
    before, first = product.pods("Running"), int(time.time() * 1e6)
    product.run_python(
        "import json; from spark_apps.landing import put\n"
        "def land(name, document):\n"
        f"    put('/lake/landing', f'{first}-{{name}}.json', document.encode())\n"
        "def tweet(id_, text):\n"
        "    return {'id': id_, 'full_text': text, 'timestamp': '2026-01-01T00:00:00Z'}\n"
        f"land('timeline', json.dumps([tweet({first} + n, f'text {{n % 100:0>119}}') for n in range(40_000)]))\n"
        f"land('text', json.dumps(tweet({first} + 50_000, 'so ' * 2_700_000)))\n"
        "land('huge', json.dumps({'x': 'y' * (100 << 20)}))\n"
        f"land('small', json.dumps(tweet({first} + 60_000, 'small')))"
    )
    known.totals["documents"] += 4
    known.totals["quarantine"] += 2
    for name in ("tweets", "gold", "rows", "trends"):
        known.totals[name] += 40_001
    labelled, took = known.settle(600)
    print(f"\na timeline of 40,000: {labelled:.0f} s, with the aggregates {took:.0f} s", flush=True)
    assert product.pods("Running") == before


def test_helm_test_follows_a_tweet(product: Product, known: Known) -> None:
    began = time.monotonic()
    product.helm("test", "--timeout", "5m")
    print(f"\nhelm test: {time.monotonic() - began:.0f} s", flush=True)
    for name in ("documents", "tweets", "gold", "rows", "trends"):
        known.totals[name] += 1
    known.settle()


def test_a_person_stops_a_stream_and_starts_it(product: Product, known: Known, airflow: Airflow) -> None:
    """Nobody else starts it meanwhile, not even where its application is deleted."""
    why = f"a look at the tables, {time.time():.0f}"

    def stop() -> None:
        airflow.operate("silver", "stop", why)
        until(lambda: product.driver("silver") is None, 180, "silver stopped")

    # Asked to end, a driver finishes its batch, and that is no error.
    assert product.exit_codes("silver-driver", stop) == {"0"}
    known.land()
    until(lambda: airflow.has_seen(f"silver: held by operate-stream.*{why}"), 150, "a look at it")
    product.kubectl("delete", "sparkapplication", "silver")
    until(lambda: airflow.has_seen(f"silver: held by.*{why}.*no application"), 150, "a look where it was")
    assert not product.get("pods", "-l", "sparkoperator.k8s.io/app-name=silver")["items"]
    notes = product.get("configmap", "stream-applications")["metadata"]["annotations"]
    assert why in notes["tweet-sentiment/hold-silver"]
    healed(known, lambda: airflow.operate("silver", "start", "looked"), CHANGED, "silver started by a person")


def test_an_upgrade_restarts_only_the_stream_concerned(product: Product, known: Known) -> None:
    def changed(*command: str) -> None:
        before = product.uid("gold")
        product.helm(*command, "--wait", "--timeout", "10m")
        until(lambda: product.uid("gold") not in {"", before}, 300, "a new driver of gold")

    others = [product.uid(layer) for layer in ("bronze", "silver")]
    more = ["--set", "streams.gold.driver.memoryOverhead=700m"]
    healed(known, lambda: changed("upgrade", str(CHART), *SETTINGS, *more), CHANGED, "gold changed by helm upgrade")
    healed(known, lambda: changed("rollback"), CHANGED, "gold changed by helm rollback")
    assert [product.uid(layer) for layer in ("bronze", "silver")] == others


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
    healed(known, lambda: product.signal("gold", "STOP"), CHANGED, "driver of gold frozen")
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
