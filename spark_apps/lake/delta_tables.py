"""Creates, evolves and reads the Delta tables of the lake."""

import json
from collections.abc import Mapping

import deltalake
from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from spark_apps import tables
from spark_apps.errors import first_line
from spark_apps.lake.commits import LakeError, open_existing_table, open_table
from spark_apps.lake.hadoop_fs import file_system
from spark_apps.lake.schema_version import check_schema_version
from spark_apps.tables import SCHEMA_VERSION_PROPERTY, Column, Table

# A checkpoint of the log lists all files that were replaced within the retention. With one checkpoint for 10 commits,
# Delta's default, the checkpoints of a busy table outgrow its data.
_CHECKPOINT_INTERVAL = 50
# Columns in the conditions of queries. Statistics of long texts would cost more than they prune.
_STATISTICS_COLUMNS = {
    "id",
    "key",
    "timestamp",
    "minute",
    "mention",
    "scored_at",
    "ingested_at",
    "tweet_date",
    "reason",
    "batch",
}


def sql_name(path: str) -> str:
    """Return the name of a table in SQL."""
    return f"delta.`{path.replace('`', '``')}`"


def create_or_evolve(spark: SparkSession, lake: str, table: Table, retention: float) -> None:
    """Create a table, or add the columns and properties that an older version of the program did not write.

    Args:
        spark: session that writes the lake.
        lake: folder or s3a:// URI of the Delta tables.
        table: table to create or evolve.
        retention: seconds for which replaced files and old versions of the table are kept.

    Raises:
        LakeError: the lake is not writable, or the existing table has a newer schema or other column types.
    """
    path = table.path(lake)
    try:
        if not DeltaTable.isDeltaTable(spark, path):
            _remove_incomplete_log(spark, path)
            _create(spark, path, table, retention)
        else:
            _evolve(spark, lake, table, retention)
    except (Py4JJavaError, AnalysisException) as error:
        cause = first_line(getattr(error, "java_exception", None) or error)
        raise LakeError(
            f"cannot create or update {path} ({cause}): check that {lake} is the right place and that this user "
            "may write there"
        ) from error


def _create(spark: SparkSession, path: str, table: Table, retention: float) -> None:
    builder = DeltaTable.createIfNotExists(spark).location(path).comment(table.comment)
    if table.partition:
        builder = builder.partitionedBy(table.partition)
    for column in table.columns:
        builder = builder.addColumn(column.name, column.type, comment=column.comment)
    for key, value in {**layout_properties(table), **_evolving_properties(retention)}.items():
        builder = builder.property(key, value)
    builder.execute()


def layout_properties(table: Table) -> dict[str, str]:
    """Return the Delta properties that belong to the layout of a table."""
    indexed = [name for name in table.column_names if name in _STATISTICS_COLUMNS and name != table.partition]
    return {"delta.dataSkippingStatsColumns": ",".join(indexed)}


def _evolving_properties(retention: float) -> dict[str, str]:
    """Return the Delta properties that existing tables get too, unlike those of the layout."""
    return {
        SCHEMA_VERSION_PROPERTY: str(tables.SCHEMA_VERSION),
        # Micro-batches write small files. Delta compacts them after a commit, in the driver that writes the table.
        "delta.autoOptimize.autoCompact": "true",
        # With deletion vectors, a MERGE into a table of this size takes longer.
        "delta.enableDeletionVectors": "false",
        "delta.checkpointInterval": str(_CHECKPOINT_INTERVAL),
        "delta.deletedFileRetentionDuration": f"interval {retention:.0f} seconds",
        # `cleanup.py` removes old entries instead, because it keeps the entry of the last batch.
        "delta.enableExpiredLogCleanup": "false",
    }


