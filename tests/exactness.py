"""What must hold of a lake whatever has happened to the streams that wrote it."""

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
    """Assert that every landed record of `expected` is where it belongs, once, and that the aggregates add up."""

    def rows(table: Table) -> DataFrame:
        return delta_tables.read(spark, lake, table)

    found = read_status(lake)
    assert rows(BRONZE_TWEETS).count() == expected.documents
    assert rows(SILVER_TWEETS).count() == rows(SILVER_TWEETS).select("id").distinct().count() == expected.tweets
    rejected = Counter({row["reason"]: row["count"] for row in rows(QUARANTINE).groupBy("reason").count().collect()})
    assert rejected == expected.quarantine
    silver = found.tables[SILVER_TWEETS.name].totals
    assert (silver["documents"], silver["rows"], silver.get("duplicates", 0)) == (
        expected.documents,
        expected.tweets,
        expected.duplicates,
    )
    assert Counter(found.quarantine) == expected.quarantine
    assert found.lag == {"silver": 0, "gold": 0, "aggregates": 0}

    shared = ["id", "user_id", "timestamp", "lang", "full_text", "mentions", "landed_at", "ingested_at", "tweet_date"]
    same(rows(SILVER_TWEETS).select(shared), rows(GOLD_SENTIMENT).select(shared))
    same(_rounded(trends(rows(GOLD_SENTIMENT))), _rounded(rows(GOLD_TRENDS)))
    same(mentions(rows(GOLD_SENTIMENT)), rows(GOLD_MENTIONS).select(GOLD_MENTIONS.column_names))


def same(one: DataFrame, other: DataFrame) -> None:
    """Assert that two frames hold the same rows, each as often."""
    assert one.columns == other.columns
    missing, more = one.exceptAll(other).head(3), other.exceptAll(one).head(3)
    assert (missing, more) == ([], [])


def _rounded(frame: DataFrame) -> DataFrame:
    # Sums of floats depend on their order in the last digits.
    return frame.withColumn("score_sum", F.round("score_sum", 4)).select(GOLD_TRENDS.column_names)
