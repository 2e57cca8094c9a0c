"""Read quarantined records again with the parser of this version, and move the tweets in them to silver/tweets.

1. Plan: divide the quarantined rows of some reasons into parts of whole hours in which Bronze read them.
2. Move: parse the text of each row. A row with a tweet leaves the quarantine: its tweets are appended to silver/tweets,
   or counted as duplicates, and records in it that are still rejected return to the quarantine. Other rows stay.

A part is two commits: to silver/tweets, then to silver/quarantine. If a replay ends between the two, the tweets of the
part are in silver/tweets while their records are still in the quarantine. The next replay first takes these records out
of the totals, and then reads them again. Whatever happens in between, each record is counted once. The stream must be
stopped meanwhile, because only one process at a time may write a table.
"""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from threading import Event

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from spark_apps.errors import UserError
from spark_apps.lake import delta_tables, hadoop_fs
from spark_apps.lake.commits import BatchMetadata, LakeError, batch_commits, open_existing_table, open_table
from spark_apps.lake.erasures import drop_erased
from spark_apps.lake.hours import HourRange, hour_of, join_hours
from spark_apps.lake.schema_version import check_schema_versions
from spark_apps.lake.writer import TableWriter
from spark_apps.settings import Settings
from spark_apps.silver.known_ids import id_ranges, known_ids, without_ids
from spark_apps.silver.transform import (
    ParseOptions,
    distinct_tweets,
    find_poison_documents,
    parse_records,
    reasons,
    rejects,
)
from spark_apps.tables import BRONZE_TWEETS, QUARANTINE, REASONS, SILVER_TWEETS, Table

_log = logging.getLogger(__name__)
_QUERY = "replay"
_PART_ROWS = 100_000
# The character that replaces invalid UTF-8 in Bronze.
_REPLACEMENT = "\ufffd"
_KEY = ["source_file", "position"]


class ReplayError(UserError):
    """A replay cannot start or was stopped before the end; the message says what to do."""

    exit_code = 1


@dataclass(frozen=True)
class ReplayCounts:
    """The outcome of the rows that were read.

    Attributes:
        rows: number of quarantined rows that were read.
        moved: number of rows with a tweet, which have left the quarantine.
        tweets: number of tweets that are new in silver/tweets.
        duplicates: number of other tweets in the rows.
        erased: number of tweets that an erasure keeps out.
        rejected: number of other records in rows with a tweet, which have returned to the quarantine.
    """

    rows: int = 0
    moved: int = 0
    tweets: int = 0
    duplicates: int = 0
    erased: int = 0
    rejected: int = 0

    def __add__(self, other: "ReplayCounts") -> "ReplayCounts":
        mine, others = asdict(self), asdict(other)
        return ReplayCounts(**{name: mine[name] + others[name] for name in mine})

    def __str__(self) -> str:
        return (
            f"{self.moved:,} of {self.rows:,} rows had tweets: {self.tweets:,} new, {self.duplicates:,} duplicates, "
            f"{self.erased:,} erased"
        )


@dataclass(frozen=True)
class ReplayedPart:
    """A finished part: its number from 1, the number of parts, the outcome, and the duration in seconds."""

    part: int
    parts: int
    moved: ReplayCounts
    seconds: float

    def __str__(self) -> str:
        return f"part {self.part} of {self.parts}: {self.moved}; in {self.seconds:.1f} s"


