"""Score the history of gold/sentiment again with the model in production, then rebuild the aggregates.

1. Plan: divide the tweets that any other model version scored into parts of one or more whole hours.
2. Rewrite: score the tweets of a part and replace the rows of the part in one commit.
3. Recount: compute gold/trends and gold/mentions from the new labels.

The plan is derived from the model versions in the rows. A rescore that was interrupted at any point therefore continues
where it stopped, and a rescore of an up-to-date table does nothing. Gold must be stopped during a rescore, because only
one process at a time may write a table.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from threading import Event

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.gold.app import aggregates
from spark_apps.gold.parts import plan_parts
from spark_apps.gold.rewrite import NewRows, RewrittenPart, open_rewrite
from spark_apps.lake.hours import hour_of
from spark_apps.scoring.description import ModelVersion
from spark_apps.scoring.udf import ADDED_COLUMNS
from spark_apps.settings import Settings

_NAME = "rescore"


@dataclass(frozen=True)
class RescoreResult:
    """The result of a rescore.

    Attributes:
        model_version: version that scored the tweets.
        tweets: number of tweets with a new label.
        parts: number of parts.
        seconds: duration of the rescore, including the run of the aggregates.
    """

    model_version: str
    tweets: int
    parts: int
    seconds: float


def rescore(
    spark: SparkSession, settings: Settings, since: date | None, on_part: Callable[[RewrittenPart], None], stop: Event
) -> RescoreResult:
    """Rescore the tweets of gold/sentiment that another model version scored, then rebuild the aggregates.

    Args:
        spark: session that writes the lake.
        settings: settings of Gold; `lake` is required.
        since: first day of the tweets to rescore, by the time of the tweet; None for all days.
        on_part: called after each part.
        stop: set this event to stop after the current part.

    Raises:
        RewriteError: no model is in production, or `stop` was set before the end.
        LakeError: gold/sentiment does not exist, or another process writes the Gold tables.
    """
    started = time.monotonic()
    (lake,) = settings.require("lake")
    rewrite = open_rewrite(spark, settings, _NAME, [aggregates(spark, lake)], on_part, stop)
    model = rewrite.model
    parts = plan_parts(_hours(rewrite.sentiment(), model, since))
    rewrite.rewrite(parts, lambda part: _new_rows(rewrite.sentiment().where(part.where), model))
    if rewrite.is_unfinished:
        rewrite.finish()
    tweets = sum(part.tweets for part in parts)
    return RescoreResult(model.version, tweets, len(parts), round(time.monotonic() - started, 1))


def _hours(sentiment: DataFrame, model: ModelVersion, since: date | None) -> DataFrame:
    """Count the stale rows and all rows of GOLD_SENTIMENT in each hour; ignore days before `since`."""
    if since is not None:
        sentiment = sentiment.where(F.col("tweet_date") >= F.lit(since))
    tweets = F.count_if(_is_stale(model)).alias("tweets")
    return sentiment.groupBy(hour_of("timestamp").alias("hour")).agg(tweets, F.count("*").alias("rows"))


def _new_rows(rows: DataFrame, model: ModelVersion) -> NewRows:
    """Return the new rows for `rows` of GOLD_SENTIMENT: the stale rows need a score."""
    stale = rows.where(_is_stale(model)).withColumnRenamed("scored_at", "first_scored_at")
    return NewRows(rows.where(~_is_stale(model)), stale.drop(*ADDED_COLUMNS, "rescored_at"))


def _is_stale(model: ModelVersion) -> Column:
    """Return the condition for rows of GOLD_SENTIMENT that another model or model version scored."""
    return ~(F.col("model").eqNullSafe(model.name) & F.col("model_version").eqNullSafe(model.version))
