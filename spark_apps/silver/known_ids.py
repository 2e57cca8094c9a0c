"""Looks up which ids silver/tweets already contains."""

from collections.abc import Collection, Iterable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.lake.ranges import in_ranges, join_ranges
from spark_apps.lake.writer import TableWriter


def known_ids(tweets: DataFrame, ranges: Iterable[tuple[str, str]], writer: TableWriter) -> list[str]:
    """Return the ids of `tweets` that silver/tweets already contains, on any day.

    Ids of one day and length are close together: the statistics of the files exclude nearly all files. The writer knows
    the statistics. Delta would read them in a Spark job after each commit.

    Args:
        tweets: rows with the column `id`.
        ranges: ranges that contain the ids: lowest and highest id, compared as strings.
        writer: writer of silver/tweets.
    """
    joined = join_ranges(ranges)
    files = writer.files_with("id", joined) if joined else []
    if not files:
        return []
    # The files are the rows of the table: it has no deletion vectors.
    table = tweets.sparkSession.read.schema("id STRING").parquet(*files).where(in_ranges("id", joined))
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
