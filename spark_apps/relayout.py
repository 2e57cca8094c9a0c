"""Rewrite the tables of a lake that an earlier version created with a partition per day.

After the partitions of a table have changed, Delta refuses to continue a stream that reads it. Therefore the command
runs Gold's streams, which read the rewritten tables, before and after the rewrite, in a session that allows the change:

1. Drain: the streams read all rows, so that no row in the old layout remains unread.
2. Rewrite: each table is replaced in one commit. The table keeps its id, its rows and its totals.
3. Advance: the streams read past the commits of the rewrite.

Each step is safe to repeat: after a kill, the same command continues. Stop all streams of the lake first.
"""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from pyspark.sql import SparkSession

from spark_apps import storage
from spark_apps.errors import UserError
from spark_apps.gold import app as gold
from spark_apps.jobs import run_job
from spark_apps.lake import layout
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.lake.schema_version import check_schema_versions
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.settings import Settings
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import TABLES, Table

_log = logging.getLogger(__name__)
_QUERY = "relayout"
# This file in the checkpoints marks an unfinished command: from before the rewrite until the streams have read past it.
_UNFINISHED = "relayout.json"
_ALLOW_CHANGE = "spark.databricks.delta.streaming.unsafeReadOnPartitionColumnChanges.enabled"


class RelayoutError(UserError):
    """A signal stopped the command before it was finished; the message says what to do."""

    exit_code = 1


@dataclass(frozen=True)
class TableReport:
    """A rewritten table: the number of its files before and after, and the duration of the rewrite."""

    table: str
    files_before: int
    files: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.table}: {self.files_before:,} files → {self.files:,} in {self.seconds:.1f} s"


def run(settings: Settings, on_table: Callable[[TableReport], None]) -> list[TableReport]:
    """Rewrite the lake of `settings` in a new Spark session; SIGINT or SIGTERM stops it after the current table.

    Args:
        settings: settings of the command; `lake` is required.
        on_table: called after each rewritten table.

    Raises:
        LakeError: the lake does not exist, or another process writes to it.
        RelayoutError: a signal stopped the command before it was finished.
    """
    (lake,) = settings.require("lake")
    read_status(lake)  # report a mistyped lake before Spark starts
    if _is_current(lake):
        return []
    return run_job(settings, "rewritten", lambda spark, report, stop: relayout(spark, settings, report, stop), on_table)


def relayout(
    spark: SparkSession, settings: Settings, on_table: Callable[[TableReport], None], stop: Event
) -> list[TableReport]:
    """Rewrite the tables that do not have the layout of tables.py; return a report on each.

    Raises:
        RelayoutError: `stop` was set before the command was finished.
        LakeError: another process writes to the lake, or a newer version of this program has written it.
    """
    (lake,) = settings.require("lake")
    if _is_current(lake):
        return []
    check_schema_versions(lake, TABLES)
    spark.conf.set(_ALLOW_CHANGE, "true")
    try:
        for table in _outdated(lake):
            layout.prepare(spark, lake, table)
        _run_readers(spark, settings, stop)
        _check_drained(lake)
        storage.put(f"{lake}/checkpoints", _UNFINISHED, b"{}")
        reports = []
        for table in _outdated(lake):
            _raise_if_stopped(stop)
            reports.append(_rewrite(spark, lake, table))
            on_table(reports[-1])
        _run_readers(spark, settings, stop)
    finally:
        spark.conf.unset(_ALLOW_CHANGE)
    storage.delete(f"{lake}/checkpoints/{_UNFINISHED}")
    return reports


def _is_current(lake: str) -> bool:
    return not _outdated(lake) and storage.read(f"{lake}/checkpoints/{_UNFINISHED}") is None


def _outdated(lake: str) -> list[Table]:
    """Return the existing tables that do not have the layout of tables.py."""
    opened = ((table, open_table(lake, table)) for table in TABLES)
    return [table for table, delta in opened if delta is not None and not layout.is_current(delta, table)]


def _run_readers(spark: SparkSession, settings: Settings, stop: Event) -> None:
    """Run Gold's streams, which read the rewritten tables, over all rows."""

    def log(report: BatchReport) -> None:
        _log.info("%s", report)

    runner = StreamRunner(spark, str(settings.lake), settings.retention_seconds, log, stop)
    runner.run(gold.streams(spark, settings), None)
    _raise_if_stopped(stop)


def _check_drained(lake: str) -> None:
    """Raise `LakeError` if other streams have written rows since the drain."""
    lag = read_status(lake).lag
    if lag["gold"] or lag["aggregates"]:
        raise LakeError(f"another process has written to {lake}: stop all streams, then run the command again")


def _rewrite(spark: SparkSession, lake: str, table: Table) -> TableReport:
    began, before = time.monotonic(), read_status(lake).tables[table.name]
    layout.rewrite(spark, TableWriter(lake, table, _QUERY, f"{_QUERY}:{uuid.uuid4().hex}"), before.bytes)
    files = read_status(lake).tables[table.name].files
    return TableReport(table.name, before.files, files, round(time.monotonic() - began, 1))


def _raise_if_stopped(stop: Event) -> None:
    if stop.is_set():
        raise RelayoutError("relayout was stopped before it was finished: run it again before you start the streams")
