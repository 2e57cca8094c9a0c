"""Outages that last: minutes in which nobody repairs anything. `make test-endurance` runs them by hand.

The tests of the suite end an outage as soon as its effect is there. These wait longer, over several runs of
`keep_streams_running`, and take ten minutes with the installation.
"""

import json
import time

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.faults import KILLED, Fault, recover, scale_operator
from tests.cluster.installation import Installation
from tests.waiting import until

pytestmark = [pytest.mark.endurance, pytest.mark.timeout(1200)]

_OUTAGE_SECONDS = 120


def test_two_minutes_without_airflow(installation: Installation, expected: ExpectedTotals, airflow: Airflow) -> None:
    """Tweets flow without it; an application that is deleted meanwhile is back after its return."""
    before = installation.driver_uids()
    started = time.monotonic()
    airflow.scale(0)
    expected.land()
    expected.wait()
    assert installation.driver_uids() == before
    installation.kubectl("delete", "sparkapplication", "bronze")
    time.sleep(max(0, _OUTAGE_SECONDS - (time.monotonic() - started)))
    assert installation.driver_uid("bronze") == ""
    back = Fault(
        "Airflow back after two minutes, with a deletion meanwhile", lambda: airflow.scale(1), KILLED, "bronze"
    )
    recover(installation, expected, back)
    assert installation.driver_uids()[1:] == before[1:]


def test_two_minutes_without_the_operator(installation: Installation, expected: ExpectedTotals) -> None:
    """Tweets flow without it; it never sees an edit, which is reverted after its return.

    Airflow reverts the edit, and leaves the submission to the operator.
    """
    scale_operator(0)
    try:
        started = time.monotonic()
        expected.land()
        expected.wait()
        patch = json.dumps({"spec": {"sparkConf": {"spark.foreign": "1"}}})
        installation.kubectl("patch", "sparkapplication", "silver", "--type=merge", "-p", patch)
        expected.land()
        time.sleep(max(0, _OUTAGE_SECONDS - (time.monotonic() - started)))
    finally:
        scale_operator(1)
    back = Fault("operator back after two minutes, with an edit meanwhile", lambda: None, KILLED, "silver")
    recover(installation, expected, back)
    application = ("sparkapplication", "silver")
    until(lambda: "spark.foreign" not in installation.get(*application)["spec"]["sparkConf"], 120, "the edit reverted")


@pytest.mark.parametrize("container", ["scheduler", "dag-processor", "triggerer"])
def test_a_frozen_process_of_airflow_is_restarted(installation: Installation, airflow: Airflow, container: str) -> None:
    """Airflow misses its heartbeat after 30 s, and the kubelet restarts it after four more probes."""

    def restarts() -> int:
        statuses = installation.get("pod", "airflow-0", platform=True)["status"]["containerStatuses"]
        return int(next(status["restartCount"] for status in statuses if status["name"] == container))

    before = restarts()
    freeze = (
        "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in "
        f"/opt/venv/bin/python*'airflow {container}'*) kill -STOP ${{p#/proc/}};; esac; done"
    )
    installation.kubectl("exec", "airflow-0", "-c", container, "--", "bash", "-c", freeze, platform=True)
    seconds = until(lambda: restarts() > before, 300, f"a restart of the {container}", every=2)
    print(f"\nfrozen {container} restarted: {seconds:.0f} s", flush=True)
    until(airflow.is_healthy, 300, "a healthy Airflow", every=2)
