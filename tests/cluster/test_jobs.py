"""The jobs of the DAGs on a real cluster: a release during an outage of Airflow, and a rescore during an upgrade."""

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.faults import CHANGED, KILLED, Fault, FaultInjection, recover
from tests.cluster.installation import CHART, LAYERS, TEST_VALUES, Installation
from tests.cluster.models import TrainedModel
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

_GOLD_EXECUTORS = "sparkoperator.k8s.io/app-name=gold,spark-role=executor"


def test_a_release_survives_an_outage_of_airflow(
    installation: Installation, expected: ExpectedTotals, airflow: Airflow, trained_model: TrainedModel
) -> None:
    """Airflow is killed while the first job of the release runs, and stays away until the streams have proved that they
    do not need Airflow. An executor of Gold is killed and an application deleted meanwhile. After Airflow's return the
    application is back, the release goes on, and Gold switches to the new version without a restart.
    """
    uploads = trained_model.uploads()
    before, drivers = installation.rows_by_model_version(), installation.driver_uids()
    data = {"data": uploads.tweets, "precision": "fp32"}
    run = airflow.trigger("release_model", model=uploads.model, why="knows these tweets", **data)
    model_jobs = ["pods", "-l", "app.kubernetes.io/name=model-jobs"]
    until(lambda: installation.get(*model_jobs, platform=True)["items"], 300, "the pod of the first job", every=1)
    installation.kubectl("scale", "statefulset/airflow", "--replicas=0", platform=True)
    installation.kill_pods("airflow-0", platform=True)

    kill = Fault("executor of gold killed", lambda: installation.kill_pods("-l", _GOLD_EXECUTORS), KILLED)
    recover(installation, expected, kill)
    assert installation.driver_uids() == drivers

    installation.kubectl("delete", "sparkapplication", "bronze")
    until(lambda: installation.driver("bronze") is None, 60, "the end of bronze's driver", every=1)
    recover(installation, expected, Fault("Airflow back", lambda: airflow.scale(1), KILLED, "bronze"))
    assert installation.driver_uids()[1:] == drivers[1:]

    assert airflow.wait_for_run("release_model", run, 900) == "success", airflow.task_log(
        "release_model", run, "release"
    )
    released = installation.rows_by_model_version()
    expected.land()
    expected.wait()
    after = installation.rows_by_model_version()
    assert set(after) == {"1", "2"} and after["1"] == released["1"] >= before["1"]
    assert sum(after.values()) == expected.totals["rows"] > sum(released.values())
    assert installation.driver_uids()[1:] == drivers[1:]


def test_a_rescore_survives_an_upgrade(installation: Installation, expected: ExpectedTotals, airflow: Airflow) -> None:
    """Tweets that land meanwhile are labelled afterwards, and the trends follow, as exact as before.

    The process of Gold's driver is killed and Silver's application deleted just before. The rescore waits for Gold's
    new driver to stop, but not for the executors that the killed driver has left.
    """
    assert installation.rows_by_model_version()["1"] > 0
    faults = FaultInjection(installation, expected)
    faults.inject(
        Fault("process of gold's driver killed", lambda: installation.signal_driver("gold", "KILL"), KILLED, "gold"),
        Fault(
            "application of silver deleted",
            lambda: installation.kubectl("delete", "sparkapplication", "silver", "--wait=false"),
            CHANGED,
            "silver",
        ),
    )
    faults.wait_for_driver("gold", 240)
    until(lambda: installation.pods("Succeeded", "Failed", selector=_GOLD_EXECUTORS), 60, "an executor that has ended")

    run = airflow.trigger("rescore_gold", reason="one version for all")
    rescore_pods = ["pods", "-l", "sparkoperator.k8s.io/app-name=rescore"]
    until(lambda: installation.get(*rescore_pods)["items"], 300, "the pods of the rescore", every=1)
    assert installation.driver("gold") is None and not installation.pods("Running", selector=_GOLD_EXECUTORS)
    expected.land()
    # The upgrade restarts Airflow.
    restart_airflow = ["--set", "airflow.parallelism=5", "--wait", "--timeout", "10m"]
    installation.helm("upgrade", str(CHART), *TEST_VALUES, *restart_airflow)
    state = airflow.wait_for_run("rescore_gold", run, 900)
    assert state == "success", airflow.task_states("rescore_gold", run)
    faults.wait()
    assert installation.rows_by_model_version() == {"2": expected.totals["rows"]}
    applications = installation.get("sparkapplications")["items"]
    assert {application["metadata"]["name"] for application in applications} == set(LAYERS)
