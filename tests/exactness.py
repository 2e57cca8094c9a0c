"""Checks the exactly-once guarantees of a lake, which hold after any failure of the streams."""

from collections import Counter

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.demo.malformed import Expected
from spark_apps.gold.transform import mentions, trends
from spark_apps.lake import delta_tables
from spark_apps.lake.status import read_status
from spark_apps.tables import (
    BRONZE_TWEETS,
    GOLD_MENTIONS,
    GOLD_SENTIMENT,
    GOLD_TRENDS,
    QUARANTINE,
    SILVER_TWEETS,
    Table,
)


def check(spark: SparkSession, lake: str, expected: Expected) -> None:
    """Assert that each record is in its table exactly once, and that the aggregates match the rows.

    Args:
        spark: session that reads the lake.
        lake: folder of the Delta tables.
        expected: counts of all landed files.
    """

    def rows(table: Table) -> DataFrame:
        return delta_tables.read(spark, lake, table)

    status = read_status(lake)
    rejected = Counter({row["reason"]: row["count"] for row in rows(QUARANTINE).groupBy("reason").count().collect()})
    for table, count, total in (
        (BRONZE_TWEETS, rows(BRONZE_TWEETS).count(), expected.documents),
        (QUARANTINE, rejected.total(), expected.quarantine.total()),
    ):
        assert count + status.tables[table.name].expired == total, table.name
    (tweets,) = rows(SILVER_TWEETS).select(F.count("*"), F.count_distinct("id")).collect()
    assert tuple(tweets) == (expected.tweets, expected.tweets)
    if not status.tables[QUARANTINE.name].expired:
        assert rejected == expected.quarantine
    silver = status.tables[SILVER_TWEETS.name].totals
    assert (silver["documents"], silver["rows"], silver.get("duplicates", 0)) == (
        expected.documents,
        expected.tweets,
        expected.duplicates,
    )
    assert Counter(status.quarantine) == expected.quarantine
    assert status.lag == {"silver": 0, "gold": 0, "aggregates": 0}

    shared = ["id", "user_id", "timestamp", "lang", "full_text", "mentions", "landed_at", "ingested_at", "tweet_date"]
    assert_same_rows(rows(SILVER_TWEETS).select(shared), rows(GOLD_SENTIMENT).select(shared))
    assert_aggregates_match(spark, lake)


def assert_aggregates_match(spark: SparkSession, lake: str) -> None:
    """Assert that gold/trends and gold/mentions count the rows of gold/sentiment."""
    sentiment, counted, mentioned = (
        delta_tables.read(spark, lake, table) for table in (GOLD_SENTIMENT, GOLD_TRENDS, GOLD_MENTIONS)
    )
    assert_same_rows(_rounded(trends(sentiment)), _rounded(counted))
    assert_same_rows(mentions(sentiment), mentioned.select(GOLD_MENTIONS.column_names))


def assert_same_rows(first: DataFrame, second: DataFrame) -> None:
    """Assert that two frames have the same rows with the same multiplicity."""
    assert first.columns == second.columns
    # One query compares both directions: two `exceptAll` take twice the time.
    rows = first.withColumn("surplus", F.lit(1)).union(second.withColumn("surplus", F.lit(-1)))
    differences = rows.groupBy(first.columns).agg(F.sum("surplus").alias("surplus")).where("surplus <> 0").head(6)
    assert differences == [], "surplus > 0: rows of the first frame, surplus < 0: rows of the second frame"


def _rounded(frame: DataFrame) -> DataFrame:
    # The last digits of a sum of floats depend on the order of the rows.
    return frame.withColumn("score_sum", F.round("score_sum", 4)).select(GOLD_TRENDS.column_names)
