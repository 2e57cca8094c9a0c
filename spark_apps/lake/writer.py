"""The only writer of tables. Each micro-batch is one commit, with a note by which a replayed batch is known."""

from collections.abc import Mapping
from itertools import islice

from delta.tables import DeltaMergeBuilder
from pyspark.sql import DataFrame, SparkSession

from spark_apps.lake.commits import LakeError, Note, commits, open_table
from spark_apps.tables import Table

# A micro-batch of the stream that reads the table takes at least one file, and must not take for ever.
_ROWS_PER_FILE = 4_000
_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"


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
            .option("maxRecordsPerFile", _ROWS_PER_FILE)
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
