"""The Delta tables of the lake through Spark: the only place that creates, evolves and reads them."""

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from spark_apps.lake.commits import LakeError
from spark_apps.lake.hadoop_fs import hadoop
from spark_apps.tables import SCHEMA_VERSION, SCHEMA_VERSION_PROPERTY, Column, Table

_PROPERTIES = {
    SCHEMA_VERSION_PROPERTY: str(SCHEMA_VERSION),
    # Micro-batches write small files: Delta joins them after a commit, in the driver that owns the table.
    "delta.autoOptimize.autoCompact": "true",
    # Readers without Spark (the dashboard) see plain Parquet; the tables that are merged into are small.
    "delta.enableDeletionVectors": "false",
}
# What a batch is looked up by; statistics of long texts would cost more than they prune.
_STATISTICS = {"id", "timestamp", "minute", "mention", "scored_at", "ingested_at", "reason"}


def _sql_name(path: str) -> str:
    return f"delta.`{path.replace('`', '``')}`"


def ensure(spark: SparkSession, lake: str, table: Table) -> None:
    """Create `table` where it is missing, add the columns that an older version lacks, refuse what does not fit."""
    path = table.path(lake)
    try:
        if not DeltaTable.isDeltaTable(spark, path):
            _clear_half_made(spark, path)
            _create(spark, path, table)
        else:
            _evolve(spark, path, table)
    except (Py4JJavaError, AnalysisException) as error:
        cause = str(getattr(error, "java_exception", None) or error).splitlines()[0]
        raise LakeError(f"cannot create {path}: is {lake} a place that this user may write to? ({cause})") from error


def _create(spark: SparkSession, path: str, table: Table) -> None:
    builder = DeltaTable.createIfNotExists(spark).location(path).comment(table.comment).partitionedBy(table.partition)
    for column in table.columns:
        builder = builder.addColumn(column.name, column.type, comment=column.comment)
    indexed = [name for name in table.column_names if name in _STATISTICS]
    for key, value in (_PROPERTIES | {"delta.dataSkippingStatsColumns": ",".join(indexed)}).items():
        builder = builder.property(key, value)
    builder.execute()


def _clear_half_made(spark: SparkSession, path: str) -> None:
    """Remove the log that a process left which was killed before its first commit: Delta refuses to create over it.

    Nothing is lost, for such a log has no version; were one to appear in it meanwhile, its folder would not go.
    """
    files, log = hadoop(spark, f"{path}/_delta_log")
    if files.exists(log):
        for left in files.listStatus(log):
            if not left.getPath().getName().endswith(".json"):
                files.delete(left.getPath(), False)
        files.delete(log, False)


def not_ready(spark: SparkSession, lake: str, table: Table) -> str | None:
    """Return why `table` cannot be read yet, None where it can; `LakeError` where it never will be.

    Only the layer that writes a table makes and changes it: on S3 nobody else may, and two would do it at once.
    """
    path = table.path(lake)
    if not DeltaTable.isDeltaTable(spark, path):
        return f"{path} is not there yet"
    missing, _ = _compare(spark, path, table)
    return f"{path} has no column {', '.join(column.name for column in missing)} yet" if missing else None


def _compare(spark: SparkSession, path: str, table: Table) -> tuple[list[Column], int]:
    """Return the columns that the table at `path` lacks, and the version of its schema."""
    properties = DeltaTable.forPath(spark, path).detail().select("properties").head()["properties"]  # type: ignore[index]
    written = int(properties.get(SCHEMA_VERSION_PROPERTY, 0))
    if written > SCHEMA_VERSION:
        raise LakeError(
            f"{path} was written by a newer version of this program (schema {written}, this one knows "
            f"{SCHEMA_VERSION}): run that version or a later one"
        )
    found = dict(spark.read.format("delta").load(path).dtypes)
    changed = [
        f"{column.name} is {found[column.name].upper()}, not {column.type}"
        for column in table.columns
        if column.name in found and found[column.name].lower() != column.type.lower()
    ]
    if changed:
        raise LakeError(
            f"{path} has columns of other types than tables.py says ({'; '.join(changed)}): give the new type a "
            "column of a new name, or rebuild the table in another lake"
        )
    return [column for column in table.columns if column.name not in found], written


def _evolve(spark: SparkSession, path: str, table: Table) -> None:
    missing, written = _compare(spark, path, table)
    if missing:
        added = ", ".join(f"`{column.name}` {column.type} COMMENT '{_quoted(column.comment)}'" for column in missing)
        spark.sql(f"ALTER TABLE {_sql_name(path)} ADD COLUMNS ({added})")
    if written < SCHEMA_VERSION:
        spark.sql(f"ALTER TABLE {_sql_name(path)} SET TBLPROPERTIES ('{SCHEMA_VERSION_PROPERTY}' = '{SCHEMA_VERSION}')")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def table_id(spark: SparkSession, lake: str, table: Table) -> str:
    """Return the id that Delta gave the table when it was created: a table made anew has another."""
    row = DeltaTable.forPath(spark, table.path(lake)).detail().select("id").head()
    return str(row["id"])  # type: ignore[index]


def read(spark: SparkSession, lake: str, table: Table, version: int | None = None) -> DataFrame:
    """Return the rows of `table` as it is, or as it was in `version`."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(table.path(lake))


def read_stream(spark: SparkSession, lake: str, table: Table, max_bytes: str) -> DataFrame:
    """Stream the appends to `table`, at most about `max_bytes` of its files a micro-batch.

    Commits that rewrite rows (a rescore, a deletion) are no new tweets and are passed over.
    """
    return (
        spark.readStream.format("delta")
        .option("skipChangeCommits", "true")
        .option("maxBytesPerTrigger", max_bytes)
        .load(table.path(lake))
    )
