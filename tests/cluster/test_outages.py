"""What the product leans on goes away and comes back: Airflow, MLflow and Postgres, the node, the release itself.

They run on the installation that the tests of the product have left. Times run from the return.
"""

import time

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.known import CHANGED, KILLED, SETTINGS, Known, healed
from tests.cluster.product import CHART, LAYERS, Product, call
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

# The second failure within an hour is one too many: for the last of these tests.
IMPATIENT = ["--set", "streams.failuresPerHour=1"]


def drivers(product: Product) -> list[str]:
    return [product.uid(layer) for layer in LAYERS]


def test_streams_need_no_airflow(product: Product, known: Known) -> None:
    """It is away for two minutes; an application that is deleted meanwhile is back after its return."""
    before = drivers(product)
    began = time.monotonic()
    product.kubectl("scale", "statefulset/airflow", "--replicas=0", platform=True)
    product.kubectl("wait", "pod/airflow-0", "--for=delete", "--timeout=120s", platform=True)
    known.land()
    known.settle()
    assert drivers(product) == before
    product.kubectl("delete", "sparkapplication", "bronze")
    time.sleep(max(0, 120 - (time.monotonic() - began)))
    assert product.uid("bronze") == ""
    healed(known, lambda: airflow_is_back(product), KILLED, "Airflow back after two minutes, with a deletion meanwhile")
    assert drivers(product)[1:] == before[1:]


def airflow_is_back(product: Product) -> None:
    product.kubectl("scale", "statefulset/airflow", "--replicas=1", platform=True)
    product.kubectl("rollout", "status", "statefulset/airflow", "--timeout=300s", platform=True)


def test_streams_outlive_the_registry_and_its_database(product: Product, known: Known, airflow: Airflow) -> None:
    """Gold goes on with the version that it has; Airflow finds its database again."""
    before = drivers(product)
    kill = ["delete", "pod", "-l", "app.kubernetes.io/name in (postgres,mlflow)", "--wait=false"]
    healed(known, lambda: product.kubectl(*kill, platform=True), KILLED, "MLflow and Postgres restarted")
    assert drivers(product) == before
    for what in ("deployment/mlflow", "statefulset/postgres", "statefulset/airflow"):
        product.kubectl("rollout", "status", what, "--timeout=300s", platform=True)
    until(airflow.answers, 120, "Airflow's scheduler")


def test_what_killed_drivers_have_left_is_taken_away(product: Product) -> None:
    """An executor goes five minutes after its end; most of that has passed with the tests before."""
    until(lambda: not product.pods("Succeeded", "Failed", which="spark-role=executor"), 480, "no executor that is over")


def test_a_node_is_drained(product: Product, known: Known) -> None:
    """On one node this is a cold start of all that there is, the operator and the cluster's own DNS among it."""
    driver = product.driver("gold")
    assert driver
    node = driver["spec"]["nodeName"]
    known.land()
    drain = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=240s"]
    try:
        call("kubectl", "drain", node, *drain)
        assert product.uid("gold") != driver["metadata"]["uid"]
    finally:
        call("kubectl", "uncordon", node)
    began = time.monotonic()
    product.kubectl("rollout", "status", "deployment/dashboard", "--timeout=300s")
    known.land()
    known.settle(900)
    print(f"\nhealed: node drained and back: {time.monotonic() - began:.0f} s", flush=True)


def test_a_reinstall_goes_on_where_it_was(product: Product, known: Known) -> None:
    """`helm uninstall` ends the streams and keeps the lake, the databases and their Secrets."""
    known.settle()
    product.helm("uninstall", "--wait")
    until(lambda: not product.get("sparkapplications")["items"], 60, "no application of the streams")
    until(lambda: not product.get("pods", "-l", "spark-role")["items"], 120, "no pods of the streams")
    began = time.monotonic()
    product.helm("install", str(CHART), *SETTINGS, *IMPATIENT, "--wait", "--timeout", "10m")
    known.land()
    known.settle(900)
    print(f"\nreinstalled, and tweets in Gold: {time.monotonic() - began:.0f} s", flush=True)


def test_a_stream_that_goes_on_failing_is_left_down(product: Product, known: Known, airflow: Airflow) -> None:
    """Until a person has mended the cause, and starts it."""
    identity = "/lake/tables/checkpoints/silver/identity.json"

    def move(*names: str) -> None:
        product.kubectl("exec", "bronze-driver", "-c", "spark-kubernetes-driver", "--", "mv", *names)

    move(identity, f"{identity}.away")
    product.kubectl("delete", "pod", "silver-driver", "--grace-period=0", "--force", "--wait=false")
    says = "silver: failed [0-9]+ times within an hour: left down"
    until(lambda: airflow.has_seen(says), 600, "silver left down")
    until(lambda: product.driver("silver") is None, 120, "no driver of silver")
    known.land()
    move(f"{identity}.away", identity)
    healed(known, lambda: airflow.operate("silver", "start", "put back"), CHANGED, "silver, left down, started again")
