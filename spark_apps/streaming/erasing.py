"""Applies erasures to the tables of a stream, between its batches, even while no input arrives.

After the retention, the files with the erased rows are removed, also from a table that no batch writes any more.
"""

import logging
import time

from spark_apps.errors import first_line
from spark_apps.lake.erasure_progress import Progress
from spark_apps.lake.erasures import (
    Pending,
    Position,
    applied_batch,
    newest_position,
    next_position,
    read_applied_batch,
)
from spark_apps.lake.table_log import OtherWriterError
from spark_apps.streaming.written_tables import WrittenTables
from spark_apps.tables import Table

_log = logging.getLogger(__name__)
# An erasure reads whole columns of a table, and all documents of Bronze. Notices arrive all the time; an interval
# bounds the share of time that goes into applying them.
INTERVAL_SECONDS = 3600.0
# A table that is not ready for its erasures is tried again after this time.
_RETRY_SECONDS = 60.0


class Eraser:
    """Applies erasures to the tables of a stream, in the driver that writes them."""

    def __init__(self, written: WrittenTables) -> None:
        """Create an eraser of the tables that a stream writes; the first erasures are due immediately."""
        self._written = written
        self._began_at = float("-inf")
        self._progress: Progress | None = None

    def is_due(self) -> bool:
        """Return whether erasures or removals of files are pending, and `run` was called long enough ago."""
        if not self._written.stream.erase or time.monotonic() - self._began_at < INTERVAL_SECONDS:
            return False
        newest = newest_position(self._written.lake)
        if newest is None:
            return False
        progress, oldest_kept = self._read_progress(newest), time.time() - self._written.retention
        return any(self._end(table, newest) or progress.waiting(table.name, oldest_kept) for table in self._tables())

    def run(self) -> None:
        """Apply the pending erasures, in several commits if there are many; remove files with rows erased before.

        An error is logged, and `run` is due again after the usual interval.

        Raises:
            OtherWriterError: another process has written a table.
            LakeError: silver/erasures is not readable.
        """
        self._began_at = time.monotonic()
        newest = newest_position(self._written.lake)
        for table in self._tables() if newest else ():
            try:
                while newest and (end := self._end(table, newest)):
                    if not self._apply(table, end):
                        self._began_at = time.monotonic() - INTERVAL_SECONDS + _RETRY_SECONDS
                        break
                self._remove_files(table)
            except OtherWriterError:
                raise
            except Exception as error:
                _log.warning("%s: the erasures were not applied: %s", table.path(self._written.lake), first_line(error))

    def _tables(self) -> list[Table]:
        return [table for table in self._written.stream.writes if table.name in self._written.stream.erase]

    def _end(self, table: Table, newest: Position) -> Position | None:
        """Return the position up to which erasures can be applied to a table; None if none are pending."""
        limits = [read_applied_batch(self._written.lake, before, newest) for before in self._written.stream.erase_after]
        end = min([newest.batch, *limits])
        return Position(newest.table, end) if end > self._applied(table, newest) else None

    def _applied(self, table: Table, newest: Position) -> int:
        return applied_batch(self._written.writers[table.name].erased, newest)

    def _read_progress(self, newest: Position) -> Progress:
        """Return the progress of the tables; save it if erasures were applied since."""
        if self._progress is None or self._progress.erasures != newest.table:
            self._progress = Progress.read(self._written.lake, self._written.stream.name, newest.table)
        progress = self._progress
        for table in self._tables():
            # The file was lost, or a kill came between the commit and the write of the file.
            batch = self._applied(table, newest)
            if batch >= 0 and progress.step_of(table.name, batch) is None:
                progress = progress.applied(table.name, batch, time.time())
        self._save_progress(progress)
        return progress

    def _save_progress(self, progress: Progress) -> None:
        if progress is not self._progress:
            progress.write(self._written.lake, self._written.stream.name)
            self._progress = progress

    def _remove_files(self, table: Table) -> None:
        progress, oldest_kept = self._progress, time.time() - self._written.retention
        if progress is None or not progress.waiting(table.name, oldest_kept):
            return
        if self._written.remove_files(table):
            self._save_progress(progress.removed(table.name, oldest_kept, time.time()))

    def _apply(self, table: Table, end: Position) -> bool:
        """Apply erasures; return whether they are applied, False if the table is not ready for them yet."""
        began, after = time.monotonic(), self._applied(table, end)
        end = next_position(self._written.spark, self._written.lake, after, end)
        writer = self._written.writers[table.name]
        before = writer.totals.get("deleted", 0)
        self._written.stream.erase[table.name](Pending(self._written.spark, self._written.lake, after, end), writer)
        if self._applied(table, end) == after:
            return False
        self._read_progress(end)
        _log.info(
            "%s: erasures of batches %d to %d are applied, %d rows deleted, in %.1f s",
            table.path(self._written.lake),
            after + 1,
            end.batch,
            writer.totals.get("deleted", 0) - before,
            time.monotonic() - began,
        )
        return True
