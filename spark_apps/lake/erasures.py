"""Reads silver/erasures and deletes erased tweets; every layer applies the erasures to the tables that it writes.

The position of a table in silver/erasures is a micro-batch of Silver: the rows of this batch and of all batches before
are applied to the table. The position is part of the commit metadata of the table, like the counts of a batch, so a
kill cannot separate the two. Erasures that are applied twice find nothing to erase.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from delta.tables import DeltaMergeBuilder, DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.erasure.request import LANDED_AGAIN, TWEET, USER, USER_PREFIX
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import batch_commits, open_table
from spark_apps.lake.ranges import in_ranges
from spark_apps.lake.writer import TableWriter
from spark_apps.tables import ERASURES, Table

# The columns of a tweet that an erasure may cover: a retweet has the text of its original.
_TWEET_COLUMNS = ("id", "retweet_of")
_USER_COLUMNS = ("user_id", "retweet_of_user")
# A larger backlog of erasures is applied in several steps. Python workers and broadcast joins hold the keys in memory.
_MAX_ROWS = 100_000
# Ids that begin with the same digits are close together: with snowflake ids, about three days.
_PREFIX_DIGITS = 5


@dataclass(frozen=True)
class Position:
    """A position in silver/erasures: the id of the Delta table, and a micro-batch of Silver."""

    table: str
    batch: int

    def to_json(self) -> dict[str, Any]:
        return {"table": self.table, "batch": self.batch}


@dataclass(frozen=True)
class Pending:
    """The erasures to apply to one table of `lake`: those after the batch `after`, up to the position `end`."""

    spark: SparkSession
    lake: str
    after: int
    end: Position

    def rows(self) -> DataFrame:
        """Return the rows of silver/erasures to apply."""
        return _rows(self.spark, self.lake, self.after, self.end.batch)


def newest_position(lake: str) -> Position | None:
    """Return the position after all erasures; None if there is no erasure. Reads only the Delta log."""
    delta = open_table(lake, ERASURES)
    newest = next(batch_commits(delta), None) if delta else None
    return Position(str(delta.metadata().id), newest.metadata.batch) if delta and newest else None


def applied_batch(erased: dict[str, Any] | None, newest: Position) -> int:
    """Return the last batch that is applied to a table, by its commit metadata; -1 if none is.

    A recreated silver/erasures counts its batches from 0: its erasures are applied from the first on.
    """
    return int(erased["batch"]) if erased and erased["table"] == newest.table else -1


def read_applied_batch(lake: str, table: Table, newest: Position) -> int:
    """Return `applied_batch` of a table that another stream writes; -1 if the table does not exist yet."""
    delta = open_table(lake, table)
    commit = next(batch_commits(delta), None) if delta else None
    return applied_batch(commit.metadata.erased if commit else None, newest)


def next_position(spark: SparkSession, lake: str, after: int, newest: Position) -> Position:
    """Return the position to apply next: `newest`, or an earlier position if more than `_MAX_ROWS` rows are pending."""
    sizes = _rows(spark, lake, after, newest.batch).groupBy("batch").count().orderBy("batch").collect()
    batch, total = newest.batch, 0
    for number, row in enumerate(sizes):
        total += row["count"]
        if number and total > _MAX_ROWS:
            batch = sizes[number - 1]["batch"]
            break
    return Position(newest.table, batch)


def covered_tweets(tweets: DataFrame, lake: str, up_to: int | None = None) -> DataFrame:
    """Return which of `tweets`, the rows of a micro-batch, an erasure covers: columns `id`, `kind` and `key`.

    Args:
        tweets: rows with the columns `id`, `user_id`, `retweet_of` and `retweet_of_user`.
        lake: folder or s3a:// URI of the Delta tables.
        up_to: last batch of erasures to look at; None for all.
    """
    keys = tweet_keys(tweets)
    erasures = delta_tables.read(tweets.sparkSession, lake, ERASURES)
    if up_to is not None:
        erasures = erasures.where(F.col("batch") <= up_to)
    # Hashes of users are spread over all files, tweet ids are not.
    in_range = in_ranges("key", _ranges(keys.where(F.col("kind") == TWEET), "key"))
    erasures = erasures.where((F.col("kind") == USER) | in_range)
    return keys.join(erasures, ["kind", "key"], "left_semi").select("id", "kind", "key")


def tweet_keys(tweets: DataFrame) -> DataFrame:
    """Return the keys by which an erasure may cover each of `tweets`: columns `id`, `kind` and `key`."""
    keys = [F.struct(F.lit(TWEET).alias("kind"), F.col(name).alias("key")) for name in _TWEET_COLUMNS]
    for name in _USER_COLUMNS:
        user_key = F.sha2(F.concat(F.lit(USER_PREFIX), F.col(name)), 256)
        keys.append(F.struct(F.lit(USER).alias("kind"), user_key.alias("key")))
    return tweets.select("id", F.inline(F.array(*keys))).where("key IS NOT NULL")


def stored_tweets(pending: Pending, tweets: DataFrame) -> DataFrame:
    """Return the rows of `tweets`, a table of tweets, that the pending erasures cover.

    Ranges of tweet ids prune the files to read by the statistics in the log; an erased user requires all files. A
    retweet is not older than its original, so retweets are searched from the day of the oldest erased tweet on.
    """
    rows = pending.rows().where(F.col("why") != LANDED_AGAIN).select("kind", "key", "since").localCheckpoint()
    is_tweet = F.col("kind") == TWEET
    ((users, unknown, since),) = rows.agg(
        F.count_if(F.col("kind") == USER), F.count_if(is_tweet & F.col("since").isNull()), F.min("since")
    ).collect()
    if not users:
        is_retweet = F.col("retweet_of").isNotNull()
        if not unknown:
            is_retweet &= F.col("timestamp") >= F.lit(since)
        tweets = tweets.where(in_ranges("id", _ranges(rows.where(is_tweet), "key")) | is_retweet)
    covered = tweet_keys(tweets).join(F.broadcast(rows.select("kind", "key")), ["kind", "key"], "left_semi")
    return tweets.join(covered.select("id").distinct(), "id", "left_semi")


def without_erased(tweets: DataFrame, lake: str, erased: dict[str, Any] | None) -> DataFrame:
    """Return `tweets` without those that the applied erasures of a table cover, by its commit metadata `erased`."""
    newest = newest_position(lake) if erased else None
    up_to = applied_batch(erased, newest) if newest else -1
    if up_to < 0:
        return tweets
    return tweets.join(covered_tweets(tweets, lake, up_to).select("id").distinct(), "id", "left_anti")


def drop_erased(tweets: DataFrame, lake: str) -> DataFrame:
    """Return `tweets` without those that an erasure in silver/erasures covers, applied or not."""
    if newest_position(lake) is None:
        return tweets
    covered = covered_tweets(tweets, lake).select("id").distinct()
    return tweets.join(covered, "id", "left_anti").select(tweets.columns)


def delete_tweets(pending: Pending, writer: TableWriter) -> None:
    """Delete the tweets that the pending erasures cover from a table with one row per tweet."""
    spark = pending.spark
    tweets = delta_tables.read(spark, pending.lake, writer.table)
    # The rows depend on the table that the MERGE changes: they must not be computed again.
    ids = stored_tweets(pending, tweets).select("id").localCheckpoint()
    deleted = ids.count()
    merge = None
    if deleted:
        condition = (F.col("t.id") == F.col("s.id")) & in_ranges("t.id", _ranges(ids, "id"))
        merge = merge_into(spark, pending.lake, writer.table, ids, condition).whenMatchedDelete()
    writer.erase(spark, pending.end.to_json(), merge, {"deleted": deleted} if deleted else {})


def merge_into(spark: SparkSession, lake: str, table: Table, source: DataFrame, condition: Column) -> DeltaMergeBuilder:
    """Return a MERGE into a table: `t` is the table in the condition, `s` the source."""
    return DeltaTable.forPath(spark, table.path(lake)).alias("t").merge(F.broadcast(source).alias("s"), condition)


def in_days(column: str, days: Iterable[date]) -> Column:
    """Return the condition that a date is in one of the ranges that contain `days`: Delta skips files of other days."""
    return in_ranges(column, ((str(day), str(day)) for day in days), "date")


def _rows(spark: SparkSession, lake: str, after: int, up_to: int) -> DataFrame:
    return delta_tables.read(spark, lake, ERASURES).where(F.col("batch").between(after + 1, up_to))


def _ranges(frame: DataFrame, column: str) -> list[tuple[str, str]]:
    """Return the lowest and highest id in a column, for the ids of each length and prefix."""
    groups = frame.groupBy(F.length(column), F.substring(column, 1, _PREFIX_DIGITS))
    rows = groups.agg(F.min(column).alias("lowest"), F.max(column).alias("highest")).collect()
    return [(row["lowest"], row["highest"]) for row in rows]
