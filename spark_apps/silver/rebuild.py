"""Read the documents of bronze/tweets again with the parser of this version, and correct the tables of Silver.

1. Drain: the stream reads all documents, so that the tables have the records of all of them.
2. Plan: divide the documents into parts of whole hours in which Bronze read them.
3. Correct: parse the documents of a part, compare the records with the rows of silver/quarantine and silver/tweets, and
   commit the differences. A part without a difference commits nothing.

A tweet that is new in silver/tweets is appended, so Gold labels it. Changed and removed rows do not reach Gold: it has
to be rebuilt afterwards. All differences are derived from the content of the tables, so it is safe to repeat a part.
The stream must be stopped meanwhile, because only one process at a time may write a table.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from threading import Event

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.errors import UserError
from spark_apps.lake import delta_tables, hadoop_fs
from spark_apps.lake.commits import LakeError, batch_commits, open_existing_table, open_table
from spark_apps.lake.erasures import applied_batch, newest_position, read_applied_batch
from spark_apps.lake.expired import read_expired
from spark_apps.lake.hours import HourRange, hour_of, join_hours
from spark_apps.settings import Settings
from spark_apps.silver.app import streams
from spark_apps.silver.corrections import Corrections, Corrector
from spark_apps.silver.transform import ParseOptions
from spark_apps.streaming import checkpoint
from spark_apps.streaming.runner import StreamRunner
from spark_apps.tables import BRONZE_TWEETS, QUARANTINE

_log = logging.getLogger(__name__)
_STREAM = "silver"
# Documents of a part: a minute or two of parsing. A kill loses at most this work, and a stop waits at most this time.
_PART_DOCUMENTS = 100_000


class RebuildError(UserError):
    """A rebuild cannot start or was stopped before the end; the message says what to do."""

    exit_code = 1


@dataclass(frozen=True)
class RebuiltPart:
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
    """The result of a rebuild.

    Attributes:
        documents: number of documents that were read.
        documents_since: first day of the documents that Bronze has kept; None if it has all. Rows of earlier documents
            stay as they are.
        corrections: the differences that were committed.
        seconds: duration.
    """

    documents: int
    documents_since: date | None
    corrections: Corrections
    seconds: float


def rebuild(
    spark: SparkSession, settings: Settings, since: date | None, on_part: Callable[[RebuiltPart], None], stop: Event
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
    tables = Corrector(spark, lake, bronze, options)
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
        on_part(RebuiltPart(number + 1, len(parts), *days, part.rows, seconds, corrections))
    progress.remove()
    documents, expired = sum(part.rows for part in parts), read_expired(lake, BRONZE_TWEETS, version)
    kept_since = expired.before if expired else None
    return RebuildResult(documents, kept_since, total, round(time.monotonic() - began, 1))


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
    version = checkpoint.read_version(spark, lake, _STREAM, BRONZE_TWEETS)
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


def _raise_if_stopped(stop: Event, progress: str) -> None:
    if stop.is_set():
        raise RebuildError(f"the rebuild was stopped {progress}: run the same command to continue")
