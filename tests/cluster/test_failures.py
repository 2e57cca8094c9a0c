"""Drivers, executors and applications fail, several streams at a time, and no tweet is lost or counted twice.

The streams recover from one round before the next begins. Each test prints its times (`pytest -s`).
"""

import json
import time

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.faults import CHANGED, Fault, FaultInjection, kill_driver, recover
from tests.cluster.installation import LAYERS, Installation
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def test_killed_drivers_recover(installation: Installation, expected: ExpectedTotals) -> None:
    """The drivers of all three layers are killed at once."""
    recover(installation, expected, *(kill_driver(installation, layer) for layer in LAYERS))


@pytest.mark.usefixtures("trained_model")
def test_an_edited_a_frozen_and_a_stopped_stream_recover(
    installation: Installation, expected: ExpectedTotals, airflow: Airflow
) -> None:
    """Somebody edits Bronze's application, Gold's driver freezes, and a person stops Silver, all at once.

    The edit, a foreign key and an image that does not exist, is reverted. The frozen driver is replaced. Silver stays
    down until a person starts it, even when its application is deleted meanwhile.
    """
    gold = installation.driver_uid("gold")
    patch = {"spec": {"image": "localhost/no-such-image:1", "sparkConf": {"spark.foreign": "1"}}}
    edit = ["patch", "sparkapplication", "bronze", "--type=merge", "-p", json.dumps(patch)]
    faults = FaultInjection(installation, expected)
    faults.inject(
        Fault("application of bronze edited by hand", lambda: installation.kubectl(*edit), CHANGED, "bronze"),
        Fault("driver of gold frozen", lambda: installation.signal_driver("gold", "STOP"), CHANGED, "gold"),
    )
    stop_silver_and_delete_its_application(installation, expected, airflow)
    started = Fault(
        "silver started by a person", lambda: airflow.operate_stream("silver", "start", "done"), CHANGED, "silver"
    )
    faults.inject(started)
    faults.wait()
    spec = installation.get("sparkapplication", "bronze")["spec"]
    assert spec["image"].endswith("/tweet-sentiment-spark:0.1.0") and "spark.foreign" not in spec["sparkConf"]
    assert installation.driver_uid("gold") != gold


def stop_silver_and_delete_its_application(
    installation: Installation, expected: ExpectedTotals, airflow: Airflow
) -> None:
    reason = f"inspecting the tables, {time.time():.0f}"

    def stop() -> None:
        airflow.operate_stream("silver", "stop", reason)
        until(lambda: installation.driver("silver") is None, 180, "the end of silver's driver", every=1)

    # The driver finishes its batch when it is asked to end: that is no error.
    assert installation.exit_codes("silver-driver", stop) == {"0"}
    expected.land()
    airflow.wait_for_log(f"silver: held by operate-stream.*{reason}", 150)
    installation.kubectl("delete", "sparkapplication", "silver")
    airflow.wait_for_log(f"silver: held by.*{reason}.*SparkApplication does not exist", 150)
    assert not installation.get("pods", "-l", "sparkoperator.k8s.io/app-name=silver")["items"]
    annotations = installation.get("configmap", "stream-applications")["metadata"]["annotations"]
    assert reason in annotations["tweet-sentiment/hold-silver"]
