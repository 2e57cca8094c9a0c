"""Read the documents of bronze/tweets again with the parser of this version, and correct the tables of Silver.

1. Drain: the stream reads all documents, so that the tables have the records of all of them.
2. Plan: divide the documents into parts of whole hours in which Bronze read them.
3. Correct: parse the documents of a part, compare the records with the rows of silver/quarantine and silver/tweets, and
   commit the differences. Without a difference there is no commit.

A tweet that is new in silver/tweets is appended, so Gold labels it. Changed and removed rows do not reach Gold: it has
to be rebuilt afterwards. All differences are derived from the content of the tables, so it is safe to repeat a part.
The stream must be stopped meanwhile, because only one process at a time may write a table.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from threading import Event

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from spark_apps.errors import UserError
from spark_apps.lake import delta_tables, hadoop_fs
from spark_apps.lake.commits import LakeError, batch_commits, open_existing_table, open_table
from spark_apps.lake.erasures import applied_batch, newest_position, read_applied_batch
from spark_apps.lake.hours import HourRange, hour_of, join_hours
from spark_apps.lake.source_version import version_read
from spark_apps.lake.writer import TableWriter
from spark_apps.settings import Settings
from spark_apps.silver.app import streams
from spark_apps.silver.erasures import without_erased_tweets
from spark_apps.silver.known_ids import id_ranges, known_ids, without_ids
from spark_apps.silver.transform import (
    ParseOptions,
    find_poison_documents,
    parse_records,
    reasons,
    reject_poison,
    rejects,
)
from spark_apps.streaming import checkpoint
from spark_apps.streaming.runner import StreamRunner
from spark_apps.tables import BRONZE_TWEETS, QUARANTINE, SILVER_TWEETS

_log = logging.getLogger(__name__)
_STREAM = "silver"
_QUERY = "rebuild"
# Documents of a part: a minute or two of parsing. A kill loses at most this work, and a stop waits at most this time.
_PART_DOCUMENTS = 100_000
# The columns of a tweet that name its document: the landing time of the file, and the time at which Bronze read it.
_ORIGIN = ("landed_at", "ingested_at")
# A setting decides whether a notice is rejected or is an erasure request. A rebuild keeps the outcome that it had.
_NO_NOTICE = "reason NOT IN ('deletion', 'notice')"


class RebuildError(UserError):
    """A rebuild cannot start or was stopped before the end; the message says what to do."""

    exit_code = 1


@dataclass(frozen=True)
class Corrections:
    """The differences that were committed.

    Attributes:
        added: number of tweets that are new in silver/tweets.
        changed: number of rows of silver/tweets with other values.
        removed: number of rows of silver/tweets that no document contains any more.
        rejected: number of rows by which the quarantine has grown; negative if it has shrunk.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    rejected: int = 0

    def __add__(self, other: "Corrections") -> "Corrections":
        return Corrections(
            self.added + other.added,
            self.changed + other.changed,
            self.removed + other.removed,
            self.rejected + other.rejected,
        )

    def __str__(self) -> str:
        return f"{self.added:,} new, {self.changed:,} changed, {self.removed:,} removed, {self.rejected:+,} rejects"


@dataclass(frozen=True)
class PartReport:
    """A corrected part: its number from 1, the number of parts, its days, documents, seconds and corrections."""

    part: int
    parts: int
    first_day: str
    last_day: str
    documents: int
    seconds: float
    corrections: Corrections

    def __str__(self) -> str:
        days = self.first_day if self.first_day == self.last_day else f"{self.first_day} to {self.last_day}"
        return (
            f"part {self.part} of {self.parts}: {self.documents:,} documents of {days} in {self.seconds:.1f} s: "
            f"{self.corrections}"
        )


@dataclass(frozen=True)
class RebuildResult:
    """The result of a rebuild: the number of documents that were read, the corrections, and the duration in seconds."""

    documents: int
    corrections: Corrections
    seconds: float


def rebuild(
    spark: SparkSession, settings: Settings, since: date | None, on_part: Callable[[PartReport], None], stop: Event
) -> RebuildResult:
    """Correct the tables of Silver, for all documents or for those that Bronze has read since the day `since`.

    Args:
        spark: session that writes the lake.
        settings: settings of the stream.
        since: first day; None for all documents.
        on_part: called after each part.
        stop: set this event to stop after the current part.

    Raises:
        RebuildError: Bronze has not applied all erasures yet, or `stop` was set before the end.
        LakeError: bronze/tweets does not exist, or another process writes the tables.
    """
    began = time.monotonic()
    (lake,) = settings.require("lake")
    if open_table(lake, BRONZE_TWEETS) is None:
        raise LakeError(f"{BRONZE_TWEETS.path(lake)} does not exist: check --lake, or run the streams over it first")
    version = _drain(spark, settings, stop)
    bronze = delta_tables.read(spark, lake, BRONZE_TWEETS, version)
    options = ParseOptions.of(settings)
    progress = _Progress(spark, lake, f"{since} {options.fingerprint()}")
    parts = _plan(bronze, since, progress.next_hour())
    _log.info("%s parts of bronze/tweets to read", len(parts))
    tables = _Rebuild(spark, lake, bronze, options)
    total = Corrections()
    for number, part in enumerate(parts):
        _raise_if_stopped(stop, f"with {len(parts) - number} of {len(parts)} parts left")
        started = time.monotonic()
        corrections = tables.correct(part, number)
        total += corrections
        if number + 1 < len(parts):
            progress.save(part.end)
        seconds = round(time.monotonic() - started, 1)
        days = str(part.first_day), str(part.last_day)
        on_part(PartReport(number + 1, len(parts), *days, part.rows, seconds, corrections))
    progress.remove()
    documents = sum(part.rows for part in parts)
    return RebuildResult(documents, total, round(time.monotonic() - began, 1))


