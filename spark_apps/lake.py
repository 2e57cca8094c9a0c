"""The Delta tables of the lake through Spark: the only place that creates, evolves and writes them.

Each micro-batch is one commit of a table, with a note (`commits.Note`) by which a replayed batch is known.
"""

from collections.abc import Mapping
from itertools import islice

from delta.tables import DeltaMergeBuilder, DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from spark_apps.commits import LakeError, Note, commits, open_table
from spark_apps.tables import SCHEMA_VERSION, SCHEMA_VERSION_PROPERTY, Column, Table

_PROPERTIES = {
    SCHEMA_VERSION_PROPERTY: str(SCHEMA_VERSION),
    # Micro-batches write small files: Delta joins them after a commit, in the driver that owns the table.
    "delta.autoOptimize.autoCompact": "true",
    # Readers without Spark (the dashboard) see plain Parquet; the tables that are merged into are small.
    "delta.enableDeletionVectors": "false",
}
_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
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
    files, log = _hadoop(spark, f"{path}/_delta_log")
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


class TableWriter:
    """Writes one table for one streaming query, each micro-batch once.

    `app_id` names the query and its checkpoint. A batch is known by the note in its commit, not by Delta's own
    `txnAppId`: to look that up, Delta rebuilds the state of the table by a Spark job before every write, which was a
    third of a small batch's time. The note is as atomic, and a writer reads it once, when it starts. From then on it
    is alone: a batch that somebody else has written meanwhile ends it with an error.
    """

    def __init__(self, lake: str, table: Table, query: str, app_id: str) -> None:
        """`table` must be there already; `LakeError` when it cannot be read."""
        self.table = table
        self.lake = lake
        self._query = query
        self._app_id = app_id
        delta = open_table(lake, table)
        if delta is None:
            raise LakeError(f"{table.path(lake)} is not there any more: start again to have it made anew")
        self._delta = delta
        found = list(islice(commits(delta), 1))
        self._totals = dict(found[0].note.totals) if found else {}
        # Looked for when it is asked for: of a writer that has none, in the whole log.
        self._committed: int | None = None
        self._version = delta.version()
        self._own: list[int] = []

    def has(self, batch: int) -> bool:
        """Tell whether the commit of this batch is already there, left by a process that was killed after it."""
        if self._committed is None:
            ours = (commit.note.batch for commit in commits(self._delta) if commit.note.app == self._app_id)
            self._committed = next(ours, -1)
        return batch <= self._committed

    def own_version(self) -> int:
        """Return the version of the table; `LakeError` where it holds what another process has written meanwhile."""
        self._check_alone()
        return self._version

    def append(self, rows: DataFrame, batch: int, counts: Mapping[str, int]) -> None:
        """Append `rows` as the commit of `batch`; a batch that counted nothing leaves no commit.

        Counts without rows are a commit: duplicates were dropped, and the sum must stay exact.
        """
        if self.has(batch) or not any(counts.values()):
            return
        note = self._note(batch, counts)
        (
            rows.select(self.table.column_names)
            .write.format("delta")
            .mode("append")
            .option("userMetadata", str(note))
            .save(self.table.path(self.lake))
        )
        self._done(note)

    def merge(self, merge: DeltaMergeBuilder, session: SparkSession, batch: int, counts: Mapping[str, int]) -> None:
        """Run `merge` as the commit of `batch`; `session` is that of the micro-batch."""
        if self.has(batch) or not any(counts.values()):
            return
        note = self._note(batch, counts)
        # A MERGE takes its note from the session alone, which would give it to its next write too.
        session.conf.set(_USER_METADATA, str(note))
        try:
            merge.execute()
        finally:
            session.conf.unset(_USER_METADATA)
        self._done(note)

    def replace(self, rows: DataFrame, batch: int, where: str | None = None) -> None:
        """Write `rows` over those for which the condition `where` holds, or over all: one commit, and the totals stay.

        `rows` are made from those of `own_version`, of which the condition must hold too. No tweets come or go by it:
        streams pass over such a commit.
        """
        note = self._note(batch, {})
        writer = rows.select(self.table.column_names).write.format("delta").mode("overwrite")
        if where is not None:
            writer = writer.option("replaceWhere", where)
        writer.option("userMetadata", str(note)).save(self.table.path(self.lake))
        self._done(note)
        # A row that somebody has added just before the commit would be gone by it: that is not left for the next one.
        self._check_alone()

    def _note(self, batch: int, counts: Mapping[str, int]) -> Note:
        self._check_alone()
        totals = {key: self._totals.get(key, 0) + counts.get(key, 0) for key in self._totals.keys() | counts.keys()}
        return Note(self._query, self._app_id, batch, dict(counts), totals)

    def _check_alone(self) -> None:
        self._delta.update_incremental()
        found = list(commits(self._delta, self._version))
        others = [commit for commit in found if (commit.note.app, commit.note.batch) != (self._app_id, *self._own)]
        if others or len(found) > len(self._own):
            other = (others or found)[0]
            raise LakeError(
                f"{self.table.path(self.lake)} was written by another process (version {other.version}: batch "
                f"{other.note.batch} of {other.note.query}) while this one ran: one process at a time may write a table"
            )
        self._version, self._own = self._delta.version(), []

    def _done(self, note: Note) -> None:
        self._totals, self._committed, self._own = note.totals, note.batch, [note.batch]


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


def clear_unfinished(spark: SparkSession, folder: str) -> None:
    """Remove what a process has left in `folder` that was killed before it had finished the first file there.

    Spark writes a file beside its place, hidden, and then renames it. It refuses a checkpoint in which it finds one of
    those and no batch.
    """
    files, path = _hadoop(spark, folder)
    left = [found.getPath() for found in files.listStatus(path)] if files.exists(path) else []
    if all(found.getName().startswith(".") for found in left):
        for found in left:
            files.delete(found, False)


def remove(spark: SparkSession, uri: str) -> None:
    files, path = _hadoop(spark, uri)
    files.delete(path, False)


def exists(spark: SparkSession, uri: str) -> bool:
    files, path = _hadoop(spark, uri)
    return bool(files.exists(path))


def _hadoop(spark: SparkSession, uri: str):  # type: ignore[no-untyped-def]
    path = spark._jvm.org.apache.hadoop.fs.Path(uri)  # type: ignore[union-attr]
    return path.getFileSystem(spark._jsc.hadoopConfiguration()), path
