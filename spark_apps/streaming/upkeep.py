"""Cleans the tables of a stream between its batches, so that their size stays bounded."""

import logging
import time
from collections.abc import Sequence

from spark_apps.errors import first_line
from spark_apps.lake import cleanup
from spark_apps.streaming import checkpoint
from spark_apps.streaming.written_tables import WrittenTables
from spark_apps.tables import Table

_log = logging.getLogger(__name__)
# A table is cleaned once an hour. With a retention of less than eight hours, it is cleaned eight times per retention.
_CLEANINGS_PER_RETENTION = 8
_MAX_INTERVAL_SECONDS = 3600.0


class Upkeep:
    """Cleans the tables of a stream, in the driver that writes the tables: no other process may write them."""

    def __init__(self, tables: WrittenTables, app_id: str) -> None:
        """Read the times of the last cleanings.

        Args:
            tables: tables to clean.
            app_id: name of the query and id of its checkpoint.
        """
        self._tables = tables
        self._app_id = app_id
        self._interval = min(_MAX_INTERVAL_SECONDS, tables.retention / _CLEANINGS_PER_RETENTION)
        self._cleaned_at = checkpoint.read_upkeep(tables.spark, tables.lake, tables.stream.name)

    def run(self, batch: int) -> None:
        """Clean the tables that are due, after the stream has processed `batch`.

        A failed cleaning is logged, and repeated after the usual interval.
        """
        # `clean` needs a batch that has written the table: do not open the other tables.
        written = [
            table for table in self._tables.stream.writes if self._tables.writers[table.name].is_committed(batch)
        ]
        due = [table for table in written if self._is_due(table)]
        self._save([table for table in due if self._clean(table, batch)])

    def remove_files(self, table: Table, due_at: float) -> None:
        """Remove the files that a table has not used for the retention, unless it was cleaned since a time.

        Args:
            table: table of the stream.
            due_at: Unix seconds.
        """
        if self._cleaned_at.get(table.name, 0.0) < due_at and self._tables.remove_files(table):
            self._save([table])

    def _save(self, cleaned: Sequence[Table]) -> None:
        if not cleaned:
            return
        self._cleaned_at |= {table.name: time.time() for table in cleaned}
        try:
            checkpoint.save_upkeep(self._tables.spark, self._tables.lake, self._tables.stream.name, self._cleaned_at)
        except Exception as error:
            _log.warning("stream %s: the times of the cleanings were not saved: %s", self._tables.stream.name, error)

    def _is_due(self, table: Table) -> bool:
        return time.time() - self._cleaned_at.get(table.name, 0.0) > self._interval

    def _clean(self, table: Table, batch: int) -> bool:
        """Clean a table; return whether to wait for the interval before the next attempt."""
        try:
            query_batch = (self._app_id, batch)
            tables, reader = self._tables, self._tables.reader(table)
            return cleanup.clean(tables.spark, tables.lake, table, query_batch, tables.retention, reader)
        except Exception as error:
            _log.warning("%s was not cleaned: %s", table.path(self._tables.lake), first_line(error))
            return True
