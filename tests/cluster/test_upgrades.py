"""Upgrades that fail, rollbacks and limits of the watch: no object is left over, and no stream restarts."""

import time
from collections.abc import Iterator

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.installation import CHART, LAYERS, RELEASE, TEST_VALUES, Installation, run_command
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

# No node has so many cores: the new pods of Airflow and MLflow are never scheduled.
TOO_LARGE = ["--set", "airflow.resources.requests.cpu=1000", "--set", "mlflow.resources.requests.cpu=1000"]


@pytest.fixture
def streams_keep_running(installation: Installation, expected: ExpectedTotals) -> Iterator[None]:
    """The drivers before the test run after it, and tweets that land meanwhile arrive once."""
    before = installation.driver_uids()
    expected.land()
    yield
    expected.land()
    expected.wait()
    assert installation.driver_uids() == before


@pytest.mark.usefixtures("streams_keep_running")
def test_other_limits_of_the_watch_restart_no_stream(installation: Installation) -> None:
    """The drivers read the new limit from their volume, which the kubelet updates within two minutes."""
    limits = ["--set", "streams.stuckSeconds=333", "--set", "streams.failuresPerHour=5"]
    installation.helm("upgrade", str(CHART), *TEST_VALUES, *limits, "--wait", "--timeout", "10m")

    def limit(layer: str) -> str:
        read = (
            "exec",
            f"{layer}-driver",
            "-c",
            "spark-kubernetes-driver",
            "--",
            "cat",
            "/etc/stream-limits/stuckSeconds",
        )
        return installation.kubectl(*read, check=False)

    until(lambda: [limit(layer) for layer in LAYERS] == ["333"] * 3, 180, "the new limit in all drivers", every=2)
    installation.helm("rollback", "--wait", "--timeout", "10m")


@pytest.mark.usefixtures("streams_keep_running")
def test_after_a_failed_upgrade_a_rollback_and_an_upgrade_leave_the_same_objects(
    installation: Installation, airflow: Airflow
) -> None:
    before = installation.object_names()
    upgrade = ["helm", "upgrade", RELEASE, str(CHART), "--namespace", installation.platform, *TEST_VALUES]
    failed = run_command(*upgrade, *TOO_LARGE, "--wait", "--timeout", "30s", check=False)
    assert "context deadline exceeded" in failed, failed
    started = time.monotonic()
    installation.helm("rollback", "--wait", "--timeout", "10m")
    print(f"\nrolled back: {time.monotonic() - started:.0f} s", flush=True)
    assert installation.object_names() == before
    until(airflow.is_healthy, 120, "a healthy Airflow", every=2)
    installation.helm("upgrade", str(CHART), *TEST_VALUES, "--wait", "--timeout", "10m")
    assert installation.object_names() == before


def test_a_size_that_a_volume_cannot_get_changes_nothing(installation: Installation) -> None:
    history = installation.helm("history")
    upgrade = ["helm", "upgrade", RELEASE, str(CHART), "--namespace", installation.platform, *TEST_VALUES]
    refused = run_command(*upgrade, "--set", "storage.volume.size=1Gi", check=False)
    assert "a volume cannot shrink: set storage.volume.size to 20Gi" in refused, refused
    assert installation.helm("history") == history
