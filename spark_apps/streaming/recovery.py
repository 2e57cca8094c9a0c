"""Recovers a checkpoint that was deleted, emptied, or replaced by an older copy, from the tables of its stream.

The commits of the tables contain the position of the query in its source (`BatchMetadata.offset`). A query that
continues at this position reads each row of its source exactly once, even without its checkpoint.
"""

import logging
from itertools import islice

from pyspark.sql import SparkSession

from spark_apps import storage
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import BatchMetadata, LakeError, batch_commits, open_existing_table
from spark_apps.streaming import checkpoint
from spark_apps.streaming.stream import Stream
from spark_apps.tables import Table

_log = logging.getLogger(__name__)


def recover_checkpoint(spark: SparkSession, lake: str, stream: Stream) -> None:
    """Advance the checkpoint of a stream to the last batch in its tables, if the checkpoint is behind.

    Raises:
        LakeError: the commits contain no position, or the tables were computed from another source table.
    """
    newest_by_table = [_newest_batches(lake, table, stream.name) for table in stream.writes]
    batches = {metadata.batch: metadata for newest in newest_by_table for metadata in newest}
    if not batches:
        return
    last = batches[max(batches)]
    checkpoint_id = checkpoint.read_id(spark, lake, stream.name)
    last_planned = checkpoint.last_planned_batch(lake, stream.name)
    if checkpoint_id is None and last_planned >= 0:
        return  # the checkpoint of another program, which `ensure_identity` refuses
    if checkpoint_id is not None and last.app != f"{stream.name}:{checkpoint_id}":
        return
    if checkpoint_id is not None and last_planned >= last.batch:
        _restore_offset(spark, lake, stream, last)
        return
    _check_offset(lake, stream, last)
    # Batches without input have no commit. The last batch therefore starts at the end of the previous committed batch.
    before = max((number for number in batches if number < last.batch), default=None)
    # A table lacks the last batch if the batch wrote nothing to the table, or if a kill came before the commit. Repeat
    # the batch in both cases: tables that have the batch skip it.
    is_processed = all(newest and newest[0].batch == last.batch for newest in newest_by_table)
    if last.batch > 0:  # Spark reads the offsets of the last two batches
        is_processed = is_processed or before is None
        offset = batches[last.batch if before is None else before].offset
        checkpoint.add_batch(spark, lake, stream.name, last.batch - 1, offset, is_processed=True)
    checkpoint.add_batch(spark, lake, stream.name, last.batch, last.offset, is_processed)
    checkpoint.write_identity(spark, lake, stream, last.app.partition(":")[2])
    _log.warning("the checkpoint of %s was behind its tables: recovered it at batch %d", stream.name, last.batch)


def _restore_offset(spark: SparkSession, lake: str, stream: Stream, last: BatchMetadata) -> None:
    """Give the last committed batch the offset in its commit.

    Two drivers that run at the same time can plan the batch with different offsets: the commit of the second driver is
    refused, but Spark's log of offsets accepts the second offset.
    """
    planned = checkpoint.read_offset(spark, lake, stream.name, last.batch)
    # Spark keeps the offsets of the last 100 batches. The offset in a commit may have more keys than in the checkpoint.
    if planned is None or last.offset is None or planned.items() <= last.offset.items():
        return
    is_processed = str(last.batch) in storage.names(f"{checkpoint.location(lake, stream.name)}/commits")
    checkpoint.add_batch(spark, lake, stream.name, last.batch, last.offset, is_processed)
    _log.warning("the checkpoint of %s had another offset for batch %d: replaced it", stream.name, last.batch)


def _newest_batches(lake: str, table: Table, query: str) -> list[BatchMetadata]:
    """Return the metadata of the last two batches that a query has committed to a table, newest first."""
    commits = batch_commits(open_existing_table(lake, table))
    batches = (commit.metadata for commit in commits if commit.metadata.query == query)
    return list(islice(batches, 2))


def _check_offset(lake: str, stream: Stream, last: BatchMetadata) -> None:
    folder = checkpoint.location(lake, stream.name)
    tables = " and ".join(table.path(lake) for table in stream.writes)
    if last.offset is None:
        raise LakeError(
            f"{folder} is behind {tables}, which an earlier version of this program wrote: restore the last "
            f"checkpoint, or delete the folder and {tables} to compute them again"
        )
    for source in stream.reads:
        if last.offset["reservoirId"] != delta_tables.table_id(lake, source):
            raise LakeError(
                f"{tables} were computed from another {source.path(lake)}, which was deleted or replaced: restore that "
                f"table, or delete {folder} and {tables} to compute them again"
            )
