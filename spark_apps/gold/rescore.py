"""Score the history of gold/sentiment again with the model in production, then rebuild the aggregates.

1. Plan: divide the tweets that any other model version scored into parts of one or more whole hours.
2. Rewrite: score the tweets of a part and replace the rows of the part in one commit.
3. Rebuild: compute gold/trends and gold/mentions from the new labels.

The plan is derived from the model versions in the rows. A rescore that was interrupted at any point therefore continues
where it stopped, and a rescore of an up-to-date table does nothing. Gold must be stopped during a rescore, because only
one process at a time may write a table.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from threading import Event

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.errors import UserError
from spark_apps.gold.app import aggregates
from spark_apps.gold.production_model import open_model
from spark_apps.gold.rescore_plan import Part, is_stale, plan_parts
from spark_apps.gold.scoring import find_poison_tweets, score_tweets
from spark_apps.gold.transform import mentions, trends
from spark_apps.lake import delta_tables, hadoop_fs
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.lake.erasures import without_erased
from spark_apps.lake.writer import TableWriter
from spark_apps.monitoring.log import event_line
from spark_apps.scoring.description import ModelVersion
from spark_apps.scoring.udf import ADDED_COLUMNS
from spark_apps.session import make_session
from spark_apps.settings import Settings
from spark_apps.signals import set_on_signal
from spark_apps.streaming.poison import PoisonRow
from spark_apps.streaming.runner import StreamRunner
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, Table

_log = logging.getLogger(__name__)
_QUERY = "rescore"


class RescoreError(UserError):
    """A rescore cannot start or was stopped before the end; the message says what to do."""

    exit_code = 1


@dataclass(frozen=True)
class PartReport:
    """The progress of a rescore after a part.

    Attributes:
        part: number of the part, from 1.
        parts: number of parts.
        day: first day of the part.
        last_day: last day of the part.
        tweets: number of tweets of the part that were scored again.
        seconds: duration of the part.
        done: number of tweets that were scored again so far.
        to_do: number of tweets to score again in all parts.
        model_version: version that scored the tweets.
    """

    part: int
    parts: int
    day: str
    last_day: str
    tweets: int
    seconds: float
    done: int
    to_do: int
    model_version: str

    def __str__(self) -> str:
        days = self.day if self.day == self.last_day else f"{self.day} to {self.last_day}"
        return (
            f"part {self.part} of {self.parts}: {self.tweets:,} tweets of {days} in {self.seconds:.1f} s "
            f"({self.tweets / self.seconds:,.0f}/s), {self.done / self.to_do:.0%} of {self.to_do:,} done"
        )


@dataclass(frozen=True)
class RescoreResult:
    """The result of a rescore: the number of tweets with a new label from `model_version`, and the number of parts."""

    model_version: str
    tweets: int
    parts: int
    seconds: float


def run(settings: Settings, since: date | None, on_part: Callable[[PartReport], None]) -> RescoreResult:
    """Rescore the lake of `settings` in a new Spark session. SIGINT or SIGTERM stops it after the current part.

    `on_part` is called after each part. In a cluster (`monitor_port` is set), each report is written to stdout as a
    line of JSON instead.
    """

    def report(part: PartReport) -> None:
        if settings.monitor_port is None:
            on_part(part)
        else:
            print(event_line("rescored", asdict(part)), flush=True)

    stop = Event()
    with ExitStack() as stack:
        spark = make_session(settings)
        stack.callback(spark.stop)
        # Install the handlers after Spark, which installs its own handler for Ctrl-C.
        stack.enter_context(set_on_signal(stop))
        return rescore(spark, settings, since, report, stop)


def rescore(
    spark: SparkSession, settings: Settings, since: date | None, on_part: Callable[[PartReport], None], stop: Event
) -> RescoreResult:
    """Rescore the tweets of gold/sentiment that another model version scored, of all days or from `since` on.

    Raises:
        RescoreError: no model is in production, or `stop` was set before the end.
        LakeError: gold/sentiment does not exist, or another process writes the Gold tables.
    """
    started = time.monotonic()
    (lake,) = settings.require("lake")
    model = _production_model(settings)
    if open_table(lake, GOLD_SENTIMENT) is None:
        raise LakeError(f"{GOLD_SENTIMENT.path(lake)} does not exist yet: run the streams over this lake first")
    delta_tables.create_or_evolve(spark, lake, GOLD_SENTIMENT, settings.retention_seconds)
    writer = _writer(lake, GOLD_SENTIMENT)
    _aggregate_new_rows(spark, lake, settings.retention_seconds, stop)
    parts = plan_parts(delta_tables.read(spark, lake, GOLD_SENTIMENT, writer.current_version()), model, since)
    _log.info("%s parts to score with version %s", len(parts), model.version)
    # While this file exists, the aggregates do not match the labels: from the first part until the rebuild is done.
    unfinished = f"{lake}/checkpoints/rescore.json"
    if parts:
        hadoop_fs.write_text(spark, unfinished, json.dumps({"model_version": model.version, "parts": len(parts)}))
    for number in range(len(parts)):
        _raise_if_stopped(stop, f"with {len(parts) - number} of {len(parts)} parts left")
        on_part(_rewrite(spark, writer, model, parts, number))
    if hadoop_fs.exists(spark, unfinished):
        _raise_if_stopped(stop, "before it rebuilt the aggregates")
        _rebuild_aggregates(spark, lake, writer.current_version())
        hadoop_fs.remove(spark, unfinished)
    tweets = sum(part.tweets for part in parts)
    return RescoreResult(model.version, tweets, len(parts), round(time.monotonic() - started, 1))


def _production_model(settings: Settings) -> ModelVersion:
    models = open_model(settings)
    model = models.current()
    if model is None:
        raise RescoreError(f"no model to rescore with ({models.problem}): release a model, or name another --registry")
    return model


def _writer(lake: str, table: Table) -> TableWriter:
    return TableWriter(lake, table, _QUERY, f"{_QUERY}:{uuid.uuid4().hex}")


def _aggregate_new_rows(spark: SparkSession, lake: str, retention: float, stop: Event) -> None:
    """Run the stream of the aggregates over the rows that it has not read yet.

    Otherwise these rows would be counted twice: when the aggregates are rebuilt, and by the stream afterwards.
    """
    runner = StreamRunner(spark, lake, retention, lambda report: _log.info("%s", report), stop)
    runner.run([aggregates(spark, lake)], None)


def _rewrite(
    spark: SparkSession, writer: TableWriter, model: ModelVersion, parts: Sequence[Part], number: int
) -> PartReport:
    """Score part `number` of `parts`, from 0, again and replace its rows."""
    started, part = time.monotonic(), parts[number]
    rows = delta_tables.read(spark, writer.lake, GOLD_SENTIMENT, writer.current_version()).where(part.condition)
    try:
        writer.replace(_with_new_sentiment(rows, model), number, part.condition)
    except UserError:
        raise
    except Exception:
        poison = find_poison_tweets(rows.where(is_stale(model)), model)
        if not poison:
            raise
        for row in poison:
            _log.error("part %d: tweet %s gets no label: %s", number + 1, row.key[0], row.cause)
        writer.replace(_with_new_sentiment(rows, model, poison), number, part.condition)
    return PartReport(
        part=number + 1,
        parts=len(parts),
        day=str(part.first_day),
        last_day=str(part.last_day),
        tweets=part.tweets,
        seconds=time.monotonic() - started,
        done=sum(finished.tweets for finished in parts[: number + 1]),
        to_do=sum(planned.tweets for planned in parts),
        model_version=model.version,
    )


def _with_new_sentiment(rows: DataFrame, model: ModelVersion, poison: Sequence[PoisonRow] = ()) -> DataFrame:
    """Return `rows` of GOLD_SENTIMENT, with stale rows scored by `model` and the other rows unchanged."""
    stale = rows.where(is_stale(model)).withColumnRenamed("scored_at", "first_scored_at")
    rescored = (
        score_tweets(stale.drop(*ADDED_COLUMNS, "rescored_at"), model, poison)
        .withColumn("rescored_at", F.col("scored_at"))
        .withColumn("scored_at", F.col("first_scored_at"))
    )
    names = GOLD_SENTIMENT.column_names
    return rescored.select(names).union(rows.where(~is_stale(model)).select(names))


def _rebuild_aggregates(spark: SparkSession, lake: str, version: int) -> None:
    """Compute both aggregates again from `version` of gold/sentiment; safe to repeat."""
    sentiment = delta_tables.read(spark, lake, GOLD_SENTIMENT, version)
    for table, aggregate in ((GOLD_TRENDS, trends), (GOLD_MENTIONS, mentions)):
        writer = _writer(lake, table)
        # Erasures are applied to the aggregates first: they do not count tweets that gold/sentiment may still have.
        writer.replace(aggregate(without_erased(sentiment, lake, writer.erased)), 0)


def _raise_if_stopped(stop: Event, progress: str) -> None:
    if stop.is_set():
        raise RescoreError(f"the rescore was stopped {progress}: run the same command to continue")
