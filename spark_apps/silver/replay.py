"""Read quarantined records again with the parser of this version, and move the tweets in them to silver/tweets.

1. Plan: divide the quarantined rows of some reasons into parts of whole hours in which Bronze read them.
2. Move: parse the text of each row. A row with a tweet leaves the quarantine: its tweets are appended to silver/tweets,
   or counted as duplicates, and records in it that are still rejected return to the quarantine. Other rows stay.

A part is two commits: to silver/tweets, then to silver/quarantine. An interrupted replay continues with the same
version of the quarantine and the same ids of its commits, so no record is counted twice. The stream must be stopped
meanwhile, because only one process at a time may write a table.
"""

import json
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
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.lake.hours import HourRange, hour_of, join_hours
from spark_apps.lake.writer import TableWriter
from spark_apps.settings import Settings
from spark_apps.silver.erasures import without_erased_tweets
from spark_apps.silver.known_ids import id_ranges, known_ids, without_ids
from spark_apps.silver.transform import (
    ParseOptions,
    distinct_tweets,
    find_poison_documents,
    parse_records,
    reasons,
    rejects,
)
from spark_apps.tables import BRONZE_TWEETS, QUARANTINE, REASONS, SILVER_TWEETS

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
class Moved:
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

    def __add__(self, other: "Moved") -> "Moved":
        mine, others = asdict(self), asdict(other)
        return Moved(**{name: mine[name] + others[name] for name in mine})

    def __str__(self) -> str:
        return (
            f"{self.moved:,} of {self.rows:,} rows had tweets: {self.tweets:,} new, {self.duplicates:,} duplicates, "
            f"{self.erased:,} erased"
        )


@dataclass(frozen=True)
class PartReport:
    """A finished part: its number from 1, the number of parts, the outcome, and the duration in seconds."""

    part: int
    parts: int
    moved: Moved
    seconds: float

    def __str__(self) -> str:
        return f"part {self.part} of {self.parts}: {self.moved}; in {self.seconds:.1f} s"


