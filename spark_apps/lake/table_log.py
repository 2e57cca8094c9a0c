"""The log of a table as its only writer sees it: the last batches, and whether another process has written."""

from collections.abc import Iterator
from contextlib import contextmanager

from spark_apps.lake.commits import (
    NO_METADATA,
    BatchMetadata,
    Commit,
    LakeError,
    batch_commits,
    batches,
    commit_infos,
    open_existing_table,
)
from spark_apps.lake.reverted import check_not_reverted, last_batch
from spark_apps.lake.schema_version import check_schema_version
from spark_apps.lake.transaction import ConflictError
from spark_apps.tables import Table


class OtherWriterError(LakeError):
    """Another process has written the table: this process must not write it any more."""


class TableLog:
    """The log of one table, which one process at a time writes.

    The commits with batch metadata are read once, when the writer starts. From then on, each such commit is either the
    one of this writer or the one of another process.

    Attributes:
        delta: the table at the version that was read last.
        newest: batch metadata of the last batch.
        next_transaction: version of Delta's transaction identifier in the next commit, above all earlier ones.
    """

    def __init__(self, lake: str, table: Table, app_id: str, is_repair: bool) -> None:
        """Open the table and read its newest commits.

        Args:
            lake: folder or s3a:// URI of the Delta tables.
            table: table to write; it must exist.
            app_id: name of the streaming query and id of its checkpoint.
            is_repair: whether the writer may open a table that RESTORE has set back.

        Raises:
            LakeError: the table does not exist, is not readable, was written by a newer version of this program, or was
                set back by RESTORE.
        """
        self._lake = lake
        self._table = table
        self._app_id = app_id
        self.delta = open_existing_table(lake, table)
        check_schema_version(lake, table, self.delta)
        newest = last_batch(self.delta) if is_repair else check_not_reverted(lake, table, self.delta)
        self.newest = newest.metadata if newest else NO_METADATA
        self.next_transaction = _transaction_after(newest)
        # Read at the first use: for a query without any commit, the search reads the whole log.
        self._last_batch: int | None = None
        # App and batch of the commit that this writer has made since the last check, if any.
        self._own: tuple[str, int] | None = None
        self._checked = self.delta.version()

    def is_committed(self, batch: int) -> bool:
        """Return whether the query has committed the batch to the table, in this process or before a kill."""
        if self._last_batch is None:
            metadata = (commit.metadata for commit in batch_commits(self.delta))
            self._last_batch = next((found.batch for found in metadata if found.app == self._app_id), -1)
        return batch <= self._last_batch

    def check_only_writer(self) -> None:
        """Read the commits since the last check.

        Raises:
            OtherWriterError: another process has written the table.
            LakeError: RESTORE has set the table back.
        """
        self.delta.update_incremental()
        infos = list(commit_infos(self.delta, self._checked))
        if any(info.get("operation") == "RESTORE" for _, info in infos):
            check_not_reverted(self._lake, self._table, self.delta)
        new = list(batches(infos))
        others = [commit for commit in new if (commit.metadata.app, commit.metadata.batch) != self._own]
        # Two commits of one batch: another process runs the same query.
        if others or len(new) > 1:
            raise _other_writer(self._table.path(self._lake), (others or new)[0])
        if new:
            self.next_transaction = _transaction_after(new[0])
        self._checked, self._own = self.delta.version(), None

    @contextmanager
    def naming_other_writers(self) -> Iterator[None]:
        """Replace the error of a refused commit by one that names the commit of the other writer."""
        try:
            yield
        except ConflictError:
            self.check_only_writer()
            raise

    def remember(self, metadata: BatchMetadata) -> None:
        """Take note of a commit that this writer has made."""
        self.newest, self._own = metadata, (metadata.app, metadata.batch)
        if metadata.app == self._app_id:
            self._last_batch = metadata.batch


def _other_writer(path: str, commit: Commit) -> OtherWriterError:
    return OtherWriterError(
        f"{path} was written by another process (version {commit.version}: batch {commit.metadata.batch} of "
        f"{commit.metadata.query}) while this process ran: stop one of the two, because only one process at a time may "
        "write a table"
    )


def _transaction_after(commit: Commit | None) -> int:
    return 0 if commit is None else commit.version + 1