def replay(
    spark: SparkSession,
    settings: Settings,
    chosen_reasons: Sequence[str],
    since: date | None,
    on_part: Callable[[ReplayedPart], None],
    stop: Event,
) -> ReplayCounts:
    """Read the quarantined rows of some reasons again; return their outcome.

    Rows without a text, and rows with bytes that are not UTF-8, are not read: only bronze/tweets has their documents.

    Args:
        spark: session that writes the lake.
        settings: settings of the stream.
        chosen_reasons: reasons of the rows.
        since: first day on which Bronze read the rows; None for all.
        on_part: called after each part.
        stop: set this event to stop after the current part.

    Raises:
        ReplayError: a reason is unknown, or `stop` was set before the end.
        LakeError: the tables do not exist, or another process writes them.
    """
    (lake,) = settings.require("lake")
    _check_reasons(chosen_reasons)
    written = (QUARANTINE, SILVER_TWEETS)
    check_schema_versions(lake, written)
    for table in written:
        if open_table(lake, table) is None:
            raise LakeError(f"{table.path(lake)} does not exist: check --lake, or run the streams over it first")
        delta_tables.create_or_evolve(spark, lake, table, settings.retention_seconds)
    replayer = _Replay(spark, lake, replace(ParseOptions.of(settings), reads_notices=False), chosen_reasons, since)
    replayer.begin()
    parts = replayer.plan()
    total = ReplayCounts()
    for number, part in enumerate(parts):
        if stop.is_set():
            left = len(parts) - number
            raise ReplayError(
                f"the replay was stopped with {left} of {len(parts)} parts left: run the same command to continue"
            )
        began = time.monotonic()
        moved = replayer.move(part, number + 1)
        total += moved
        on_part(ReplayedPart(number + 1, len(parts), moved, time.monotonic() - began))
    replayer.finish()
    return total


def _check_reasons(chosen: Sequence[str]) -> None:
    if unknown := sorted(set(chosen) - REASONS.keys()):
        raise ReplayError(f"unknown reason {', '.join(unknown)}: the reasons are {', '.join(sorted(REASONS))}")


