"""Rewrite parts of gold/sentiment, then the aggregates: the steps that a rescore and a rebuild share.

Gold must be stopped meanwhile, because only one process at a time may write a table.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.errors import UserError
from spark_apps.gold.parts import Part
from spark_apps.gold.production_model import open_model
from spark_apps.gold.recount import recount
from spark_apps.gold.scoring import find_poison_tweets, score_tweets
from spark_apps.lake import delta_tables, hadoop_fs
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.lake.schema_version import check_schema_versions
from spark_apps.lake.writer import TableWriter
from spark_apps.scoring.description import ModelVersion
from spark_apps.settings import Settings
from spark_apps.streaming.poison import PoisonRow
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import Stream
from spark_apps.tables import GOLD_SENTIMENT

_log = logging.getLogger(__name__)


class RewriteError(UserError):
    """A rescore or a rebuild cannot start or was stopped before the end; the message says what to do."""

    exit_code = 1


@dataclass(frozen=True)
class RewrittenPart:
    """The progress after a part.

    Attributes:
        part: number of the part, from 1.
        parts: number of parts.
        day: first day of the part.
        last_day: last day of the part.
        tweets: number of tweets of the part that were to be rewritten.
        seconds: duration of the part.
        done: number of tweets that were rewritten so far.
        to_do: number of tweets to rewrite in all parts.
        model_version: version that scores tweets.
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
class NewRows:
    """The rows that replace the rows of a part.

    Attributes:
        kept: rows of GOLD_SENTIMENT that need no score.
        to_score: the other rows, with the columns that GOLD_SENTIMENT copies from SILVER_TWEETS, and `first_scored_at`:
            when the row was first scored, null if it was never scored.
        counts: number of rows per outcome to add to the totals of the table.
        are_lost: whether the table has no row in the part.
    """

    kept: DataFrame
    to_score: DataFrame
    counts: Mapping[str, int] = field(default_factory=dict)
    are_lost: bool = False


def open_rewrite(
    spark: SparkSession,
    settings: Settings,
    name: str,
    streams: Sequence[Stream],
    on_part: Callable[[RewrittenPart], None],
    stop: Event,
) -> "Rewrite":
    """Run streams of Gold over the rows that they have not read yet, then return a rewrite of gold/sentiment.

    Without this run, the aggregates would count these rows twice: when they are counted again, and when the stream
    reads the rows afterwards.

    Args:
        spark: session that writes the lake.
        settings: settings of Gold; `lake` is required.
        name: name of the command, and of the query in its commits.
        streams: streams to run.
        on_part: called after each part.
        stop: set this event to stop after the current part.

    Raises:
        RewriteError: no model is in production.
        LakeError: gold/sentiment does not exist or is not readable.
    """
    (lake,) = settings.require("lake")
    model = production_model(settings, name)
    if open_table(lake, GOLD_SENTIMENT) is None:
        raise LakeError(f"{GOLD_SENTIMENT.path(lake)} does not exist yet: run the streams over this lake first")
    check_schema_versions(lake, [table for stream in streams for table in (*stream.reads, *stream.writes)])
    delta_tables.create_or_evolve(spark, lake, GOLD_SENTIMENT, settings.retention_seconds)
    runner = StreamRunner(spark, lake, settings.retention_seconds, lambda report: _log.info("%s", report), stop)
    runner.run(streams, None)
    writer = TableWriter(lake, GOLD_SENTIMENT, name, f"{name}:{uuid.uuid4().hex}")
    return Rewrite(spark, lake, name, model, writer, on_part, stop)


