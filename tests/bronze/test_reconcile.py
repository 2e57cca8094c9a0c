"""The limits of time between the deletion of old documents and the reconciliation."""

from pathlib import Path

import pytest

from spark_apps.bronze.reconcile import ignored_until, reconciled_until
from spark_apps.lake.expired import Expired
from spark_apps.landing.landed_file import LandedFile
from spark_apps.landing.log import LandingLog

DAY = 86_400.0
MIDNIGHT = 20_000 * DAY


@pytest.mark.parametrize("at", [MIDNIGHT + minute * 60.0 for minute in range(0, 24 * 60, 20)])
def test_every_ignored_file_was_compared_with_bronze(tmp_path: Path, at: float) -> None:
    """A file that the last reconciliation has not compared, or has missed, is not ignored by the next one."""
    log = LandingLog(str(tmp_path))
    log.write_missed("complete", at, [])
    complete = reconciled_until(log)
    assert at - 2 * DAY < ignored_until(Expired(complete, 1, 0.0)) < at
    log.write_missed("incomplete", at + 3 * DAY, [LandedFile(at, "file:/missed", 1, "1")])
    assert reconciled_until(log) == complete


def test_no_document_may_be_deleted_before_the_first_reconciliation(tmp_path: Path) -> None:
    assert ignored_until(Expired(reconciled_until(LandingLog(str(tmp_path))), 1, 0.0)) < 0
    assert ignored_until(None) == 0.0