class _Replay:
    """Moves the rows of some reasons part by part."""

    def __init__(
        self, spark: SparkSession, lake: str, options: ParseOptions, chosen_reasons: Sequence[str], since: date | None
    ) -> None:
        self._spark = spark
        self._lake = lake
        self._options = options
        self._reasons = list(chosen_reasons)
        self._since = since
        # This file exists until the replay is finished.
        self._unfinished = f"{lake}/checkpoints/replay.json"
        app_id = f"{_QUERY}:{uuid.uuid4().hex}"
        self._quarantine, self._tweets = (
            TableWriter(lake, table, _QUERY, app_id) for table in (QUARANTINE, SILVER_TWEETS)
        )

    def begin(self) -> None:
        """Subtract the counts of a half-moved part of an earlier replay from the totals of silver/tweets.

        Its tweets are in silver/tweets, but its records are still in the quarantine. When they are read again, all of
        them count as duplicates.
        """
        if hadoop_fs.exists(self._spark, self._unfinished):
            last, moved = (_newest_commit(self._lake, table) for table in (SILVER_TWEETS, QUARANTINE))
            is_moved = last is None or (moved is not None and (moved.app, moved.batch) == (last.app, last.batch))
            if last is not None and not is_moved and min(last.counts.values()) >= 0:
                duplicates = last.counts["rows"] + last.counts["duplicates"]
                counts = {"duplicates": -duplicates, "erased": -last.counts["erased"]}
                nothing = delta_tables.read(self._spark, self._lake, SILVER_TWEETS).where("false")
                self._tweets.append(nothing, 0, counts)
        hadoop_fs.write_text(self._spark, self._unfinished, "{}")

    def finish(self) -> None:
        """Record that no part is half-moved."""
        hadoop_fs.remove(self._spark, self._unfinished)

    def plan(self) -> list[HourRange]:
        """Divide the rows to read into parts."""
        hours = self._rows().groupBy(hour_of("ingested_at").alias("hour")).count().orderBy("hour").collect()
        return join_hours(((row["hour"], row["count"]) for row in hours), _PART_ROWS)

    def move(self, part: HourRange, number: int) -> ReplayCounts:
        """Move the rows of one part, with the number of its commits."""
        rows = self._documents(part).persist()
        try:
            return self._move(rows, part, number)
        except UserError:
            raise
        except Exception:
            poison = find_poison_documents(rows, SILVER_TWEETS, self._options)
            if not poison:
                raise
            for row in poison:
                _log.error("a row of %s stays in the quarantine: %s", row.key[0], row.cause)
            keys = self._spark.createDataFrame([row.key for row in poison], "source_file STRING, position BIGINT")
            return self._move(rows.join(F.broadcast(keys), _KEY, "left_anti"), part, number)
        finally:
            rows.unpersist()

    def _rows(self) -> DataFrame:
        """Return the rows to read, with the columns of the quarantine."""
        rows = self._stored().where(F.col("reason").isin(self._reasons))
        if self._since is not None:
            rows = rows.where(F.col("ingest_date") >= F.lit(self._since))
        return rows.where("raw <> ''")

    def _stored(self) -> DataFrame:
        """Return the quarantine at its current version."""
        rows = delta_tables.read(self._spark, self._lake, QUARANTINE, self._quarantine.current_version())
        return rows.select(QUARANTINE.column_names)

    def _documents(self, part: HourRange) -> DataFrame:
        """Return the rows of a part with the columns of BRONZE_TWEETS and QUARANTINE.

        `position` does not come from Bronze: it numbers the quarantined rows of a file.
        """
        in_part = part.condition("ingested_at", "ingest_date")
        rows = self._rows().where(in_part)
        bronze = delta_tables.read(self._spark, self._lake, BRONZE_TWEETS).where(in_part)
        files = bronze.groupBy("source_file", "ingested_at").agg(
            F.min("source_modified_at").alias("source_modified_at"),
            F.count_if(F.col("raw_bytes").isNotNull()).alias("invalid"),
        )
        order = Window.partitionBy("source_file").orderBy("ingested_at", F.sha2("raw", 256), "reason", "detail")
        return (
            rows.join(files, ["source_file", "ingested_at"], "left")
            # Without the bytes, the parser would accept a text in which a character was replaced. Documents that Bronze
            # has deleted because of their age may have had such bytes.
            .where(~((F.coalesce("invalid", F.lit(1)) > 0) & F.contains("raw", F.lit(_REPLACEMENT))))
            .withColumn("source_modified_at", F.coalesce("source_modified_at", "ingested_at"))
            .withColumn("position", F.row_number().over(order).cast("bigint"))
            .withColumns({"problem": F.lit(None).cast("string"), "raw_bytes": F.lit(None).cast("binary")})
        )

    def _move(self, rows: DataFrame, part: HourRange, number: int) -> ReplayCounts:
        records = parse_records(rows, SILVER_TWEETS, self._options).persist()
        try:
            keys = records.where("reason IS NULL").select(*_KEY).distinct().localCheckpoint()
            records_of_moved = records.join(F.broadcast(keys), _KEY, "left_semi")
            counts = self._append_tweets(records_of_moved, number)
            moved_rows = rows.join(F.broadcast(keys), _KEY, "left_semi")
            rejected = self._replace_quarantined(moved_rows, rejects(records_of_moved), part, number)
            return ReplayCounts(rows.count(), keys.count(), *counts, rejected)
        finally:
            records.unpersist()

    def _append_tweets(self, records: DataFrame, number: int) -> tuple[int, int, int]:
        """Append the new tweets among `records`; return the numbers of new, duplicate and erased tweets."""
        tweets = records.where("reason IS NULL")
        kept = drop_erased(tweets, self._lake)
        new = distinct_tweets(kept, SILVER_TWEETS)
        new = without_ids(new, known_ids(new, id_ranges(new), self._tweets)).persist()
        added, remaining, total = new.count(), kept.count(), tweets.count()
        counts = {"rows": added, "duplicates": remaining - added, "erased": total - remaining}
        self._tweets.append(new, number, counts)
        new.unpersist()
        return added, remaining - added, total - remaining

    def _replace_quarantined(self, moved: DataFrame, rejected: DataFrame, part: HourRange, number: int) -> int:
        """Replace the rows `moved` of the quarantine by `rejected`; return the number of rows in `rejected`."""
        taken, returned = reasons(moved), reasons(rejected)
        if not taken:
            return 0
        condition = part.condition("ingested_at", "ingest_date")
        stored = self._stored().where(condition)
        remaining = stored.exceptAll(moved.select(QUARANTINE.column_names)).union(rejected)
        counts = Counter(returned)
        counts.subtract(taken)
        self._quarantine.replace(remaining, number, condition, counts=counts)
        return returned.total()


def _newest_commit(lake: str, table: Table) -> BatchMetadata | None:
    """Return the metadata of the newest commit of a replay."""
    commits = (commit.metadata for commit in batch_commits(open_existing_table(lake, table)))
    return next((metadata for metadata in commits if metadata.query == _QUERY), None)
