"""The Delta tables of the lake through Spark: the only place that creates, evolves and writes them.

Each write is one commit that a replayed micro-batch cannot repeat, with a note in its `userMetadata`:
`{"query": "silver", "batch": 12, "counts": {…}, "totals": {…}}`. A commit is atomic, so counts are as exact as rows.
"""

import json
from collections.abc import Mapping
from typing import Any

from delta.tables import DeltaMergeBuilder, DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from spark_apps.tables import SCHEMA_VERSION, SCHEMA_VERSION_PROPERTY, Table

_PROPERTIES = {
    SCHEMA_VERSION_PROPERTY: str(SCHEMA_VERSION),
    # Micro-batches write small files: Delta joins them after a commit, in the driver that owns the table.
    "delta.autoOptimize.autoCompact": "true",
    # Readers without Spark (the dashboard) see plain Parquet; the tables that are merged into are small.
    "delta.enableDeletionVectors": "false",
}
# What a batch is looked up by; statistics of long texts would cost more than they prune.
_STATISTICS = {"id", "timestamp", "minute", "mention", "scored_at", "ingested_at", "reason"}


class LakeError(Exception):
    """A lake that cannot be used as it is; the text says why and what to do."""


def _sql_name(path: str) -> str:
    return f"delta.`{path.replace('`', '``')}`"


def ensure(spark: SparkSession, lake: str, table: Table) -> None:
    """Create `table` where it is missing, add the columns that an older version lacks, refuse what does not fit."""
    path = table.path(lake)
    try:
        if not DeltaTable.isDeltaTable(spark, path):
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


def _evolve(spark: SparkSession, path: str, table: Table) -> None:
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
    missing = [column for column in table.columns if column.name not in found]
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


def read(spark: SparkSession, lake: str, table: Table) -> DataFrame:
    return spark.read.format("delta").load(table.path(lake))


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


class TableWriter:
    """Writes one table for one streaming query, each micro-batch once.

    `app_id` names the query and its checkpoint: Delta refuses a batch id that it has seen from the same `app_id`.
    """

    def __init__(self, spark: SparkSession, lake: str, table: Table, query: str, app_id: str) -> None:
        self.table = table
        self.lake = lake
        self._query = query
        self._app_id = app_id
        note = self._last_note(spark)
        self._totals: dict[str, int] = note.get("totals", {})
        self._committed: int = note["batch"] if note.get("app") == app_id else -1

    def _last_note(self, spark: SparkSession) -> dict[str, Any]:
        # Maintenance commits carry no note: the latest that does is nearly always among the last few.
        table = DeltaTable.forPath(spark, self.table.path(self.lake))
        for limit in (20, None):
            history = table.history(limit) if limit else table.history()
            for row in history.where("userMetadata IS NOT NULL").orderBy("version", ascending=False).collect():
                note: dict[str, Any] = json.loads(row["userMetadata"])
                return note
        return {}

    def has(self, batch: int) -> bool:
        """Tell whether the commit of this batch is already there, left by a process that was killed after it."""
        return batch <= self._committed

    def _note(self, batch: int, counts: Mapping[str, int]) -> str:
        totals = {key: self._totals.get(key, 0) + counts.get(key, 0) for key in self._totals.keys() | counts.keys()}
        return json.dumps(
            {"query": self._query, "app": self._app_id, "batch": batch, "counts": counts, "totals": totals},
            sort_keys=True,
        )

    def _done(self, batch: int, counts: Mapping[str, int]) -> None:
        for key, count in counts.items():
            self._totals[key] = self._totals.get(key, 0) + count
        self._committed = batch

    def append(self, rows: DataFrame, batch: int, counts: Mapping[str, int]) -> None:
        """Append `rows` as the commit of `batch`; a batch that counted nothing leaves no commit.

        Counts without rows are a commit: duplicates were dropped, and the sum must stay exact.
        """
        if self.has(batch) or not any(counts.values()):
            return
        (
            rows.select(self.table.column_names)
            .write.format("delta")
            .mode("append")
            .option("txnAppId", self._app_id)
            .option("txnVersion", batch)
            .option("userMetadata", self._note(batch, counts))
            .save(self.table.path(self.lake))
        )
        self._done(batch, counts)

    def merge(self, merge: DeltaMergeBuilder, session: SparkSession, batch: int, counts: Mapping[str, int]) -> None:
        """Run `merge` as the commit of `batch`; `session` is that of the micro-batch."""
        if self.has(batch) or not any(counts.values()):
            return
        # A MERGE takes these from the session alone, and a session that kept them would swallow its next write.
        settings = {
            "spark.databricks.delta.write.txnAppId": self._app_id,
            "spark.databricks.delta.write.txnVersion": str(batch),
            "spark.databricks.delta.commitInfo.userMetadata": self._note(batch, counts),
        }
        for key, value in settings.items():
            session.conf.set(key, value)
        try:
            merge.execute()
        finally:
            for key in settings:
                session.conf.unset(key)
        self._done(batch, counts)


def read_text(spark: SparkSession, uri: str) -> str | None:
    """Return a small text file of the lake, or None where there is none."""
    files, path = _hadoop(spark, uri)
    if not files.exists(path):
        return None
    stream = files.open(path)
    try:
        text: str = spark._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")  # type: ignore[union-attr]
        return text
    finally:
        stream.close()


def write_text(spark: SparkSession, uri: str, text: str) -> None:
    files, path = _hadoop(spark, uri)
    stream = files.create(path, True)
    try:
        stream.write(bytearray(text.encode()))
    finally:
        stream.close()


def exists(spark: SparkSession, uri: str) -> bool:
    files, path = _hadoop(spark, uri)
    return bool(files.exists(path))


def _hadoop(spark: SparkSession, uri: str):  # type: ignore[no-untyped-def]
    path = spark._jvm.org.apache.hadoop.fs.Path(uri)  # type: ignore[union-attr]
    return path.getFileSystem(spark._jsc.hadoopConfiguration()), path
