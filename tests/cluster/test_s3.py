"""The chart on an S3 service: landing zone, lake and model files in one bucket, credentials in a Secret.

An account without cluster-wide rights installs it. `make test-cluster-s3` runs these tests in the default namespaces.
"""

import shlex
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml

from tests.cluster.airflow import Airflow
from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.faults import KILLED, Fault, FaultInjection, kill_driver, recover
from tests.cluster.installation import CHART, RELEASE, TEST_VALUES, Installation, run_command
from tests.cluster.models import TrainedModel
from tests.cluster.s3 import S3

pytestmark = [pytest.mark.cluster_s3, pytest.mark.timeout(1200)]

ROOT = CHART.parents[1]
_OUTAGE_SECONDS = 45


@pytest.fixture(scope="module")
def s3(installation: Installation) -> Iterator[S3]:
    s3 = S3(installation)
    s3.stop()
    s3.start()
    yield s3
    s3.stop()


@pytest.fixture(scope="module")
def expected(installation: Installation, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExpectedTotals]:
    """Exact counts of the tables in the bucket, installed by the account of docs/security.md."""
    values = tmp_path_factory.mktemp("values") / "values.yaml"
    values.write_text(yaml.safe_dump({"admissionPolicies": False, **s3.values}))
    grant, create_policies = documented_commands("### Installation without cluster-wide rights")
    remove_rights(installation)
    run_script(grant)
    run_script(create_policies.replace("my-values.yaml", shlex.join([str(values), *TEST_VALUES])))
    installer = replace(installation, installer=f"system:serviceaccount:{installation.platform}:installer")
    yield ExpectedTotals.without_demo(installer, *TEST_VALUES, "--values", str(values))
    policies = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    run_command("kubectl", "delete", policies, "-l", f"app.kubernetes.io/instance={RELEASE}")
    remove_rights(installation)


def documented_commands(heading: str) -> list[str]:
    """Return the commands of a section of docs/security.md, which name the default namespaces."""
    section = (ROOT / "docs" / "security.md").read_text().split(f"\n{heading}\n")[1].split("\n## ")[0]
    return section.split("```\n")[1::2]


def run_script(script: str) -> None:
    run_command("bash", "-euo", "pipefail", "-c", script, cwd=ROOT)


def remove_rights(installation: Installation) -> None:
    for platform in (True, False):
        names = ["installer", "installer-applications"]
        installation.kubectl("delete", "rolebindings,roles", *names, "--ignore-not-found", platform=platform)


def test_tweets_arrive_exactly_once(installation: Installation, expected: ExpectedTotals) -> None:
    """The tables are in the bucket, and no volume of the streams exists."""
    expected.land(500)
    labelled, complete = expected.wait()
    print(f"\n500 tweets in Gold: {labelled:.0f} s, with the aggregates {complete:.0f} s", flush=True)
    assert not installation.get("persistentvolumeclaims")["items"]
    installation.helm("test", "--timeout", "5m")
    expected.add(documents=1, tweets=1)
    expected.wait()


@pytest.mark.usefixtures("trained_model")
def test_killed_drivers_and_executors_recover(installation: Installation, expected: ExpectedTotals) -> None:
    """The drivers of Bronze and Gold, and the executor of Silver, are killed at once."""
    silver = "sparkoperator.k8s.io/app-name=silver,spark-role=executor"
    executor = Fault("executor of silver killed", lambda: installation.kill_pods("-l", silver), KILLED)
    recover(installation, expected, kill_driver(installation, "bronze"), executor, kill_driver(installation, "gold"))


def test_streams_survive_an_outage_of_s3(installation: Installation, expected: ExpectedTotals, s3: S3) -> None:
    """No request is answered while a batch runs; after the outage the same drivers go on."""
    drivers = installation.driver_uids()
    faults = FaultInjection(installation, expected)

    def freeze() -> None:
        with s3.frozen():
            time.sleep(_OUTAGE_SECONDS)

    faults.inject(Fault(f"S3 frozen for {_OUTAGE_SECONDS} s", freeze, KILLED))
    faults.wait()
    assert installation.driver_uids() == drivers


def test_a_release_and_a_rescore_label_all_tweets_again(
    installation: Installation, expected: ExpectedTotals, airflow: Airflow, trained_model: TrainedModel
) -> None:
    """The model files go to the bucket and come from there; a driver is killed before the rescore."""
    uploads = trained_model.uploads()
    data = {"data": uploads.tweets, "precision": "fp32"}
    release = airflow.trigger("release_model", model=uploads.model, why="knows these tweets", **data)
    assert airflow.wait_for_run("release_model", release, 900) == "success", airflow.task_log(
        "release_model", release, "release"
    )
    recover(installation, expected, kill_driver(installation, "gold"))
    assert set(installation.rows_by_model_version()) == {"1", "2"}
    rescore = airflow.trigger("rescore_gold", reason="one version for all")
    expected.land()
    assert airflow.wait_for_run("rescore_gold", rescore, 900) == "success", airflow.task_states("rescore_gold", rescore)
    expected.wait()
    assert installation.rows_by_model_version() == {"2": expected.totals["rows"]}