def replay(
    spark: SparkSession,
    settings: Settings,
    chosen_reasons: Sequence[str],
    since: date | None,
    on_part: Callable[[PartReport], None],
    stop: Event,
) -> Moved:
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
        ReplayError: a reason is unknown, another replay is unfinished, or `stop` was set before the end.
        LakeError: the tables do not exist, or another process writes them.
    """
    (lake,) = settings.require("lake")
    _check_reasons(chosen_reasons)
    for table in (QUARANTINE, SILVER_TWEETS):
        if open_table(lake, table) is None:
            raise LakeError(f"{table.path(lake)} does not exist: check --lake, or run the streams over it first")
        delta_tables.create_or_evolve(spark, lake, table, settings.retention_seconds)
    plan = _Plan.start(spark, lake, chosen_reasons, since)
    options = replace(ParseOptions.of(settings), reads_notices=False)
    parts = plan.parts(spark, lake)
    replayer = _Replay(spark, lake, plan, options)
    total = Moved()
    for number, part in enumerate(parts):
        if stop.is_set():
            left = len(parts) - number
            raise ReplayError(
                f"the replay was stopped with {left} of {len(parts)} parts left: run the same command to continue"
            )
        began = time.monotonic()
        moved = replayer.move(part, number)
        total += moved
        on_part(PartReport(number + 1, len(parts), moved, time.monotonic() - began))
    plan.finish(spark, lake)
    return total


def _check_reasons(chosen: Sequence[str]) -> None:
    if unknown := sorted(set(chosen) - REASONS.keys()):
        raise ReplayError(f"unknown reason {', '.join(unknown)}: the reasons are {', '.join(sorted(REASONS))}")


@dataclass(frozen=True)
class _Plan:
    """The rows to read, saved until the replay is finished.

    Attributes:
        id: id of the replay, which its commits carry.
        version: version of silver/quarantine with the rows.
        reasons: reasons of the rows, sorted.
        since: first day on which Bronze read the rows, as YYYY-MM-DD; None for all.
    """

    id: str
    version: int
    reasons: list[str]
    since: str | None

    @classmethod
    def start(cls, spark: SparkSession, lake: str, chosen: Sequence[str], since: date | None) -> "_Plan":
        """Return the plan of the unfinished replay with the same arguments, or save a new one."""
        first_day = since.isoformat() if since else None
        saved = hadoop_fs.read_text(spark, cls._file(lake))
        if saved:
            plan = cls(**json.loads(saved))
            if (plan.reasons, plan.since) != (sorted(set(chosen)), first_day):
                arguments = " ".join(f"--reason {reason}" for reason in plan.reasons)
                arguments += f" --since {plan.since}" if plan.since else ""
                raise ReplayError(
                    f"another replay is unfinished: first run `tweet-sentiment quarantine replay {arguments}`"
                )
            return plan
        version = TableWriter(lake, QUARANTINE, _QUERY, _QUERY).current_version()
        plan = cls(uuid.uuid4().hex, version, sorted(set(chosen)), first_day)
        hadoop_fs.write_text(spark, cls._file(lake), json.dumps(asdict(plan)))
        return plan

    def finish(self, spark: SparkSession, lake: str) -> None:
        hadoop_fs.remove(spark, self._file(lake))

    def rows(self, spark: SparkSession, lake: str) -> DataFrame:
        """Return the rows to read, with the columns of the quarantine."""
        rows = delta_tables.read(spark, lake, QUARANTINE, self.version).where(F.col("reason").isin(self.reasons))
        if self.since:
            rows = rows.where(F.col("ingest_date") >= F.lit(self.since).cast("date"))
        return rows.where("raw <> ''").select(QUARANTINE.column_names)

    def parts(self, spark: SparkSession, lake: str) -> list[HourRange]:
        hours = self.rows(spark, lake).groupBy(hour_of("ingested_at").alias("hour")).count().orderBy("hour").collect()
        return join_hours(((row["hour"], row["count"]) for row in hours), _PART_ROWS)

    @staticmethod
    def _file(lake: str) -> str:
        return f"{lake}/checkpoints/replay.json"


class _Replay:
    """Moves the rows of a plan part by part."""

    def __init__(self, spark: SparkSession, lake: str, plan: _Plan, options: ParseOptions) -> None:
        self._spark = spark
        self._lake = lake
        self._plan = plan
        self._options = options
        app_id = f"{_QUERY}:{plan.id}"
        self._quarantine, self._tweets = (
            TableWriter(lake, table, _QUERY, app_id) for table in (QUARANTINE, SILVER_TWEETS)
        )

    def move(self, part: HourRange, number: int) -> Moved:
        """Move the rows of one part, unless an earlier attempt has."""
        if self._quarantine.is_committed(number):
            return Moved()
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

    def _documents(self, part: HourRange) -> DataFrame:
        """Return the rows of a part with the columns of BRONZE_TWEETS and QUARANTINE.

        `position` does not come from Bronze: it numbers the quarantined rows of a file.
        """
        in_part = part.condition("ingested_at", "ingest_date")
        rows = self._plan.rows(self._spark, self._lake).where(in_part)
        bronze = delta_tables.read(self._spark, self._lake, BRONZE_TWEETS).where(in_part)
        files = bronze.groupBy("source_file", "ingested_at").agg(
            F.min("source_modified_at").alias("source_modified_at"),
            F.count_if(F.col("raw_bytes").isNotNull()).alias("invalid"),
        )
        order = Window.partitionBy("source_file").orderBy("ingested_at", F.sha2("raw", 256), "reason", "detail")
        return (
            rows.join(files, ["source_file", "ingested_at"], "left")
            # Without the bytes, the parser would accept a text in which a character was replaced.
            .where(~((F.coalesce("invalid", F.lit(0)) > 0) & F.contains("raw", F.lit(_REPLACEMENT))))
            .withColumn("source_modified_at", F.coalesce("source_modified_at", "ingested_at"))
            .withColumn("position", F.row_number().over(order).cast("bigint"))
            .withColumns({"problem": F.lit(None).cast("string"), "raw_bytes": F.lit(None).cast("binary")})
        )

    def _move(self, rows: DataFrame, part: HourRange, number: int) -> Moved:
        records = parse_records(rows, SILVER_TWEETS, self._options).persist()
        try:
            keys = records.where("reason IS NULL").select(*_KEY).distinct().localCheckpoint()
            records_of_moved = records.join(F.broadcast(keys), _KEY, "left_semi")
            counts = self._append_tweets(records_of_moved, number)
            moved_rows = rows.join(F.broadcast(keys), _KEY, "left_semi")
            rejected = self._take_out(moved_rows, rejects(records_of_moved), part, number)
            return Moved(rows.count(), keys.count(), *counts, rejected)
        finally:
            records.unpersist()

    def _append_tweets(self, records: DataFrame, number: int) -> tuple[int, int, int]:
        """Append the new tweets among `records`; return the numbers of new, duplicate and erased tweets."""
        if self._tweets.is_committed(number):
            return 0, 0, 0
        tweets = records.where("reason IS NULL")
        kept = without_erased_tweets(tweets, self._lake)
        new = distinct_tweets(kept, SILVER_TWEETS)
        new = without_ids(new, known_ids(new, id_ranges(new), self._lake)).persist()
        added, remaining, total = new.count(), kept.count(), tweets.count()
        counts = {"rows": added, "duplicates": remaining - added, "erased": total - remaining}
        self._tweets.append(new, number, counts)
        new.unpersist()
        return added, remaining - added, total - remaining

    def _take_out(self, moved: DataFrame, rejected: DataFrame, part: HourRange, number: int) -> int:
        """Replace the rows `moved` of the quarantine by `rejected`; return the number of rows in `rejected`."""
        taken, returned = reasons(moved), reasons(rejected)
        if not taken:
            return 0
        condition = part.condition("ingested_at", "ingest_date")
        stored = delta_tables.read(self._spark, self._lake, QUARANTINE, self._quarantine.current_version())
        stored = stored.where(condition).select(QUARANTINE.column_names)
        remaining = stored.exceptAll(moved.select(QUARANTINE.column_names)).union(rejected)
        counts = Counter(returned)
        counts.subtract(taken)
        self._quarantine.replace(remaining, number, condition, counts=counts)
        return returned.total()
