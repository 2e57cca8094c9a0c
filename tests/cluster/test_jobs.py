"""The jobs of the DAGs on a real cluster: a release during an outage of Airflow, a rescore during an upgrade, and a
rebuild and a replay of Silver.
"""

from typing import Any

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.faults import CHANGED, KILLED, Fault, FaultInjection, recover
from tests.cluster.installation import CHART, LAYERS, TEST_VALUES, Installation
from tests.cluster.models import TrainedModel
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def executors(stream: str) -> str:
    """Return the selector of the executors of a stream."""
    return f"sparkoperator.k8s.io/app-name={stream},spark-role=executor"


def start_job(airflow: Airflow, dag: str, job: str, stream: str, **conf: Any) -> str:
    """Trigger the DAG of a job; return the run once the job has pods, when no pod of its stream may be left."""
    installation = airflow.installation
    run = airflow.trigger(dag, **conf)
    pods = ["pods", "-l", f"sparkoperator.k8s.io/app-name={job}"]
    until(lambda: installation.get(*pods)["items"], 300, f"the pods of {job}", every=1)
    assert installation.driver(stream) is None and not installation.pods("Running", selector=executors(stream))
    return run


def wait_for_success(airflow: Airflow, dag: str, run: str) -> None:
    state = airflow.wait_for_run(dag, run, 900)
    assert state == "success", airflow.task_states(dag, run)


def applications(installation: Installation) -> set[str]:
    """Return the names of all SparkApplications: without the jobs, which are deleted at their end."""
    return {application["metadata"]["name"] for application in installation.get("sparkapplications")["items"]}


def silver_rows(installation: Installation) -> dict[str, int]:
    """Return the number of rows in the tables of Silver."""
    tables = installation.tables()
    return {"tweets": tables["silver/tweets"]["rows"], "quarantine": tables["silver/quarantine"]["rows"]}


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

    kill = Fault("executor of gold killed", lambda: installation.kill_pods("-l", executors("gold")), KILLED)
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
    ended = ("Succeeded", "Failed")
    until(lambda: installation.pods(*ended, selector=executors("gold")), 60, "an executor that has ended")

    run = start_job(airflow, "rescore_gold", "rescore", "gold", reason="one version for all")
    expected.land()
    # The upgrade restarts Airflow.
    restart_airflow = ["--set", "airflow.parallelism=5", "--wait", "--timeout", "10m"]
    installation.helm("upgrade", str(CHART), *TEST_VALUES, *restart_airflow)
    wait_for_success(airflow, "rescore_gold", run)
    faults.wait()
    expected.wait()
    assert installation.rows_by_model_version() == {"2": expected.totals["rows"]}
    assert applications(installation) == set(LAYERS)


def test_a_rebuild_and_a_replay_of_silver_change_nothing(
    installation: Installation, expected: ExpectedTotals, airflow: Airflow
) -> None:
    """The parser has not changed, so the tables of Silver keep their rows. Bronze and Gold keep running.

    Tweets that land meanwhile arrive, once. The replay is refused while the rebuild holds Silver. It is triggered again
    right after the rebuild, while the operator is still submitting Silver.
    """
    expected.wait()
    before, totals = silver_rows(installation), dict(expected.totals)
    drivers = [installation.driver_uid(layer) for layer in ("bronze", "gold")]
    replay = {"reason": "try again", "quarantine_reasons": ["not_json", "missing_text"]}

    rebuild = start_job(airflow, "rebuild_table", "rebuild-silver", "silver", reason="a parser", table="silver")
    refused = airflow.trigger("replay_quarantine", **replay)
    expected.land()
    assert airflow.wait_for_run("replay_quarantine", refused, 120) == "failed"
    assert "held by rebuild-table" in airflow.task_log("replay_quarantine", refused, "suspend_silver")
    wait_for_success(airflow, "rebuild_table", rebuild)

    run = start_job(airflow, "replay_quarantine", "replay", "silver", **replay)
    expected.land()
    wait_for_success(airflow, "replay_quarantine", run)

    expected.wait()
    after = silver_rows(installation)
    assert after == {name: before[name] + expected.totals[name] - totals[name] for name in before}
    assert [installation.driver_uid(layer) for layer in ("bronze", "gold")] == drivers
    assert applications(installation) == set(LAYERS)
