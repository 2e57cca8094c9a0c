"""Writes the tables of the lake: each micro-batch is one commit, and a replayed batch is recognised by its metadata."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from delta.tables import DeltaMergeBuilder
from pyspark.sql import DataFrame, SparkSession

from spark_apps.lake.commits import BatchMetadata, Commit, LakeError, batch_commits, open_existing_table
from spark_apps.lake.transaction import ConflictError, Transaction, execute_merge
from spark_apps.tables import Table

# A stream that reads the table takes at least one file per micro-batch: this bounds the time of such a batch.
_ROWS_PER_FILE = 4_000
# The rows of a merged table are small: such a file has about 4 MB.
_ROWS_PER_MERGED_FILE = 150_000
_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_COMPACTED_BYTES = "spark.databricks.delta.autoCompact.maxFileSize"
# The query in the metadata of commits that apply erasures: these commits are not batches of the stream.
_ERASURE = "erasure"


class OtherWriterError(LakeError):
    """Another process has written the table: this process must not write it any more."""


class TableWriter:
    """Writes one table for one streaming query, each micro-batch exactly once.

    A committed batch is recognised by the batch metadata in its commit. A writer reads the metadata only once, when the
    stream starts, because only one process at a time writes a table. The commits themselves enforce this: a commit
    fails if another process has committed to the table since this writer last read the log. The writer then ends with
    an error, and nothing is written.
    """

    def __init__(
        self, lake: str, table: Table, query: str, app_id: str, offset: Callable[[int], Any] = lambda _: None
    ) -> None:
        """Open the table and read its newest commits.

        Args:
            lake: folder or s3a:// URI of the Delta tables.
            table: table to write; it must exist.
            query: name of the streaming query.
            app_id: name of the query and id of its checkpoint.
            offset: returns the position of the query in its source after a batch.

        Raises:
            LakeError: the table does not exist or is not readable.
        """
        self.table = table
        self.lake = lake
        self._query = query
        self._app_id = app_id
        self._offset = offset
        self._delta = open_existing_table(lake, table)
        newest = next(batch_commits(self._delta), None)
        self._totals = dict(newest.metadata.totals) if newest else {}
        self._erased = newest.metadata.erased if newest else None
        # Read at the first use: for a query without any commit, the search reads the whole log.
        self._last_batch: int | None = None
        self._version = self._delta.version()
        # The version of Delta's transaction identifier in the next commit: above the one of each commit before.
        self._next_transaction = _transaction_after(newest)
        # App and batch of the commit that this writer has made after `_version`, if any.
        self._own: tuple[str, int] | None = None

    @property
    def totals(self) -> Mapping[str, int]:
        """The sums of the counts of all batches of the table."""
        return self._totals

    @property
    def erased(self) -> dict[str, Any] | None:
        """The position in silver/erasures up to which erasures are applied to the table; None before the first."""
        return self._erased

    def is_committed(self, batch: int) -> bool:
        """Return whether this query has committed the batch to the table, in this process or before a kill."""
        if self._last_batch is None:
            batches = (commit.metadata for commit in batch_commits(self._delta) if commit.metadata.app == self._app_id)
            self._last_batch = next((metadata.batch for metadata in batches), -1)
        return batch <= self._last_batch

    def current_version(self) -> int:
        """Return the version of the table.

        Raises:
            LakeError: another process has written the table.
        """
        self._check_only_writer()
        return self._version

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
        self,
        session: SparkSession,
        erased: dict[str, Any],
        merge: DeltaMergeBuilder | None,
        counts: Mapping[str, int],
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
            nothing = session.read.format("delta").load(self.table.path(self.lake)).where("false")
            self._write(nothing, lambda: self._erasure_metadata(erased, counts), "Append", {})
        else:
            self._merge(merge, session, self._erasure_metadata(erased, counts))

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

    def restore(self, rows: DataFrame, batch: int) -> None:
        """Add rows that the table has lost, in one commit. The totals do not change, and streams skip the commit.

        Args:
            rows: rows with at least the columns of the table.
            batch: id of the write.

        Raises:
            LakeError: another process has written the table.
        """
        # Otherwise streams would read the rows as new, because the commit removes no file.
        self._write(rows, lambda: self._metadata(batch, {}), "Append", {"dataChange": "false"})

    def _merge(self, merge: DeltaMergeBuilder, session: SparkSession, metadata: BatchMetadata) -> None:
        compacted_bytes = session.conf.get(_COMPACTED_BYTES)
        # A MERGE takes its metadata from the session only, where the next write would find it too.
        session.conf.set(_USER_METADATA, str(metadata))
        session.conf.set(_COMPACTED_BYTES, self.table.file_bytes)
        try:
            with self._naming_other_writers():
                execute_merge(merge, session, self._next_transaction)
        finally:
            session.conf.unset(_USER_METADATA)
            session.conf.set(_COMPACTED_BYTES, str(compacted_bytes))
        self._remember(metadata)

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
        with self._naming_other_writers():
            transaction.write(self._ordered(rows), mode, options, self._next_transaction, partition)
        self._remember(metadata)

    @contextmanager
    def _naming_other_writers(self) -> Iterator[None]:
        """Replace the error of a refused commit by one that names the commit of the other writer."""
        try:
            yield
        except ConflictError:
            self._check_only_writer()
            raise

    def _ordered(self, rows: DataFrame) -> DataFrame:
        """Return the columns of the table, sorted so that each file has a narrow range of the table's `order`."""
        selected = rows.select(self.table.column_names)
        return selected.sortWithinPartitions(self.table.order) if self.table.order else selected

    def _metadata(self, batch: int, counts: Mapping[str, int]) -> BatchMetadata:
        self._check_only_writer()
        totals, offset = self._added(counts), self._offset(batch)
        return BatchMetadata(self._query, self._app_id, batch, dict(counts), totals, offset, self._erased)

    def _erasure_metadata(self, erased: dict[str, Any], counts: Mapping[str, int]) -> BatchMetadata:
        self._check_only_writer()
        app = f"{_ERASURE}:{self._app_id}"
        return BatchMetadata(_ERASURE, app, erased["batch"], dict(counts), self._added(counts), erased=erased)

    def _added(self, counts: Mapping[str, int]) -> dict[str, int]:
        return {key: self._totals.get(key, 0) + counts.get(key, 0) for key in self._totals.keys() | counts.keys()}

    def _check_only_writer(self) -> None:
        self._delta.update_incremental()
        new = list(batch_commits(self._delta, self._version))
        others = [commit for commit in new if (commit.metadata.app, commit.metadata.batch) != self._own]
        # Two commits of one batch: another process runs the same query.
        if others or len(new) > 1:
            other = (others or new)[0]
            raise OtherWriterError(
                f"{self.table.path(self.lake)} was written by another process (version {other.version}: batch "
                f"{other.metadata.batch} of {other.metadata.query}) while this process ran: stop one of the two, "
                "because only one process at a time may write a table"
            )
        if new:
            self._next_transaction = _transaction_after(new[0])
        self._version, self._own = self._delta.version(), None

    def _remember(self, metadata: BatchMetadata) -> None:
        self._totals, self._erased, self._own = metadata.totals, metadata.erased, (metadata.app, metadata.batch)
        if metadata.app == self._app_id:
            self._last_batch = metadata.batch


def _transaction_after(commit: Commit | None) -> int:
    return 0 if commit is None else commit.version + 1