class _Progress:
    """How far an unfinished rebuild has come: a file in the checkpoints."""

    def __init__(self, spark: SparkSession, lake: str, rebuild_id: str) -> None:
        """Create the progress of a rebuild; `rebuild_id` names its first day and its parser."""
        self._spark = spark
        self._file = f"{lake}/checkpoints/rebuild-silver.json"
        self._id = rebuild_id

    def next_hour(self) -> int:
        """Return the hour since 1970 before which all documents are done; 0 without a rebuild of the same id."""
        saved = json.loads(hadoop_fs.read_text(self._spark, self._file) or "{}")
        return int(saved["next_hour"]) if saved.get("id") == self._id else 0

    def save(self, next_hour: int) -> None:
        """Save the hour since 1970 before which all documents are done."""
        hadoop_fs.write_text(self._spark, self._file, json.dumps({"id": self._id, "next_hour": next_hour}))

    def remove(self) -> None:
        """Remove the file: the rebuild is finished."""
        hadoop_fs.remove(self._spark, self._file)


def _drain(spark: SparkSession, settings: Settings, stop: Event) -> int:
    """Run the stream over all documents; return the version of bronze/tweets that it has read.

    Otherwise the stream would later count the records of unread documents as duplicates.
    """
    (lake,) = settings.require("lake")
    runner = StreamRunner(spark, lake, settings.retention_seconds, lambda report: _log.info("%s", report), stop)
    runner.run(streams(spark, settings), None)
    _raise_if_stopped(stop, "while it read new documents")
    batch = checkpoint.last_planned_batch(lake, _STREAM)
    version = version_read(lake, BRONZE_TWEETS, checkpoint.read_offset(spark, lake, _STREAM, batch))
    if version is None:
        raise RebuildError("the stream has read only a part of the newest commit of bronze/tweets: try again")
    _check_erasures(lake, version)
    return version


def _check_erasures(lake: str, version: int) -> None:
    """Raise if `version` of bronze/tweets has texts that were already erased from silver/quarantine.

    The rebuild would write them into the quarantine again.
    """
    newest = newest_position(lake)
    if newest is None:
        return
    bronze = open_existing_table(lake, BRONZE_TWEETS)
    bronze.load_as_version(version)
    commit = next(batch_commits(bronze), None)
    if applied_batch(commit.metadata.erased if commit else None, newest) < read_applied_batch(lake, QUARANTINE, newest):
        raise RebuildError(
            f"{BRONZE_TWEETS.path(lake)} still has tweets that were erased from Silver: run Bronze until "
            "`tweet-sentiment erasures` shows no erasure that is pending in bronze/tweets"
        )


def _plan(bronze: DataFrame, since: date | None, first_hour: int) -> list[HourRange]:
    """Divide the documents into parts, in the order in which Silver has read them."""
    if since is not None:
        bronze = bronze.where(F.col("ingest_date") >= F.lit(since))
    hours = bronze.groupBy(hour_of("ingested_at").alias("hour")).count().orderBy("hour").collect()
    return join_hours(((row["hour"], row["count"]) for row in hours if row["hour"] >= first_hour), _PART_DOCUMENTS)


