"""Compute the Gold tables again: gold/sentiment from silver/tweets, and the aggregates from gold/sentiment.

1. Drain: the streams read all rows, so that gold/sentiment has the tweets of a version of silver/tweets.
2. Compare: find the rows that gold/sentiment lacks, has with other values, or has without a tweet in silver/tweets.
3. Move: rows of tweets with another time get this time, in one commit. Each row is then in the hour of its tweet.
4. Rewrite: divide the differences into parts of one or more whole hours, and replace the rows of a part in one commit.
   A row keeps its label if the model would read the same text; the model in production scores the others.
5. Recount: count gold/trends and gold/mentions again, and replace them if they differ.

The plan is derived from the content of the tables. A rebuild that was interrupted at any point therefore continues
where it stopped, and a rebuild of tables that match commits nothing. Gold must be stopped meanwhile, because only one
process at a time may write a table. Silver may run: the next start of Gold reads the tweets that Silver appends.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from threading import Event

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType

from spark_apps.gold import app
from spark_apps.gold.differences import COPIED_COLUMNS, count_by_hour, find_differences, find_misplaced
from spark_apps.gold.parts import Part, plan_parts
from spark_apps.gold.rewrite import NewRows, Rewrite, RewriteError, RewrittenPart, open_rewrite
from spark_apps.lake import delta_tables
from spark_apps.lake.erasures import drop_erased
from spark_apps.scoring.text import normalise
from spark_apps.settings import Settings
from spark_apps.streaming import checkpoint
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS

_NAME = "rebuild"
_STREAM = "gold"
_SCORE_COLUMNS = [name for name in GOLD_SENTIMENT.column_names if name not in COPIED_COLUMNS]


@dataclass(frozen=True)
class RebuildResult:
    """The result of a rebuild.

    Attributes:
        model_version: version that scored missing and changed texts.
        tweets: number of tweets that differed in the parts.
        parts: number of parts.
        moved: number of tweets that were moved to another hour before the parts were rewritten.
        deleted: number of rows that were deleted: silver/tweets lacks the tweet, or gold/sentiment had it twice.
        aggregates: names of the aggregates that differed.
        seconds: duration of the rebuild, including the run of the streams.
    """

    model_version: str
    tweets: int
    parts: int
    moved: int
    deleted: int
    aggregates: list[str]
    seconds: float


def rebuild(
    spark: SparkSession, settings: Settings, since: date | None, on_part: Callable[[RewrittenPart], None], stop: Event
) -> RebuildResult:
    """Rebuild gold/sentiment, then the aggregates.

    Args:
        spark: session that writes the lake.
        settings: settings of Gold; `lake` is required.
        since: first day of the tweets to compare, by the time of the tweet; None for all days.
        on_part: called after each part.
        stop: set this event to stop after the current part.

    Raises:
        RewriteError: no model is in production, or `stop` was set before the end.
        LakeError: a table does not exist, or another process writes the Gold tables.
    """
    started = time.monotonic()
    (lake,) = settings.require("lake")
    rewrite = open_rewrite(spark, settings, _NAME, app.streams(spark, settings), on_part, stop)
    rewrite.raise_if_stopped("while the streams read new tweets")
    totals = rewrite.writer.totals
    tweets = delta_tables.read(spark, lake, SILVER_TWEETS, _version_read(spark, lake))
    parts = plan_parts(count_by_hour(_place(rewrite, tweets, since), tweets))
    rewrite.rewrite(parts, lambda part: _new_rows(part, tweets, rewrite.sentiment(), lake))
    aggregates = rewrite.finish()
    moved, deleted = (rewrite.writer.totals.get(name, 0) - totals.get(name, 0) for name in ("moved", "deleted"))
    differing = sum(part.tweets for part in parts)
    seconds = round(time.monotonic() - started, 1)
    return RebuildResult(rewrite.model.version, differing, len(parts), moved, deleted, aggregates, seconds)


def _version_read(spark: SparkSession, lake: str) -> int:
    """Return a version of silver/tweets with exactly the tweets that Gold has read."""
    version = checkpoint.read_version(spark, lake, _STREAM, SILVER_TWEETS)
    if version is None:
        raise RewriteError("Gold has read a commit of silver/tweets only in part: run the same command again")
    return version


def _place(rewrite: Rewrite, tweets: DataFrame, since: date | None) -> DataFrame:
    """Move rows of gold/sentiment to the hours of their tweets; return the remaining differences.

    Without this step, a tweet that belongs to another part would be missing or doubled between the commits of the two
    parts, and would lose its label.
    """
    differences = _differences(rewrite, tweets, since)
    if differences.isEmpty():
        return differences
    misplaced = find_misplaced(differences, tweets, rewrite.sentiment()).localCheckpoint()
    ((moved, deleted),) = misplaced.agg(F.count("timestamp"), F.count_if(F.col("timestamp").isNull())).collect()
    if not moved + deleted:
        return differences
    rewrite.begin()
    table = DeltaTable.forPath(rewrite.spark, GOLD_SENTIMENT.path(rewrite.lake)).alias("t")
    merge = (
        table.merge(misplaced.alias("s"), "t.id = s.id")
        .whenMatchedDelete("s.timestamp IS NULL")
        .whenMatchedUpdate(set={"timestamp": "s.timestamp", "tweet_date": "s.tweet_date"})
    )
    rewrite.writer.merge(merge, rewrite.spark, 0, {"moved": moved, "deleted": deleted})
    return _differences(rewrite, tweets, since)


def _differences(rewrite: Rewrite, tweets: DataFrame, since: date | None) -> DataFrame:
    """Return the rows that differ now; later writes do not change the result.

    Erased tweets are left out: Gold lacks them already, or its stream will delete them.
    """
    found = find_differences(tweets, rewrite.sentiment(), since).localCheckpoint()
    return found if found.isEmpty() else drop_erased(found, rewrite.lake).localCheckpoint()


def _new_rows(part: Part, tweets: DataFrame, sentiment: DataFrame, lake: str) -> NewRows:
    """Return the tweets of a part, with the scores in gold/sentiment of tweets with an unchanged text."""
    stored = sentiment.where(part.where)
    scores = stored.select(
        "id", F.lit(True).alias("is_stored"), F.col("full_text").alias("scored_text"), *_SCORE_COLUMNS
    ).dropDuplicates(["id"])
    rows = drop_erased(tweets.where(part.where).select(COPIED_COLUMNS), lake).join(scores, "id", "left")
    is_scored = F.coalesce("is_stored", F.lit(False)) & _reads_same("scored_text", "full_text")
    # Erasures may come meanwhile: the rows must not be computed again.
    rows = rows.withColumn("is_scored", is_scored).localCheckpoint()
    stored_rows, kept_ids = stored.count(), rows.where("is_stored").count()
    return NewRows(
        kept=rows.where("is_scored"),
        to_score=rows.where("NOT is_scored").select(*COPIED_COLUMNS, F.col("scored_at").alias("first_scored_at")),
        counts={"deleted": stored_rows - kept_ids} if stored_rows > kept_ids else {},
        are_lost=not stored_rows,
    )


@F.udf(returnType=BooleanType(), useArrow=False)
def _reads_same(first: str | None, second: str | None) -> bool:
    """Return whether the model reads the same text in both."""
    return first == second or normalise(first or "") == normalise(second or "")
