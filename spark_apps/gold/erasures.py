"""Apply erasures to the Gold tables: the aggregates first, then gold/sentiment, from which they are computed again."""

from collections.abc import Callable, Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.gold.transform import mentions, trends
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import batch_commits, open_existing_table
from spark_apps.lake.erasures import Pending, covered_tweets, in_days, merge_into, stored_tweets
from spark_apps.lake.source_version import version_read
from spark_apps.lake.writer import TableWriter
from spark_apps.tables import GOLD_SENTIMENT

# The stream that writes the aggregates.
_AGGREGATES_STREAM = "gold-aggregates"
_TRENDS_KEY = ("minute", "lang", "label", "tweet_date")
_MENTIONS_KEY = ("mention", "lang", "tweet_date")


def erase_trends(pending: Pending, writer: TableWriter) -> None:
    """Count the tweets again in each minute, language and label with an erased tweet."""
    _erase_aggregate(pending, writer, trends, _TRENDS_KEY, "tweets")


def erase_mentions(pending: Pending, writer: TableWriter) -> None:
    """Count the tweets again for each account, day and language that an erased tweet mentions."""
    _erase_aggregate(pending, writer, mentions, _MENTIONS_KEY, "total")


def _erase_aggregate(
    pending: Pending,
    writer: TableWriter,
    aggregate: Callable[[DataFrame], DataFrame],
    key: Sequence[str],
    count: str,
) -> None:
    """Replace the rows of an aggregate that count erased tweets.

    The new rows are computed from the version of gold/sentiment that the stream of the aggregates has read. The stream
    adds later rows itself, without erased tweets. The version still has the erased tweets, because they are deleted
    from gold/sentiment only after they are erased from the aggregates.
    """
    version = _read_version(pending.lake, writer)
    if version is None:
        return  # in the middle of a version: try again later
    spark, lake, merge = pending.spark, pending.lake, None
    if version >= 0:
        sentiment = delta_tables.read(spark, lake, GOLD_SENTIMENT, version)
        changed = _changed_rows(pending, sentiment, aggregate, key).localCheckpoint()
        if days := _days(changed):
            condition = in_days("t.tweet_date", days)
            for name in key:
                condition &= F.col(f"t.{name}") == F.col(f"s.{name}")
            merge = merge_into(spark, lake, writer.table, changed, condition)
            merge = merge.whenMatchedDelete(f"s.{count} IS NULL").whenMatchedUpdateAll()
    writer.erase(spark, pending.end.to_json(), merge, {})


def _changed_rows(
    pending: Pending, sentiment: DataFrame, aggregate: Callable[[DataFrame], DataFrame], key: Sequence[str]
) -> DataFrame:
    """Return the new rows of an aggregate for the keys of the erased tweets.

    If no tweet of a key is left, all columns but the key are null. Only the days of the erased tweets are read.
    """
    keys = aggregate(stored_tweets(pending, sentiment)).select(*key).localCheckpoint()
    same_days = sentiment.where(in_days("tweet_date", _days(keys)))
    # Tweets of earlier erasures may still be in gold/sentiment.
    erased = covered_tweets(same_days, pending.lake, pending.end.batch).select("id").distinct()
    remaining = same_days.join(erased, "id", "left_anti")
    return keys.join(aggregate(remaining), list(key), "left")


def _days(rows: DataFrame) -> list[date]:
    return [row["tweet_date"] for row in rows.select("tweet_date").distinct().collect()]


def _read_version(lake: str, writer: TableWriter) -> int | None:
    """Return a version of gold/sentiment with exactly the rows that an aggregate counts; -1 if there are no rows yet.

    None if the aggregate counts only a part of the rows of a version, or has not counted any row yet.
    """
    batches = (commit.metadata for commit in batch_commits(open_existing_table(lake, writer.table)))
    offset = next((metadata.offset for metadata in batches if metadata.query == _AGGREGATES_STREAM), None)
    if offset is not None:
        return version_read(lake, GOLD_SENTIMENT, offset)
    # The first batch of the stream reads the table as it is then: tweets must not be deleted before.
    newest = next(batch_commits(open_existing_table(lake, GOLD_SENTIMENT)), None)
    return None if newest and newest.metadata.totals.get("rows") else -1
