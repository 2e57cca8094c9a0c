"""Compare gold/sentiment with silver/tweets: the columns that Gold copies must be equal."""

from datetime import date
from math import ceil

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.lake.hours import hour_of
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS

COPIED_COLUMNS = [name for name in GOLD_SENTIMENT.column_names if name in SILVER_TWEETS.column_names]
# The columns that say in which part a differing row is, and which erasures cover the row.
_KEPT_COLUMNS = ("id", "timestamp", "tweet_date", "user_id", "retweet_of", "retweet_of_user")
# Rows of a task that compares whole rows.
_TASK_ROWS = 200_000


def find_differences(tweets: DataFrame, sentiment: DataFrame, since: date | None) -> DataFrame:
    """Return the rows that only one of the two tables has, or that one has more often.

    Args:
        tweets: rows of SILVER_TWEETS.
        sentiment: rows of GOLD_SENTIMENT.
        since: compare only tweets posted since this day; None for all.
    """
    if since is not None:
        tweets, sentiment = (rows.where(F.col("tweet_date") >= F.lit(since)) for rows in (tweets, sentiment))
    tasks = ceil((tweets.count() + sentiment.count()) / _TASK_ROWS) or 1
    both = tweets.select(*COPIED_COLUMNS, F.lit(1).alias("copies")).union(
        sentiment.select(*COPIED_COLUMNS, F.lit(-1).alias("copies"))
    )
    copies = both.repartition(tasks, "id").groupBy(*COPIED_COLUMNS).agg(F.sum("copies").alias("copies"))
    return copies.where("copies != 0").select(*_KEPT_COLUMNS)


def find_misplaced(differences: DataFrame, tweets: DataFrame, sentiment: DataFrame) -> DataFrame:
    """Return which rows of gold/sentiment are not in the hour of their tweet.

    Args:
        differences: result of `find_differences`.
        tweets: rows of SILVER_TWEETS of all days.
        sentiment: rows of GOLD_SENTIMENT of all days.

    Returns:
        A row per tweet: its `id`, and `timestamp` and `tweet_date` in SILVER_TWEETS. Both are null for a row that has
        no tweet in SILVER_TWEETS, and a `tweet_date` of another day than its `timestamp`.
    """
    ids = differences.select("id").distinct()
    times = tweets.join(ids, "id", "left_semi").select("id", "timestamp", "tweet_date")
    stored = sentiment.join(ids, "id", "left_semi").select(
        "id", F.col("timestamp").alias("stored_timestamp"), F.col("tweet_date").alias("stored_date")
    )
    rows = stored.join(times, "id", "left").withColumn("time", F.coalesce("timestamp", "stored_timestamp"))
    same_hour = hour_of("stored_timestamp") == hour_of("time")
    is_placed = same_hour & (F.col("stored_date") == F.to_date("time"))
    misplaced = rows.where(~F.coalesce(is_placed, F.lit(False)))
    return misplaced.select("id", "timestamp", "tweet_date").dropDuplicates(["id"])


def count_by_hour(differences: DataFrame, tweets: DataFrame) -> DataFrame:
    """Count the tweets that differ, and all rows of SILVER_TWEETS, in each hour with either of them.

    Returns:
        The columns `hour` (hours since 1970), `tweets` (number of tweets that differ) and `rows`.
    """
    hour, nothing = hour_of("timestamp").alias("hour"), F.lit(None).cast("string")
    differing = differences.select(hour, F.col("id").alias("differing"), F.lit(0).alias("row"))
    rows = tweets.select(hour, nothing.alias("differing"), F.lit(1).alias("row"))
    counts = (F.count_distinct("differing").alias("tweets"), F.sum("row").alias("rows"))
    return differing.union(rows).where("hour IS NOT NULL").groupBy("hour").agg(*counts)
