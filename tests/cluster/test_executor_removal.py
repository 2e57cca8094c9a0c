"""Airflow removes the executors that killed drivers have left. The tests before have killed drivers."""

import pytest

from tests.cluster.installation import Installation
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def test_executors_of_killed_drivers_are_removed(installation: Installation) -> None:
    """Airflow removes an executor five minutes after its end, at the end of a run of five minutes."""
    executors = "spark-role=executor"
    until(lambda: not installation.pods("Succeeded", "Failed", selector=executors), 780, "no ended executor", every=2)