class _Rebuild:
    """Corrects the tables of Silver part by part."""

    def __init__(self, spark: SparkSession, lake: str, bronze: DataFrame, options: ParseOptions) -> None:
        self._spark = spark
        self._lake = lake
        self._bronze = bronze
        self._options = options
        self._quarantine, self._tweets = (
            TableWriter(lake, table, _QUERY, f"{_QUERY}:{uuid.uuid4().hex}") for table in (QUARANTINE, SILVER_TWEETS)
        )

    def correct(self, part: HourRange, number: int) -> Corrections:
        """Correct the rows of one part."""
        documents = self._bronze.where(part.condition("ingested_at", "ingest_date"))
        # The whole text of these documents was erased, so their records cannot be parsed again. Rows that remain stay.
        erased = documents.where("problem = 'erased'")
        documents = documents.where("problem IS DISTINCT FROM 'erased'")
        try:
            return self._correct(documents, erased, part, number)
        except UserError:
            raise
        except Exception:
            poison = find_poison_documents(documents, SILVER_TWEETS, self._options)
            if not poison:
                raise
            for row in poison:
                _log.error("document %s is rejected: %s", row.key, row.cause)
            return self._correct(reject_poison(documents, poison), erased, part, number)

    def _correct(self, documents: DataFrame, erased: DataFrame, part: HourRange, number: int) -> Corrections:
        records = parse_records(documents, SILVER_TWEETS, self._options).persist()
        try:
            rejected = self._correct_quarantine(records, erased, part, number)
            added, changed, removed = self._correct_tweets(records, documents, part, number)
        finally:
            records.unpersist()
        return Corrections(added, changed, removed, rejected)

    def _correct_quarantine(self, records: DataFrame, erased: DataFrame, part: HourRange, number: int) -> int:
        condition = f"{part.condition('ingested_at', 'ingest_date')} AND {_NO_NOTICE}"
        version = self._quarantine.current_version()
        stored = delta_tables.read(self._spark, self._lake, QUARANTINE, version).where(condition)
        stored = stored.select(QUARANTINE.column_names)
        of_erased = stored.where("raw IS NULL").join(
            F.broadcast(erased.select("source_file", "ingested_at").distinct()),
            ["source_file", "ingested_at"],
            "left_semi",
        )
        current = rejects(records).where(_NO_NOTICE)
        current = current.union(of_erased.select(QUARANTINE.column_names))
        counts = reasons(current.exceptAll(stored))
        counts.subtract(reasons(stored.exceptAll(current)))
        if not counts:
            return 0
        self._quarantine.replace(current, number, condition, counts=counts)
        return counts.total()

    def _correct_tweets(
        self, records: DataFrame, documents: DataFrame, part: HourRange, number: int
    ) -> tuple[int, int, int]:
        """Return how many rows were added, changed and removed."""
        stored = self._stored_tweets(documents, part)
        chosen = _chosen_copies(without_erased_tweets(records.where("reason IS NULL"), self._lake), stored).persist()
        try:
            columns = SILVER_TWEETS.column_names
            changed = chosen.where("is_stored").select(columns).exceptAll(stored).withColumn("is_removed", F.lit(False))
            removed = stored.join(chosen.select("id"), "id", "left_anti").withColumn("is_removed", F.lit(True))
            # The rows depend on the table that the MERGE changes: they must not be computed again.
            corrections = changed.unionByName(removed).localCheckpoint()
            counts = {row["is_removed"]: row["count"] for row in corrections.groupBy("is_removed").count().collect()}
            if counts:
                self._merge(corrections, part, number, counts)
            new = chosen.where("NOT is_stored").select(columns)
            new = without_ids(new, known_ids(new, id_ranges(new), self._lake)).persist()
            added = new.count()
            self._tweets.append(new, 2 * number + 1, {"rows": added})
            new.unpersist()
        finally:
            chosen.unpersist()
        return added, counts.get(False, 0), counts.get(True, 0)

    def _stored_tweets(self, documents: DataFrame, part: HourRange) -> DataFrame:
        """Return the rows of silver/tweets that come from `documents`.

        A row without a document in bronze/tweets is not among them, so it stays as it is.
        """
        tweets = delta_tables.read(self._spark, self._lake, SILVER_TWEETS, self._tweets.current_version())
        origins = documents.select(F.col("source_modified_at").alias("landed_at"), "ingested_at").distinct()
        in_part = tweets.where(part.condition("ingested_at")).select(SILVER_TWEETS.column_names)
        return in_part.join(F.broadcast(origins), list(_ORIGIN), "left_semi").select(SILVER_TWEETS.column_names)

    def _merge(self, corrections: DataFrame, part: HourRange, number: int, counts: dict[bool, int]) -> None:
        in_part = part.condition("t.ingested_at")
        merge = (
            DeltaTable.forPath(self._spark, SILVER_TWEETS.path(self._lake))
            .alias("t")
            .merge(corrections.alias("s"), f"t.id = s.id AND {in_part}")
            .whenMatchedDelete("s.is_removed")
            .whenMatchedUpdate(set={name: f"s.{name}" for name in SILVER_TWEETS.column_names})
        )
        deleted = {"changed": counts.get(False, 0), "deleted": counts.get(True, 0)}
        self._tweets.merge(merge, self._spark, 2 * number, deleted)


def _chosen_copies(tweets: DataFrame, stored: DataFrame) -> DataFrame:
    """Return one copy of each tweet: the one that `stored` has, and otherwise the first one.

    The column `is_stored` says whether `stored` has the tweet.
    """
    origins = stored.select(
        "id", *(F.col(name).alias(f"stored_{name}") for name in _ORIGIN), F.lit(True).alias("known")
    )
    is_same = [F.col(name).eqNullSafe(F.col(f"stored_{name}")) for name in _ORIGIN]
    first = Window.partitionBy("id").orderBy(F.desc(is_same[0] & is_same[1]), "copy")
    ranked = tweets.join(origins, "id", "left").withColumn("rank", F.row_number().over(first))
    return ranked.where("rank = 1").withColumn("is_stored", F.col("known").isNotNull())


def _raise_if_stopped(stop: Event, progress: str) -> None:
    if stop.is_set():
        raise RebuildError(f"the rebuild was stopped {progress}: run the same command to continue")
