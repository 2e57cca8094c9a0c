"""Writes the tables of the lake: each micro-batch is one commit, and a repeated batch is recognised by its metadata."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from delta.tables import DeltaMergeBuilder
from pyspark.sql import DataFrame, SparkSession

from spark_apps.lake.commits import BatchMetadata
from spark_apps.lake.expired import Expired, rows_before
from spark_apps.lake.statistics import files_with
from spark_apps.lake.table_log import TableLog
from spark_apps.lake.transaction import Transaction, execute_merge
from spark_apps.tables import Table

# A stream that reads the table takes at least one file per micro-batch: this bounds the time of such a batch.
_ROWS_PER_FILE = 4_000
# The rows of a merged table are small: such a file has about 4 MB.
_ROWS_PER_MERGED_FILE = 150_000
# The queries in the metadata of commits that apply erasures or delete old rows: they are not batches of the stream.
_ERASURE, _EXPIRY = "erasure", "expiry"


class TableWriter:
    """Writes one table for one streaming query, each micro-batch exactly once.

    A committed batch is recognised by the batch metadata in its commit. One process at a time writes a table, which the
    commits themselves enforce: a commit fails if another process has committed to the table since this writer last read
    the log. The writer then ends with an error, and nothing is written.
    """

    def __init__(
        self,
        lake: str,
        table: Table,
        query: str,
        app_id: str,
        offset: Callable[[int], Any] = lambda _: None,
        is_repair: bool = False,
    ) -> None:
        """Open the table and read its newest commits.

        Args:
            lake: folder or s3a:// URI of the Delta tables.
            table: table to write; it must exist.
            query: name of the streaming query.
            app_id: name of the query and id of its checkpoint.
            offset: returns the position of the query in its source after a batch.
            is_repair: whether the writer may open a table that RESTORE has set back.

        Raises:
            LakeError: the table does not exist, is not readable, was written by a newer version of this program, or was
                set back by RESTORE.
        """
        self.table = table
        self.lake = lake
        self._query = query
        self._app_id = app_id
        self._offset = offset
        self._log = TableLog(lake, table, app_id, is_repair)

    @property
    def totals(self) -> Mapping[str, int]:
        """The sums of the counts of all batches of the table."""
        return self._log.newest.totals

    @property
    def erased(self) -> dict[str, Any] | None:
        """The position in silver/erasures up to which erasures are applied to the table; None before the first."""
        return self._log.newest.erased

    @property
    def expired(self) -> Expired | None:
        """The rows that were deleted because of their age; None before the first."""
        return Expired.from_json(self._log.newest.expired)

    def is_committed(self, batch: int) -> bool:
        """Return whether this query has committed the batch to the table, in this process or before a kill."""
        return self._log.is_committed(batch)

    def current_version(self) -> int:
        """Return the version of the table.

        Raises:
            LakeError: another process has written the table.
        """
        self._log.check_only_writer()
        return self._log.delta.version()

    def files_with(self, column: str, ranges: Iterable[tuple[str, str]]) -> list[str]:
        """Return the paths of the data files that may have a value of `column` in one of the ranges.

        Raises:
            LakeError: another process has written the table.
        """
        self._log.check_only_writer()
        return [f"{self.table.path(self.lake)}/{path}" for path in files_with(self._log.delta, column, ranges)]

    def append(self, rows: DataFrame, batch: int, counts: Mapping[str, int]) -> None:
        """Append rows in one commit; do nothing if the batch is already committed or all counts are zero.

        A batch with counts but without rows is committed too: it dropped duplicates, and the totals must stay exact.

        Args:
            rows: rows with at least the columns of the table.
            batch: id of the micro-batch.
            counts: number of rows per outcome, such as `rows` and `duplicates`.

        Raises:
            LakeError: another process has written the table.
        """
        if self.is_committed(batch) or not any(counts.values()):
            return
        options = {"maxRecordsPerFile": str(_ROWS_PER_FILE)}
        self._write(rows, lambda: self._metadata(batch, counts), "Append", options)

    def merge(self, merge: DeltaMergeBuilder, session: SparkSession, batch: int, counts: Mapping[str, int]) -> None:
        """Execute a MERGE in one commit; do nothing if the batch is already committed or all counts are zero.

        Args:
            merge: complete MERGE into the table.
            session: session of the micro-batch, which the MERGE uses.
            batch: id of the micro-batch.
            counts: number of rows per outcome, such as `rows` and `duplicates`.

        Raises:
            LakeError: another process has written the table.
        """
        if self.is_committed(batch) or not any(counts.values()):
            return
        self._merge(merge, session, self._metadata(batch, counts))

    def erase(
        self, session: SparkSession, erased: dict[str, Any], merge: DeltaMergeBuilder | None, counts: Mapping[str, int]
    ) -> None:
        """Apply erasures in one commit, which streams that read the table skip.

        Args:
            session: session of the MERGE.
            erased: position in silver/erasures after the commit.
            merge: complete MERGE into the table; None if the erasures cover none of its rows.
            counts: number of `deleted` rows.

        Raises:
            LakeError: another process has written the table.
        """
        if merge is None:
            self._write(self._no_rows(session), lambda: self._erasure_metadata(erased, counts), "Append", {})
        else:
            self._merge(merge, session, self._erasure_metadata(erased, counts))

    def expire(self, session: SparkSession, first_day: date) -> None:
        """Delete the rows of all days before `first_day` in one commit, which streams skip.

        The commit removes whole partitions: Delta reads and writes no data file. Without such rows, commit nothing.

        Args:
            session: session that commits.
            first_day: first day to keep of the table's partitions.

        Raises:
            LakeError: another process has written the table.
        """
        self._log.check_only_writer()
        if not rows_before(self._log.delta, self.table, first_day):
            return
        old = {"replaceWhere": f"{self.table.partition} < DATE'{first_day}'"}
        self._write(self._no_rows(session), lambda: self._expiry_metadata(first_day), "Overwrite", old)

    def replace(
        self,
        rows: DataFrame,
        batch: int,
        where: str | None = None,
        counts: Mapping[str, int] | None = None,
        relayout: bool = False,
    ) -> None:
        """Replace rows in one commit, which streams that read the table skip.

        Args:
            rows: replacement, computed from the rows of `current_version`; each row must satisfy `where`.
            batch: id of the write.
            where: SQL condition on the rows to replace; None replaces all rows.
            counts: number of rows per outcome to add to the totals; None if the totals do not change.
            relayout: whether the commit also gives the table the partitions of tables.py.

        Raises:
            LakeError: another process has written the table.
        """
        options = {"overwriteSchema": "true"} if relayout else {}
        if where is not None:
            options["replaceWhere"] = where
        if self.table.merged:
            rows = rows.repartitionByRange(str(self.table.order))
            options["maxRecordsPerFile"] = str(_ROWS_PER_MERGED_FILE)
        partition = [self.table.partition] if relayout and self.table.partition else []
        self._write(rows, lambda: self._metadata(batch, counts or {}), "Overwrite", options, partition)

    def restore(self, rows: DataFrame, batch: int, mode: str) -> None:
        """Write rows that the table had before, in one commit. The totals do not change, and streams skip the commit.

        Args:
            rows: rows with at least the columns of the table.
            batch: id of the write.
            mode: `Append` adds the rows, `Overwrite` replaces all rows.

        Raises:
            LakeError: another process has written the table.
        """
        # Otherwise streams would read the rows as new, if the commit removes no file.
        self._write(rows, lambda: self._metadata(batch, {}), mode, {"dataChange": "false"})

    def _merge(self, merge: DeltaMergeBuilder, session: SparkSession, metadata: BatchMetadata) -> None:
        with self._log.naming_other_writers():
            execute_merge(merge, session, self._log.next_transaction, str(metadata), self.table.file_bytes)
        self._log.remember(metadata)

    def _write(
        self,
        rows: DataFrame,
        make_metadata: Callable[[], BatchMetadata],
        mode: str,
        options: Mapping[str, str],
        partition: Sequence[str] = (),
    ) -> None:
        # The transaction begins before the check: a commit of another writer is either checked, or refuses this one.
        transaction = Transaction(rows.sparkSession, self.table.path(self.lake))
        metadata = make_metadata()
        options = {**options, "userMetadata": str(metadata)}
        with self._log.naming_other_writers():
            transaction.write(self._ordered(rows), mode, options, self._log.next_transaction, partition)
        self._log.remember(metadata)

    def _no_rows(self, session: SparkSession) -> DataFrame:
        return session.read.format("delta").load(self.table.path(self.lake)).where("false")

    def _ordered(self, rows: DataFrame) -> DataFrame:
        """Return the columns of the table, sorted so that each file has a narrow range of the table's `order`."""
        selected = rows.select(self.table.column_names)
        return selected.sortWithinPartitions(self.table.order) if self.table.order else selected

    def _metadata(self, batch: int, counts: Mapping[str, int]) -> BatchMetadata:
        self._log.check_only_writer()
        return self._log.newest.next(self._query, self._app_id, batch, counts, self._offset(batch))

    def _erasure_metadata(self, erased: dict[str, Any], counts: Mapping[str, int]) -> BatchMetadata:
        self._log.check_only_writer()
        metadata = self._log.newest.next(_ERASURE, f"{_ERASURE}:{self._app_id}", erased["batch"], counts)
        return replace(metadata, erased=erased)

    def _expiry_metadata(self, first_day: date) -> BatchMetadata:
        self._log.check_only_writer()
        before = self.expired or Expired(first_day, 0, 0.0)
        rows = before.rows + rows_before(self._log.delta, self.table, first_day)
        # A batch can write rows of a day that was deleted, and the age limit may have been raised since.
        expired = Expired(max(first_day, before.before), rows, time.time())
        metadata = self._log.newest.next(_EXPIRY, f"{_EXPIRY}:{self._app_id}", first_day.toordinal(), {})
        return replace(metadata, expired=expired.to_json())