def _remove_incomplete_log(spark: SparkSession, path: str) -> None:
    """Remove a Delta log without a commit. A kill can leave such a log, and Delta refuses to create a table over it.

    If another process commits meanwhile, its commit survives: commit files are not deleted, and the folder is deleted
    only when empty.
    """
    fs, log = file_system(spark, f"{path}/_delta_log")
    if fs.exists(log):
        for status in fs.listStatus(log):
            if not status.getPath().getName().endswith(".json"):
                fs.delete(status.getPath(), False)
        fs.delete(log, False)


def why_not_readable(lake: str, table: Table) -> str | None:
    """Return why a table is not readable yet; None if the table is readable.

    A reader waits instead of creating the table. On S3 only the layer that writes a table has the permission, and two
    processes could create the table at once.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        table: table to read.

    Raises:
        LakeError: the table has a newer schema or other column types, so waiting does not help.
    """
    path = table.path(lake)
    delta = open_table(lake, table)
    if delta is None:
        return f"{path} does not exist yet"
    missing = _missing_columns(lake, delta, table)
    return f"{path} has no column {', '.join(column.name for column in missing)} yet" if missing else None


def _missing_columns(lake: str, delta: deltalake.DeltaTable, table: Table) -> list[Column]:
    """Return the columns that a table lacks; raise `LakeError` if its schema is newer or has other types.

    The schema is read without Spark: `DESCRIBE DETAIL` takes more than a second for each table.
    """
    check_schema_version(lake, table, delta)
    schema = StructType.fromJson(json.loads(delta.schema().to_json()))
    types = {field.name: field.dataType.simpleString() for field in schema.fields}
    changed = [
        f"{column.name} is {types[column.name].upper()}, not {column.type}"
        for column in table.columns
        if column.name in types and types[column.name].lower() != column.type.lower()
    ]
    if changed:
        raise LakeError(
            f"{table.path(lake)} has other column types than tables.py ({'; '.join(changed)}): add a column with a new "
            "name for the new type, or rebuild the table in another lake"
        )
    return [column for column in table.columns if column.name not in types]


def _evolve(spark: SparkSession, lake: str, table: Table, retention: float) -> None:
    path, delta = table.path(lake), open_existing_table(lake, table)
    missing = _missing_columns(lake, delta, table)
    if missing:
        columns = ", ".join(f"`{column.name}` {column.type} COMMENT '{_escaped(column.comment)}'" for column in missing)
        spark.sql(f"ALTER TABLE {sql_name(path)} ADD COLUMNS ({columns})")
    set_properties(spark, delta, path, _evolving_properties(retention))


def set_properties(spark: SparkSession, delta: deltalake.DeltaTable, path: str, properties: Mapping[str, str]) -> None:
    """Set Delta properties of a table; commit nothing if the table has these values already."""
    current = delta.metadata().configuration
    changed = [f"'{key}' = '{value}'" for key, value in properties.items() if current.get(key) != value]
    if changed:
        spark.sql(f"ALTER TABLE {sql_name(path)} SET TBLPROPERTIES ({', '.join(changed)})")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def table_id(lake: str, table: Table) -> str:
    """Return the id that Delta assigned when the table was created; a recreated table has another id.

    Raises:
        LakeError: the table does not exist or is not readable.
    """
    return str(open_existing_table(lake, table).metadata().id)


def read(spark: SparkSession, lake: str, table: Table, version: int | None = None) -> DataFrame:
    """Return the rows of a table at its newest version, or at `version`."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(table.path(lake))


def read_stream(spark: SparkSession, lake: str, table: Table, max_bytes: int) -> DataFrame:
    """Return a streaming DataFrame of the rows appended to a table.

    Commits that rewrite rows (a rescore, a deletion) contain no new tweets and are skipped.

    Args:
        spark: session that reads the lake.
        lake: folder or s3a:// URI of the Delta tables.
        table: table to read.
        max_bytes: approximate size of the files per micro-batch.
    """
    return (
        spark.readStream.format("delta")
        .option("skipChangeCommits", "true")
        .option("maxBytesPerTrigger", f"{max_bytes}b")
        .load(table.path(lake))
    )
