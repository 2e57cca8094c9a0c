"""Cleans the tables of a stream between its batches, so that their size stays bounded."""

import logging
import time
from collections.abc import Mapping

from pyspark.sql import SparkSession

from spark_apps.errors import first_line
from spark_apps.lake import cleanup
from spark_apps.lake.writer import TableWriter
from spark_apps.streaming import checkpoint
from spark_apps.streaming.stream import Stream
from spark_apps.tables import Table

_log = logging.getLogger(__name__)
# A table is cleaned once an hour. With a retention of less than eight hours, it is cleaned eight times per retention.
_CLEANINGS_PER_RETENTION = 8
_MAX_INTERVAL_SECONDS = 3600.0


class Upkeep:
    """Cleans the tables of a stream, in the driver that writes the tables: no other process may write them."""

    def __init__(
        self,
        spark: SparkSession,
        lake: str,
        stream: Stream,
        writers: Mapping[str, TableWriter],
        app_id: str,
        retention: float,
    ) -> None:
        """Read the times of the last cleanings.

        Args:
            spark: session that runs the stream.
            lake: folder or s3a:// URI of the Delta tables and checkpoints.
            stream: stream that writes the tables.
            writers: writers of the tables, by the name of the table.
            app_id: name of the query and id of its checkpoint.
            retention: seconds for which replaced files and old versions of a table are kept.
        """
        self._spark = spark
        self._lake = lake
        self._stream = stream
        self._writers = writers
        self._app_id = app_id
        self._retention = retention
        self._interval = min(_MAX_INTERVAL_SECONDS, retention / _CLEANINGS_PER_RETENTION)
        self._cleaned_at = checkpoint.read_upkeep(spark, lake, stream.name)

    def run(self, batch: int) -> None:
        """Clean the tables that are due, after the stream has processed `batch`.

        A failed cleaning is logged, and repeated after the usual interval.
        """
        # `clean` needs a batch that has written the table: do not open the other tables.
        written = [table for table in self._stream.writes if self._writers[table.name].is_committed(batch)]
        due = [table for table in written if self._is_due(table)]
        done = [table for table in due if self._clean(table, batch)]
        if done:
            self._cleaned_at |= {table.name: time.time() for table in done}
            try:
                checkpoint.save_upkeep(self._spark, self._lake, self._stream.name, self._cleaned_at)
            except Exception as error:
                _log.warning("stream %s: the times of the cleanings were not saved: %s", self._stream.name, error)

    def _is_due(self, table: Table) -> bool:
        return time.time() - self._cleaned_at.get(table.name, 0.0) > self._interval

    def _clean(self, table: Table, batch: int) -> bool:
        """Clean a table; return whether to wait for the interval before the next attempt."""
        try:
            query_batch = (self._app_id, batch)
            reader = checkpoint.position_reader(self._spark, self._lake, table)
            return cleanup.clean(self._spark, self._lake, table, query_batch, self._retention, reader)
        except Exception as error:
            _log.warning("%s was not cleaned: %s", table.path(self._lake), first_line(error))
            return True
