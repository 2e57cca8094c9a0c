"""Looks up which ids silver/tweets already contains."""

from collections.abc import Collection, Iterable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.lake import delta_tables
from spark_apps.lake.ranges import join_ranges
from spark_apps.tables import SILVER_TWEETS


def known_ids(tweets: DataFrame, ranges: Iterable[tuple[str, str]], lake: str) -> list[str]:
    """Return the ids of `tweets` that silver/tweets already contains, on any day.

    Ids of one day and length are close together. With a filter on their ranges, Delta skips nearly all files by the
    statistics in its log. The bounds are strings, because the statistics compare ids as strings.

    Args:
        tweets: rows with the column `id`.
        ranges: ranges that contain the ids: lowest and highest id.
        lake: folder or s3a:// URI of the Delta tables.
    """
    in_range = F.lit(False)
    for lowest, highest in join_ranges(ranges):
        in_range |= F.col("id").between(lowest, highest)
    table = delta_tables.read(tweets.sparkSession, lake, SILVER_TWEETS).where(in_range).select("id")
    return [row["id"] for row in table.join(F.broadcast(tweets.select("id")), "id", "left_semi").collect()]


def id_ranges(tweets: DataFrame) -> list[tuple[str, str]]:
    """Return the range of the ids of each day and length in `tweets`."""
    ids = tweets.groupBy("tweet_date", F.length("id")).agg(F.min("id").alias("lowest"), F.max("id").alias("highest"))
    return [(row["lowest"], row["highest"]) for row in ids.collect()]


def without_ids(tweets: DataFrame, ids: Collection[str]) -> DataFrame:
    """Return `tweets` without those with one of `ids`."""
    return tweets.join(ids_frame(tweets.sparkSession, ids), "id", "left_anti") if ids else tweets


def ids_frame(spark: SparkSession, ids: Collection[str]) -> DataFrame:
    """Return a small frame with the column `id`, for a broadcast join."""
    return F.broadcast(spark.createDataFrame([(id_,) for id_ in ids], "id STRING"))
