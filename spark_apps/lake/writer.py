"""Writes the tables of the lake: each micro-batch is one commit, and a replayed batch is recognised by its metadata."""

from collections.abc import Callable, Mapping
from typing import Any

from delta.tables import DeltaMergeBuilder
from pyspark.sql import DataFrame, SparkSession

from spark_apps.lake.commits import BatchMetadata, LakeError, batch_commits, open_existing_table
from spark_apps.tables import Table

# A stream that reads the table takes at least one file per micro-batch: this bounds the time of such a batch.
_ROWS_PER_FILE = 4_000
# Rows of a merged table are small: about 4 MB.
_ROWS_PER_MERGED_FILE = 150_000
_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_COMPACTED_BYTES = "spark.databricks.delta.autoCompact.maxFileSize"


class TableWriter:
    """Writes one table for one streaming query, each micro-batch exactly once.

    A committed batch is recognised by the batch metadata in its commit, not by Delta's own transaction identifiers
    (`txnAppId`, `txnVersion`). To look those up, Delta rebuilds the state of the table in a Spark job before every
    write: a third of a small batch's time. The metadata is committed just as atomically, and a writer reads it only
    once, when the stream starts. No other process may write the table from then on: a foreign batch is detected
    before the next commit and ends the stream with an error.
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
        # Read at the first use: for a query without any commit, the search reads the whole log.
        self._last_batch: int | None = None
        self._version = self._delta.version()
        # The batch that this writer has committed after `_version`, if any.
        self._own_batch: int | None = None

    def is_committed(self, batch: int) -> bool:
        """Return whether this query has already committed the batch, before a kill."""
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
        metadata = self._metadata(batch, counts)
        (
            self._ordered(rows)
            .write.format("delta")
            .mode("append")
            .option("maxRecordsPerFile", _ROWS_PER_FILE)
            .option("userMetadata", str(metadata))
            .save(self.table.path(self.lake))
        )
        self._remember(metadata)

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
        metadata = self._metadata(batch, counts)
        # A MERGE takes its metadata from the session only, where the next write would find it too.
        session.conf.set(_USER_METADATA, str(metadata))
        session.conf.set(_COMPACTED_BYTES, self.table.file_bytes)
        try:
            merge.execute()
        finally:
            session.conf.unset(_USER_METADATA)
        self._remember(metadata)

    def replace(self, rows: DataFrame, batch: int, where: str | None = None, relayout: bool = False) -> None:
        """Replace rows in one commit. The totals do not change, and streams that read the table skip the commit.

        Args:
            rows: replacement, computed from the rows of `current_version`; each row must satisfy `where`.
            batch: id of the write.
            where: SQL condition on the rows to replace; None replaces all rows.
            relayout: whether the commit also replaces the partitions of the table by those of tables.py.

        Raises:
            LakeError: another process has written the table.
        """
        metadata = self._metadata(batch, {})
        if self.table.merged:
            rows = rows.repartitionByRange(str(self.table.order))
        writer = self._ordered(rows).write.format("delta").mode("overwrite")
        if self.table.merged:
            writer = writer.option("maxRecordsPerFile", _ROWS_PER_MERGED_FILE)
        if where is not None:
            writer = writer.option("replaceWhere", where)
        if relayout:
            writer = writer.option("overwriteSchema", "true").partitionBy(*filter(None, [self.table.partition]))
        writer.option("userMetadata", str(metadata)).save(self.table.path(self.lake))
        self._remember(metadata)
        # If another process appended since `current_version`, this commit has removed its rows: fail now.
        self._check_only_writer()

    def _ordered(self, rows: DataFrame) -> DataFrame:
        """Return the columns of the table, sorted so that each file has a narrow range of the table's `order`."""
        selected = rows.select(self.table.column_names)
        return selected.sortWithinPartitions(self.table.order) if self.table.order else selected

    def _metadata(self, batch: int, counts: Mapping[str, int]) -> BatchMetadata:
        self._check_only_writer()
        totals = {key: self._totals.get(key, 0) + counts.get(key, 0) for key in self._totals.keys() | counts.keys()}
        return BatchMetadata(self._query, self._app_id, batch, dict(counts), totals, self._offset(batch))

    def _check_only_writer(self) -> None:
        self._delta.update_incremental()
        new = list(batch_commits(self._delta, self._version))
        own = (self._app_id, self._own_batch)
        others = [commit for commit in new if (commit.metadata.app, commit.metadata.batch) != own]
        # Two commits of one batch: another process runs the same query.
        if others or len(new) > 1:
            other = (others or new)[0]
            raise LakeError(
                f"{self.table.path(self.lake)} was written by another process (version {other.version}: batch "
                f"{other.metadata.batch} of {other.metadata.query}) while this process ran: stop one of the two, "
                "because only one process at a time may write a table"
            )
        self._version, self._own_batch = self._delta.version(), None

    def _remember(self, metadata: BatchMetadata) -> None:
        self._totals, self._last_batch, self._own_batch = metadata.totals, metadata.batch, metadata.batch
