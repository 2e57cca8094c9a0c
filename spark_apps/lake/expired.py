"""The rows that a table has lost because of their age: part of its commit metadata, like its totals."""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from spark_apps.lake.commits import Commit, batch_commits, open_existing_table
from spark_apps.tables import Table


@dataclass(frozen=True)
class Expired:
    """The rows that were deleted from a table with a partition per day.

    Attributes:
        before: rows of all days before this day were deleted.
        rows: their number since the table was created.
        at: when the last of them were deleted, in Unix seconds.
    """

    before: date
    rows: int
    at: float

    @classmethod
    def of(cls, commit: Commit | None) -> Self | None:
        """Return the deleted rows of a table by its newest commit; None if no row was deleted."""
        return cls.from_json(commit.metadata.expired if commit else None)

    @classmethod
    def from_json(cls, saved: dict[str, Any] | None) -> Self | None:
        return None if saved is None else cls(date.fromisoformat(saved["before"]), saved["rows"], saved["at"])

    def to_json(self) -> dict[str, Any]:
        return {"before": str(self.before), "rows": self.rows, "at": self.at}


def read_expired(lake: str, table: Table, version: int | None = None) -> Expired | None:
    """Return the deleted rows of a table, at its newest version or at `version`.

    Raises:
        LakeError: the table does not exist or is not readable.
    """
    delta = open_existing_table(lake, table)
    if version is not None:
        delta.load_as_version(version)
    return Expired.of(next(batch_commits(delta), None))


def rows_before(delta: DeltaTable, table: Table, first_day: date) -> int:
    """Return the number of rows in partitions of days before `first_day`, by the statistics in the log."""
    files = pa.table(delta.get_add_actions(flatten=True))
    if not files.num_rows:
        return 0
    is_old = pc.less(files[f"partition.{table.partition}"], pa.scalar(first_day))
    return int(pc.sum(files.filter(is_old)["num_records"]).as_py() or 0)


def utc_day(seconds: float) -> date:
    """Return the UTC date of a Unix time."""
    return datetime.fromtimestamp(seconds, UTC).date()


def days_ago(days: int) -> date:
    """Return the UTC date of a number of days ago."""
    return utc_day(time.time()) - timedelta(days=days)
