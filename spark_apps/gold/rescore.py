"""The history of gold/sentiment scored again with the model in production, then its aggregates made anew.

Each part, some whole hours of one day, is one commit. What is left to do is read from the versions on the rows, so a
rescore that has ended at whatever instant goes on where it was, and one that finds nothing does nothing. Gold must be
stopped meanwhile: one process at a time may write its tables.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from threading import Event

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.errors import UserError
from spark_apps.gold.app import aggregates
from spark_apps.gold.production_model import open_model
from spark_apps.gold.transform import mentions, trends
from spark_apps.lake import delta_tables, hadoop_fs
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.lake.writer import TableWriter
from spark_apps.monitoring.log import event
from spark_apps.scoring.description import ModelVersion
from spark_apps.scoring.udf import scored
from spark_apps.session import make_session
from spark_apps.settings import Settings
from spark_apps.signals import set_on_signal
from spark_apps.streaming.runner import StreamRunner
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, Table

_log = logging.getLogger(__name__)
_QUERY = "rescore"
# Some minutes of scoring: what a kill costs, and what a stop waits for. Smaller parts would rewrite more hadoop_fs.
_PART_TWEETS = 200_000
_MODEL_COLUMNS = ("label", "score", "negative", "neutral", "positive", "model", "model_version")


class RescoreError(UserError):
    """A rescore that cannot begin, or has not come to its end; the text says what to do."""

    exit_code = 1


@dataclass(frozen=True)
class Part:
    """Whole hours of one day, as hours since 1970: from `first` until before `end`, with `tweets` to score again."""

    day: date
    first: int
    end: int
    tweets: int

    @property
    def condition(self) -> str:
        first, end = _instant(self.first), _instant(self.end)
        return f"tweet_date = DATE'{self.day}' AND timestamp >= {first} AND timestamp < {end}"


@dataclass(frozen=True)
class PartReport:
    """A part that is done: its number of so many, its tweets, and the `done` of all `to_do` so far."""

    part: int
    parts: int
    day: str
    tweets: int
    seconds: float
    done: int
    to_do: int
    model_version: str

    def __str__(self) -> str:
        return (
            f"part {self.part} of {self.parts}: {self.tweets:,} tweets of {self.day} in {self.seconds:.1f} s "
            f"({self.tweets / self.seconds:,.0f}/s), {self.done / self.to_do:.0%} of {self.to_do:,} done"
        )


@dataclass(frozen=True)
class Rescored:
    """What a rescore has done: tweets that `model_version` has labelled anew, in so many parts."""

    model_version: str
    tweets: int
    parts: int
    seconds: float


def run(settings: Settings, since: date | None, on_part: Callable[[PartReport], None]) -> Rescored:
    """Rescore the lake of `settings` in a Spark of its own, until it is done or a signal ends it after a part.

    `on_part` hears of each part, unless a cluster watches (`monitor_port`): then each is a line of JSON on stdout.
    """

    def report(done: PartReport) -> None:
        if settings.monitor_port is None:
            on_part(done)
        else:
            print(event("rescored", asdict(done)), flush=True)

    stop = Event()
    with ExitStack() as stack:
        spark = make_session(settings)
        stack.callback(spark.stop)
        # After Spark, which would have a Ctrl-C for itself.
        stack.enter_context(set_on_signal(stop))
        return rescore(spark, settings, since, report, stop)


def rescore(
    spark: SparkSession, settings: Settings, since: date | None, on_part: Callable[[PartReport], None], stop: Event
) -> Rescored:
    """Score again all tweets of gold/sentiment, those of days from `since` on, that another version has scored.

    `RescoreError` where there is no model, or where `stop` was set before the end; `LakeError` where there is nothing
    to rescore, or another process writes the tables.
    """
    began = time.monotonic()
    (lake,) = settings.require("lake")
    model = _in_production(settings)
    if open_table(lake, GOLD_SENTIMENT) is None:
        raise LakeError(f"{GOLD_SENTIMENT.path(lake)} is not there yet: run the streams over this lake first")
    delta_tables.create_or_evolve(spark, lake, GOLD_SENTIMENT)
    writer = _writer(lake, GOLD_SENTIMENT)
    # What it has not counted yet would be counted twice: when the aggregates are made anew, and by itself afterwards.
    StreamRunner(spark, lake, lambda batch: _log.info("%s", batch), stop).run([aggregates(spark, lake)], None)
    parts = _pack(_stale_hours(delta_tables.read(spark, lake, GOLD_SENTIMENT, writer.current_version()), model, since))
    _log.info("%s parts to be scored with version %s", len(parts), model.version)
    # It stands there from the first part until the aggregates follow the new labels.
    unfinished = f"{lake}/checkpoints/rescore.json"
    if parts:
        hadoop_fs.write_text(spark, unfinished, json.dumps({"model_version": model.version, "parts": len(parts)}))
    for number in range(len(parts)):
        _check(stop, f"with {len(parts) - number} of {len(parts)} parts to go")
        on_part(_write(spark, writer, model, parts, number))
    if hadoop_fs.exists(spark, unfinished):
        _check(stop, "before the aggregates followed the new labels")
        _rebuild(spark, lake, writer.current_version())
        hadoop_fs.remove(spark, unfinished)
    tweets = sum(part.tweets for part in parts)
    return Rescored(model.version, tweets, len(parts), round(time.monotonic() - began, 1))


def _write(
    spark: SparkSession, writer: TableWriter, model: ModelVersion, parts: Sequence[Part], number: int
) -> PartReport:
    """Score one of `parts` again, and put it in the place of what was there."""
    began, part = time.monotonic(), parts[number]
    rows = delta_tables.read(spark, writer.lake, GOLD_SENTIMENT, writer.current_version()).where(part.condition)
    writer.replace(_rescored(rows, model), number, part.condition)
    done, to_do = (sum(part.tweets for part in some) for some in (parts[: number + 1], parts))
    seconds = time.monotonic() - began
    return PartReport(number + 1, len(parts), str(part.day), part.tweets, seconds, done, to_do, model.version)


def _in_production(settings: Settings) -> ModelVersion:
    models = open_model(settings)
    model = models.current()
    if model is None:
        raise RescoreError(
            f"there is no model to rescore with: {models.problem}. Release one, or name the registry that has one"
        )
    return model


def _check(stop: Event, where: str) -> None:
    if stop.is_set():
        raise RescoreError(f"the rescore was stopped {where}: the same command goes on from here")


def _writer(lake: str, table: Table) -> TableWriter:
    return TableWriter(lake, table, _QUERY, f"{_QUERY}:{uuid.uuid4().hex}")


def _is_stale(model: ModelVersion) -> Column:
    return ~(F.col("model").eqNullSafe(model.name) & F.col("model_version").eqNullSafe(model.version))


def _stale_hours(sentiment: DataFrame, model: ModelVersion, since: date | None) -> list[tuple[date, int, int]]:
    """Return day, hour since 1970 and number of the tweets to be scored again, in order."""
    stale = sentiment.where(_is_stale(model))
    if since is not None:
        stale = stale.where(F.col("tweet_date") >= F.lit(since))
    hour = F.floor(F.unix_seconds("timestamp") / 3600).alias("hour")
    found = stale.groupBy("tweet_date", hour).agg(F.count("*").alias("tweets")).orderBy("tweet_date", "hour").collect()
    return [(row["tweet_date"], row["hour"], row["tweets"]) for row in found]


def _pack(hours: Iterable[tuple[date, int, int]]) -> list[Part]:
    """Join hours of one day into parts; the newest come first, which are those that people look at."""
    parts: list[Part] = []
    for day, hour, tweets in hours:
        last = parts[-1] if parts else None
        if last and last.day == day and last.tweets + tweets <= _PART_TWEETS:
            parts[-1] = replace(last, end=hour + 1, tweets=last.tweets + tweets)
        else:
            parts.append(Part(day, hour, hour + 1, tweets))
    return parts[::-1]


def _rescored(rows: DataFrame, model: ModelVersion) -> DataFrame:
    """Return `rows` with what `model` says of those that another version has scored; the others are as they were."""
    stale = rows.where(_is_stale(model)).drop(*_MODEL_COLUMNS, "rescored_at")
    again = (
        scored(stale.withColumnRenamed("scored_at", "first_scored_at"), model)
        .withColumn("rescored_at", F.col("scored_at"))
        .withColumn("scored_at", F.col("first_scored_at"))
    )
    names = GOLD_SENTIMENT.column_names
    return again.select(names).union(rows.where(~_is_stale(model)).select(names))


def _rebuild(spark: SparkSession, lake: str, version: int) -> None:
    """Make both aggregates anew from gold/sentiment as it was in `version`; done twice, it is the same."""
    sentiment = delta_tables.read(spark, lake, GOLD_SENTIMENT, version)
    for table, aggregate in ((GOLD_TRENDS, trends), (GOLD_MENTIONS, mentions)):
        _writer(lake, table).replace(aggregate(sentiment).repartition("tweet_date"), 0)


def _instant(hour: int) -> str:
    return f"TIMESTAMP'{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}'"
