"""The jobs of the DAGs on a real cluster: a release, one that is refused, a rescore with an upgrade in the middle.

They run on the installation that the tests of the product have left.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.known import SETTINGS, Known
from tests.cluster.product import CHART, LAYERS, Product, call
from tests.model.folders import write_base, write_data
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def uploads(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The runs:/… of labelled tweets, of tweets with the wrong labels, and of a model trained on the former."""
    folder = tmp_path_factory.mktemp("uploads")
    tweets = write_data(folder / "tweets", train=1_600, val=200)
    wrong = Path(shutil.copytree(tweets, folder / "wrong"))
    labels = (tweets / "val_labels.txt").read_text().split()
    (wrong / "val_labels.txt").write_text("".join(f"{(int(label) + 1) % 3}\n" for label in labels))
    base, trained = write_base(folder / "base"), folder / "trained"
    command = [sys.executable, "-m", "spark_apps.cli.main", "model"]
    call(
        *command,
        "train",
        f"--data={tweets}",
        f"--base={base}",
        f"--out={trained}",
        "--epochs=6",
        "--learning-rate=4e-3",
    )
    with product.forwarded("mlflow", 5000) as registry:
        yield {
            found.name: call(*command, "upload", str(found), "--registry", registry).strip()
            for found in (tweets, wrong, trained)
        }


def test_a_release_switches_gold(product: Product, airflow: Airflow, known: Known, uploads: dict[str, str]) -> None:
    """Although Airflow is killed while its first job runs."""
    before = product.versions()
    run = airflow.trigger(
        "release_model", model=uploads["trained"], data=uploads["tweets"], precision="fp32", why="knows these tweets"
    )
    until(lambda: product.get("pods", "-l", "app.kubernetes.io/name=model-jobs", platform=True)["items"], 300, "a job")
    product.kubectl("delete", "pod", "airflow-0", "--grace-period=0", "--force", platform=True)
    until(airflow.answers, 300, "Airflow, after it was killed")
    assert airflow.finish("release_model", run, 900) == "success", airflow.log("release_model", run, "released")
    driver = product.uid("gold")
    known.land(60)
    known.settle()
    after = product.versions()
    assert after.pop("2") == known.totals["rows"] - sum(before.values()) and after == before
    assert product.uid("gold") == driver


def test_a_refused_release_leaves_production(
    product: Product, airflow: Airflow, known: Known, uploads: dict[str, str]
) -> None:
    run = airflow.trigger(
        "release_model", model=uploads["trained"], data=uploads["wrong"], precision="fp32", why="labels are wrong"
    )
    assert airflow.finish("release_model", run, 900) == "failed"
    assert airflow.tasks("release_model", run)["released"] == "failed"
    assert airflow.tries("release_model", run, "released") == 1
    assert "refused by the gate macro recall" in airflow.log("release_model", run, "released")
    known.land(60)
    known.settle()
    assert set(product.versions()) == {"1", "2"}


def test_a_rescore_outlives_an_upgrade(product: Product, airflow: Airflow, known: Known) -> None:
    """What landed meanwhile is labelled afterwards; the trends follow, exact as before.

    An executor that a killed driver has left is no reason to wait.
    """
    assert product.versions()["1"] > 0
    executors = "sparkoperator.k8s.io/app-name=gold,spark-role=executor"
    before = product.uid("gold")
    product.signal("gold", "KILL")
    until(lambda: product.uid("gold") != before and product.runs("gold"), 120, "the next driver of gold")
    until(lambda: product.pods("Succeeded", "Failed", which=executors), 60, "an executor that is over")
    run = airflow.trigger("rescore_gold", reason="one version for all")
    until(lambda: product.get("pods", "-l", "sparkoperator.k8s.io/app-name=rescore")["items"], 300, "the rescore")
    assert product.driver("gold") is None and not product.pods("Running", which=executors)
    known.land(60)
    # It starts Airflow anew.
    product.helm("upgrade", str(CHART), *SETTINGS, "--set", "airflow.parallelism=5", "--wait", "--timeout", "10m")
    assert airflow.finish("rescore_gold", run, 900) == "success", airflow.tasks("rescore_gold", run)
    known.settle()
    assert product.versions() == {"2": known.totals["rows"]}
    assert {found["metadata"]["name"] for found in product.get("sparkapplications")["items"]} == set(LAYERS)
