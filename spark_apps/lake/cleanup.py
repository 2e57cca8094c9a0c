"""Removes data files and log entries of a table that are older than the retention and that no stream needs."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from deltalake import DeltaTable
from pyspark.sql import SparkSession

from spark_apps.lake.commits import batch_commits, open_existing_table
from spark_apps.lake.delta_tables import sql_name
from spark_apps.lake.hadoop_fs import file_system
from spark_apps.tables import Table

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Position:
    """The position of a stream in the table that it reads.

    Attributes:
        next_version: first version with rows that the stream has not read yet.
        log_version: first version in the last batch. A restart plans this batch again and needs its log entries.
    """

    next_version: int
    log_version: int


def clean(
    spark: SparkSession,
    lake: str,
    table: Table,
    query_batch: tuple[str, int],
    retention: float,
    reader: Callable[[], Position | None] | None,
) -> bool:
    """Remove files that the table has not used for the retention, and log entries that are older than the retention.

    Nothing is removed while the stream that reads the table has unread commits older than the retention: a stream that
    is stopped for longer must not lose its input.

    Args:
        spark: session of the driver that writes the table.
        lake: folder or s3a:// URI of the Delta tables.
        table: table to clean.
        query_batch: `BatchMetadata.app` of the query that writes the table, and the batch that it has just processed.
        retention: seconds; the same as in the properties of the table.
        reader: function that returns the position of the stream that reads the table, or None before its first batch;
            None if no stream reads the table.

    Returns:
        False if the batch has not written the table: call again after the next batch that writes it.

    Raises:
        LakeError: the table is not readable.
    """
    delta, path = open_existing_table(lake, table), table.path(lake)
    oldest_kept = time.time() - retention
    if (delta.metadata().created_time or 0) / 1000 > oldest_kept:
        return True  # nothing is old enough
    newest = next(batch_commits(delta), None)
    if newest is None or (newest.metadata.app, newest.metadata.batch) != query_batch:
        return False  # the newest entry with batch metadata has the totals of the table and must be too new to remove
    oldest_entry_kept = min(oldest_kept, newest.at.timestamp())
    position = reader() if reader is not None else None
    if reader is not None and _is_behind(spark, delta, table, path, position, oldest_kept):
        return True
    if position is not None:
        oldest_entry_kept = min(oldest_entry_kept, _committed_at(spark, delta, path, position.log_version))
    spark.sql(f"VACUUM {sql_name(path)}")
    _remove_log_entries(spark, path, oldest_entry_kept)
    return True


def remove_files(
    spark: SparkSession, lake: str, table: Table, retention: float, reader: Callable[[], Position | None] | None
) -> bool:
    """Remove files that the table has not used for the retention, as `clean` does; the log stays as it is.

    Returns:
        False if the stream that reads the table still needs the files.

    Raises:
        LakeError: the table is not readable.
    """
    delta, path = open_existing_table(lake, table), table.path(lake)
    if reader is not None and _is_behind(spark, delta, table, path, reader(), time.time() - retention):
        return False
    spark.sql(f"VACUUM {sql_name(path)}")
    return True


def _is_behind(
    spark: SparkSession, delta: DeltaTable, table: Table, path: str, position: Position | None, oldest_kept: float
) -> bool:
    """Return whether the stream that reads a table has unread commits older than `oldest_kept` (Unix seconds)."""
    if position is not None and _committed_at(spark, delta, path, position.next_version) >= oldest_kept:
        return False
    unread = position.next_version if position else 0
    _log.warning(
        "%s keeps all files and versions: the stream %s has not read version %d yet; start it if it is stopped",
        path,
        table.reader,
        unread,
    )
    return True


def _committed_at(spark: SparkSession, delta: DeltaTable, path: str, version: int) -> float:
    """Return the Unix time of the commit of a version: infinity for a future version, 0 if its log entry is gone."""
    if version > delta.version():
        return float("inf")
    fs, entry = file_system(spark, f"{path}/_delta_log/{version:020}.json")
    return float(fs.getFileStatus(entry).getModificationTime()) / 1000 if fs.exists(entry) else 0.0


def _remove_log_entries(spark: SparkSession, path: str, before: float) -> None:
    """Remove log entries that are older than `before` (Unix seconds) and not needed after a checkpoint of the log.

    Delta's own cleanup is switched off: it runs after any checkpoint of the log, and could remove the entry of the last
    batch.
    """
    jvm = spark._jvm
    none = jvm.scala.Option.empty()  # type: ignore[union-attr]
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)  # type: ignore[union-attr]
    # Delta removes entries of exactly this age too, by its own clock.
    retention = time.time() - before + 1
    # Py4J would convert a Python int to an Integer, but Delta expects an Option[Long].
    long = jvm.java.util.OptionalLong.of(int(retention * 1000))  # type: ignore[union-attr]
    milliseconds = jvm.scala.jdk.javaapi.OptionConverters.toScala(long)  # type: ignore[union-attr]
    minute = jvm.org.apache.spark.sql.delta.TruncationGranularity.MINUTE()  # type: ignore[union-attr]
    log.cleanUpExpiredLogs(log.update(False, none, none), none, milliseconds, minute)