@dataclass(frozen=True)
class Rewrite:
    """A rescore or a rebuild of one lake.

    Attributes:
        spark: session that writes the lake.
        lake: folder or s3a:// URI of the Delta tables.
        name: name of the command, and of the query in its commits.
        model: version in production, which scores the tweets.
        writer: writer of gold/sentiment.
        on_part: called after each part.
        stop: set to stop after the current part.
    """

    spark: SparkSession
    lake: str
    name: str
    model: ModelVersion
    writer: TableWriter
    on_part: Callable[[RewrittenPart], None]
    stop: Event

    def sentiment(self) -> DataFrame:
        """Return the rows of gold/sentiment at its current version, which does not change with later writes."""
        return delta_tables.read(self.spark, self.lake, GOLD_SENTIMENT, self.writer.current_version())

    def rewrite(self, parts: Sequence[Part], new_rows: Callable[[Part], NewRows]) -> None:
        """Replace the rows of each part.

        Args:
            parts: parts, in the order in which they are rewritten.
            new_rows: returns the rows that replace the rows of a part.

        Raises:
            RewriteError: `stop` was set before the end.
            LakeError: another process has written the table.
        """
        _log.info("%s parts to rewrite; version %s scores", len(parts), self.model.version)
        if parts:
            self.begin()
        for number in range(len(parts)):
            self.raise_if_stopped(f"with {len(parts) - number} of {len(parts)} parts left")
            self.on_part(self._rewrite(parts, number, new_rows))

    def begin(self) -> None:
        """Record in the lake that the aggregates do not match gold/sentiment, until `finish` is done."""
        hadoop_fs.write_text(self.spark, self._unfinished, json.dumps({self.name: self.model.version}))

    @property
    def is_unfinished(self) -> bool:
        """Whether the aggregates do not match gold/sentiment, because of this run or an earlier one."""
        return hadoop_fs.exists(self.spark, self._unfinished)

    def finish(self) -> list[str]:
        """Count the aggregates again; return the names of the aggregates that differed.

        Raises:
            RewriteError: `stop` is set.
            LakeError: another process has written a table.
        """
        self.raise_if_stopped("before the aggregates were counted again")
        replaced = recount(self.spark, self.lake, self.name, self.writer.current_version())
        hadoop_fs.remove(self.spark, self._unfinished)
        return replaced

    def raise_if_stopped(self, progress: str) -> None:
        """Raise if a stop was requested; `progress` says how far the command has come."""
        if self.stop.is_set():
            raise RewriteError(f"the {self.name} was stopped {progress}: run the same command to continue")

    @property
    def _unfinished(self) -> str:
        # Rebuilds use this file too: on AWS, the role of Gold may write no other file beside its checkpoints.
        return f"{self.lake}/checkpoints/rescore.json"

    def _rewrite(self, parts: Sequence[Part], number: int, new_rows: Callable[[Part], NewRows]) -> RewrittenPart:
        """Rewrite part `number` of `parts`, from 0."""
        started, part = time.monotonic(), parts[number]
        rows = new_rows(part)
        try:
            self._replace(rows, part, number, ())
        except UserError:
            raise
        except Exception:
            poison = find_poison_tweets(rows.to_score, self.model)
            if not poison:
                raise
            for row in poison:
                _log.error("part %d: tweet %s gets no label: %s", number + 1, row.key[0], row.cause)
            self._replace(rows, part, number, poison)
        return RewrittenPart(
            part=number + 1,
            parts=len(parts),
            day=str(part.first_day),
            last_day=str(part.last_day),
            tweets=part.tweets,
            seconds=time.monotonic() - started,
            done=sum(finished.tweets for finished in parts[: number + 1]),
            to_do=sum(planned.tweets for planned in parts),
            model_version=self.model.version,
        )

    def _replace(self, rows: NewRows, part: Part, number: int, poison: Sequence[PoisonRow]) -> None:
        first_scored_at = F.col("first_scored_at")
        scored = (
            score_tweets(rows.to_score, self.model, poison, part.tweets)
            .withColumn("rescored_at", F.when(first_scored_at.isNotNull(), F.col("scored_at")))
            .withColumn("scored_at", F.coalesce(first_scored_at, "scored_at"))
        )
        names = GOLD_SENTIMENT.column_names
        complete = scored.select(names).union(rows.kept.select(names))
        if rows.are_lost:
            self.writer.restore(complete, number, "Append")
        else:
            self.writer.replace(complete, number, part.where, rows.counts)


def production_model(settings: Settings, name: str) -> ModelVersion:
    """Return the version in production, which the command `name` needs; raise RewriteError if there is none."""
    models = open_model(settings)
    model = models.current()
    if model is None:
        raise RewriteError(f"no model to {name} with ({models.problem}): release a model, or name another --registry")
    return model
