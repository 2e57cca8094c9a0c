"""Recovers a checkpoint that was deleted, emptied, or replaced by an older copy, from the tables of its stream.

The commits of the tables have the position of the query in its source (`BatchMetadata.offset`). A query that continues
there reads each row of its source exactly once, whatever happened to its checkpoint.
"""

import logging
from dataclasses import dataclass

from pyspark.sql import SparkSession

from spark_apps.lake import delta_tables
from spark_apps.lake.commits import BatchMetadata, LakeError, batch_commits, open_existing_table
from spark_apps.streaming import checkpoint
from spark_apps.streaming.stream import Stream
from spark_apps.tables import Table

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Position:
    """The position of a stream by the commits of its tables.

    Attributes:
        last: batch that the last of the tables has, None if it has none: all tables have this batch.
        partial: later batch that only some tables have; None if there is none.
    """

    last: BatchMetadata | None
    partial: BatchMetadata | None

    @property
    def newest(self) -> BatchMetadata | None:
        return self.partial or self.last


def recover_checkpoint(spark: SparkSession, lake: str, stream: Stream) -> None:
    """Bring the checkpoint of a stream to the position of its tables, if the checkpoint is behind them.

    Raises:
        LakeError: the commits do not have the position, or the source is not the one that the tables were read from.
    """
    position = _position(lake, stream)
    newest = position.newest
    if newest is None:
        return
    identity = checkpoint.identity(spark, lake, stream.name)
    last_planned = checkpoint.last_planned_batch(lake, stream.name)
    if identity is None and last_planned >= 0:
        return  # the checkpoint of another program, which `ensure_identity` refuses
    if identity is not None and (newest.app != f"{stream.name}:{identity}" or last_planned >= newest.batch):
        return
    _check_offset(lake, stream, newest)
    if position.last is not None:
        # If batches without input came between, the batch before the partial one ends where the last one did.
        number = position.last.batch if position.partial is None else position.partial.batch - 1
        # Spark also reads the batch before the one at which it continues.
        for batch in range(max(0, number - 1), number + 1):
            checkpoint.add_batch(lake, stream.name, batch, position.last.offset, is_processed=True)
    if position.partial is not None:
        checkpoint.add_batch(lake, stream.name, position.partial.batch, position.partial.offset, is_processed=False)
    checkpoint.write_identity(spark, lake, stream.name, newest.app.partition(":")[2], stream.reads + stream.writes)
    _log.warning("the checkpoint of %s was behind its tables: recovered it at batch %d", stream.name, newest.batch)


def _position(lake: str, stream: Stream) -> _Position:
    *others, last_table = stream.writes
    last = _newest_batch(lake, last_table, stream.name)
    batches = (_newest_batch(lake, table, stream.name) for table in others)
    later = [batch for batch in batches if batch is not None and _is_later(batch, last)]
    return _Position(last, max(later, key=lambda batch: batch.batch, default=None))


def _newest_batch(lake: str, table: Table, query: str) -> BatchMetadata | None:
    commits = batch_commits(open_existing_table(lake, table))
    return next((commit.metadata for commit in commits if commit.metadata.query == query), None)


def _is_later(batch: BatchMetadata, last: BatchMetadata | None) -> bool:
    return last is None or (batch.app == last.app and batch.batch > last.batch)


def _check_offset(lake: str, stream: Stream, newest: BatchMetadata) -> None:
    folder = checkpoint.location(lake, stream.name)
    tables = " and ".join(table.path(lake) for table in stream.writes)
    if newest.offset is None:
        raise LakeError(
            f"{folder} is behind {tables}, which an earlier version of this program wrote: restore the last "
            f"checkpoint, or delete the folder and {tables} to compute them again"
        )
    for source in stream.reads:
        if newest.offset["reservoirId"] != delta_tables.table_id(lake, source):
            raise LakeError(
                f"{tables} were computed from another {source.path(lake)} than the one that exists: restore that "
                f"table, or delete {folder} and {tables} to compute them again"
            )
