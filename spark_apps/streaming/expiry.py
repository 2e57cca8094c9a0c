"""Deletes the oldest days of tables with an age limit, between the batches of their stream.

A day is deleted once it is older than the limit, the stream that reads the table has read it, and the stream that
writes the table does not need it to recognise its input: see docs/decisions/0025-retention.md.
"""

import json
import logging
import time
from datetime import date, timedelta

from pyspark.sql import SparkSession

from spark_apps import storage
from spark_apps.errors import first_line
from spark_apps.lake.commits import open_existing_table
from spark_apps.lake.table_log import OtherWriterError
from spark_apps.streaming import checkpoint
from spark_apps.streaming.upkeep import Upkeep
from spark_apps.streaming.written_tables import WrittenTables
from spark_apps.tables import Table

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 3600.0
# A later commit may have rows of an earlier day, if the clocks of two executors differ.
_CLOCK_DAYS = timedelta(days=1)


class Expiry:
    """Deletes old rows from the tables of a stream, in the driver that writes them, even while no input arrives."""

    def __init__(self, tables: WrittenTables, upkeep: Upkeep) -> None:
        """Create an expiry, which is due immediately.

        Args:
            tables: tables of the stream.
            upkeep: removes the files of the deleted rows, after the retention.
        """
        self._tables = tables
        self._upkeep = upkeep
        self._began_at = float("-inf")

    def is_due(self) -> bool:
        """Return whether a table has an age limit, and the last `run` is at least `INTERVAL_SECONDS` ago."""
        return bool(self._tables.stream.expire) and time.monotonic() - self._began_at >= INTERVAL_SECONDS

    def run(self) -> None:
        """Delete the rows of old days, and the files of rows that were deleted before the retention.

        An error is logged, and `run` is due again after the usual interval.

        Raises:
            OtherWriterError: another process has written a table.
        """
        self._began_at = time.monotonic()
        for table in self._tables.stream.writes:
            if table.name in self._tables.stream.expire:
                try:
                    self._expire(table)
                except OtherWriterError:
                    raise
                except Exception as error:
                    _log.warning("%s: old rows were not deleted: %s", table.path(self._tables.lake), first_line(error))

    def _expire(self, table: Table) -> None:
        writer = self._tables.writers[table.name]
        before = writer.expired
        if before is not None and time.time() - before.at > self._tables.retention:
            # A table that no batch writes is not cleaned otherwise.
            self._upkeep.remove_files(table, before.at + self._tables.retention)
        first_day = self._tables.stream.expire[table.name]()
        if table.reader is not None:
            first_day = min(first_day, first_unread_day(self._tables.spark, self._tables.lake, table, table.reader))
        writer.expire(self._tables.spark, first_day)
        if writer.expired is not None and writer.expired != before:
            rows = writer.expired.rows - (before.rows if before else 0)
            _log.info("%s: deleted %d rows of the days before %s", table.path(self._tables.lake), rows, first_day)


def first_unread_day(spark: SparkSession, lake: str, table: Table, stream: str) -> date:
    """Return a day before which a stream has read all rows of a table with a partition per day.

    Args:
        spark: session that reads the lake.
        lake: folder or s3a:// URI of the Delta tables and checkpoints.
        table: table that the stream reads.
        stream: name of the stream.
    """
    offset = checkpoint.read_processed_offset(spark, lake, stream)
    if offset is None or offset["isStartingVersion"]:  # a stream begins with the files of a version, in any order
        return date.min
    newest = open_existing_table(lake, table).version()
    for version in range(int(offset["reservoirVersion"]), newest + 1):
        entry = storage.read(f"{table.path(lake)}/_delta_log/{version:020}.json")
        if entry is None:
            return date.min
        added = [json.loads(line)["add"] for line in entry.splitlines() if line.startswith(b'{"add"')]
        days = [file["partitionValues"][table.partition] for file in added if file["dataChange"]]
        if days:
            return date.fromisoformat(min(days)) - _CLOCK_DAYS
    return date.max
