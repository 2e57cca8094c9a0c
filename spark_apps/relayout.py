"""Rewrite the tables of a lake that an earlier version created with a partition per day.

Delta refuses to continue a stream over a table whose partitions have changed. The command therefore runs the streams
that read the tables twice, in a session that allows the change:

1. Drain: the streams read all rows, so that no row of the earlier layout is left to them.
2. Rewrite: each table is replaced in one commit. Its id, its rows and its totals stay.
3. Advance: the streams read up to the commits of the rewrite.

Each step is safe to repeat: a killed command continues where it ended. The streams must be stopped meanwhile.
"""

import logging
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event

from pyspark.sql import SparkSession

from spark_apps import storage
from spark_apps.errors import UserError
from spark_apps.gold import app as gold
from spark_apps.lake import layout
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.session import make_session
from spark_apps.settings import Settings
from spark_apps.signals import set_on_signal
from spark_apps.streaming.runner import StreamRunner
from spark_apps.tables import TABLES, Table

_log = logging.getLogger(__name__)
_QUERY = "relayout"
_UNFINISHED = "relayout.json"
_ALLOW_CHANGE = "spark.databricks.delta.streaming.unsafeReadOnPartitionColumnChanges.enabled"


class RelayoutError(UserError):
    """The command was stopped before its end; the message says what to do."""

    exit_code = 1


@dataclass(frozen=True)
class TableReport:
    """A rewritten table: the number of its files before and after, and the time of the rewrite."""

    table: str
    files_before: int
    files: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.table}: {self.files_before:,} files → {self.files:,} in {self.seconds:.1f} s"


def run(settings: Settings, on_table: Callable[[TableReport], None]) -> list[TableReport]:
    """Rewrite the lake of `settings` in a new Spark session; a signal stops the command after the current table.

    `on_table` is called after each table.
    """
    (lake,) = settings.require("lake")
    read_status(lake)  # a typo must fail before Spark starts
    if _is_current(lake):
        return []
    stop = Event()
    with ExitStack() as stack:
        spark = make_session(settings)
        stack.callback(spark.stop)
        # Install the handlers after Spark, which installs its own handler for Ctrl-C.
        stack.enter_context(set_on_signal(stop))
        return relayout(spark, settings, on_table, stop)


def relayout(
    spark: SparkSession, settings: Settings, on_table: Callable[[TableReport], None], stop: Event
) -> list[TableReport]:
    """Rewrite the tables that have another layout than tables.py; do nothing if there is none.

    Raises `RelayoutError` if `stop` is set before the end, and `LakeError` if another process writes the lake.
    """
    (lake,) = settings.require("lake")
    if _is_current(lake):
        return []
    spark.conf.set(_ALLOW_CHANGE, "true")
    try:
        for table in _outdated(lake):
            layout.prepare(spark, lake, table)
        _run_readers(spark, settings, stop)
        _check_drained(lake)
        # This file exists while a stream may have to pass the commit of a rewrite.
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
    """Return the existing tables with another layout than tables.py."""
    opened = ((table, open_table(lake, table)) for table in TABLES)
    return [table for table, delta in opened if delta is not None and not layout.is_current(delta, table)]


def _run_readers(spark: SparkSession, settings: Settings, stop: Event) -> None:
    """Let the streams that read the rewritten tables process all rows."""
    runner = StreamRunner(spark, str(settings.lake), lambda batch: _log.info("%s", batch), stop)
    runner.run(gold.streams(spark, settings), None)
    _raise_if_stopped(stop)


def _check_drained(lake: str) -> None:
    lag = read_status(lake).lag
    if lag["gold"] or lag["aggregates"]:
        raise LakeError(f"{lake} was written while its streams were read: stop all streams, then run the command again")


def _rewrite(spark: SparkSession, lake: str, table: Table) -> TableReport:
    began, before = time.monotonic(), read_status(lake).tables[table.name]
    layout.rewrite(spark, TableWriter(lake, table, _QUERY, f"{_QUERY}:{uuid.uuid4().hex}"), before.bytes)
    files = read_status(lake).tables[table.name].files
    return TableReport(table.name, before.files, files, round(time.monotonic() - began, 1))


def _raise_if_stopped(stop: Event) -> None:
    if stop.is_set():
        raise RelayoutError("the command was stopped before its end: run it again, before the streams start")
