"""Derive the rows of the Gold tables: sentiment per tweet, and its aggregates by minute and by mentioned account."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.labels import LABELS
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS


def new_sentiment(scored_tweets: DataFrame) -> DataFrame:
    """Return the rows of GOLD_SENTIMENT for newly scored rows of SILVER_TWEETS."""
    return scored_tweets.withColumn("rescored_at", F.lit(None).cast("timestamp")).select(GOLD_SENTIMENT.column_names)


def trends(sentiment: DataFrame) -> DataFrame:
    """Count rows of GOLD_SENTIMENT by minute, language and label: rows of GOLD_TRENDS."""
    return (
        sentiment.where("label IS NOT NULL")
        .groupBy(
            F.date_trunc("minute", "timestamp").alias("minute"),
            "lang",
            "label",
            "tweet_date",
        )
        .agg(F.count("*").alias("tweets"), F.sum(F.col("score").cast("double")).alias("score_sum"))
        .select(GOLD_TRENDS.column_names)
    )


def mentions(sentiment: DataFrame) -> DataFrame:
    """Count rows of GOLD_SENTIMENT by mentioned account, day and language: rows of GOLD_MENTIONS."""
    return (
        sentiment.where("label IS NOT NULL")
        .select(F.explode("mentions").alias("mention"), "timestamp", "lang", "label", "tweet_date")
        .groupBy("mention", "lang", "tweet_date")
        .agg(
            F.min("timestamp").alias("first_seen"),
            F.max("timestamp").alias("last_seen"),
            *(_count(label) for label in LABELS),
            F.count("*").alias("total"),
        )
        .select(GOLD_MENTIONS.column_names)
    )


def _count(label: str) -> Column:
    return F.count_if(F.col("label") == label).alias(label)
