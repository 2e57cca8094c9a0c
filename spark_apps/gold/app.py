"""Gold: silver/tweets → gold/sentiment, each tweet scored once; gold/sentiment → gold/trends and gold/mentions."""

from collections.abc import Iterable, Mapping
from functools import partial

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.gold.production_model import open_model
from spark_apps.gold.transform import mentions, trends
from spark_apps.lake import delta_tables
from spark_apps.scoring.description import ModelVersion
from spark_apps.scoring.udf import scored
from spark_apps.settings import Settings
from spark_apps.streaming.stream import Batch, BatchResult, Process, Stream, always_ready, newest
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, SILVER_TWEETS

# Scoring is the slow step: a batch of about 4,000 tweets bounds what a kill costs and what a stop waits for.
_MAX_TWEETS_BYTES = "512k"
_MAX_ROWS_BYTES = "16m"
# Two MERGEs take longer than scoring a small batch: not every tweet should wait for those of the tweets before it.
_AGGREGATES_TRIGGER = "30 seconds"


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """Return the streams of this layer: sentiment first, its aggregates second.

    The aggregates read the rows that sentiment wrote, so a replayed batch counts the labels that are in the table.
    """
    (lake,) = settings.require("lake")
    models = open_model(settings)

    def prepare() -> Process | None:
        # Each batch uses the version that is in production just before the batch.
        model = models.current()
        return partial(score, model, models.problem) if model else None

    def score(model: ModelVersion, problem: str, batch: Batch) -> BatchResult:
        rows = scored(batch.rows, model).persist()
        try:
            ((tweets, cached, landed),) = rows.agg(F.count("*"), F.count_if("cached"), newest("landed_at")).collect()
            counts = {"rows": tweets}
            new = rows.withColumn("rescored_at", F.lit(None).cast("timestamp"))
            batch.writers[GOLD_SENTIMENT.name].append(new, batch.id, counts)
        finally:
            rows.unpersist()
        return BatchResult(
            counts,
            tweets,
            landed,
            cached=cached,
            model_version=model.version,
            model_problem=problem,
            findings=models.findings,
        )

    def tweets() -> DataFrame:
        return delta_tables.read_stream(spark, lake, SILVER_TWEETS, _MAX_TWEETS_BYTES)

    return [
        Stream("gold", tweets, (SILVER_TWEETS,), (GOLD_SENTIMENT,), prepare),
        aggregates(spark, lake),
    ]


def aggregates(spark: SparkSession, lake: str) -> Stream:
    """Return the stream that counts the rows of gold/sentiment into gold/trends and gold/mentions."""

    def aggregate(batch: Batch) -> BatchResult:
        found = batch.rows.groupBy("tweet_date").agg(F.count("*").alias("tweets"), newest("landed_at").alias("landed"))
        days = {str(row["tweet_date"]): row for row in found.collect()}
        counts = {"rows": sum(row["tweets"] for row in days.values())}
        _add_trends(batch, lake, days, counts)
        _add_mentions(batch, lake, days, counts)
        landed = max((row["landed"] for row in days.values() if row["landed"] is not None), default=None)
        return BatchResult(counts, counts["rows"], landed)

    def sentiment() -> DataFrame:
        return delta_tables.read_stream(spark, lake, GOLD_SENTIMENT, _MAX_ROWS_BYTES)

    tables = (GOLD_TRENDS, GOLD_MENTIONS)
    return Stream(
        "gold-aggregates", sentiment, (GOLD_SENTIMENT,), tables, always_ready(aggregate), trigger=_AGGREGATES_TRIGGER
    )


def _add_trends(batch: Batch, lake: str, days: Iterable[str], counts: Mapping[str, int]) -> None:
    session = batch.rows.sparkSession
    merge = (
        DeltaTable.forPath(session, GOLD_TRENDS.path(lake))
        .alias("t")
        .merge(
            trends(batch.rows).alias("s"),
            _same(days, "minute", "lang", "label"),
        )
        .whenMatchedUpdate(set={"tweets": "t.tweets + s.tweets", "score_sum": "t.score_sum + s.score_sum"})
        .whenNotMatchedInsertAll()
    )
    batch.writers[GOLD_TRENDS.name].merge(merge, session, batch.id, counts)


def _add_mentions(batch: Batch, lake: str, days: Iterable[str], counts: Mapping[str, int]) -> None:
    session = batch.rows.sparkSession
    sums: dict[str, str | Column] = {
        name: f"t.{name} + s.{name}" for name in ("negative", "neutral", "positive", "total")
    }
    seen: dict[str, str | Column] = {
        "first_seen": "least(t.first_seen, s.first_seen)",
        "last_seen": "greatest(t.last_seen, s.last_seen)",
    }
    merge = (
        DeltaTable.forPath(session, GOLD_MENTIONS.path(lake))
        .alias("t")
        .merge(mentions(batch.rows).alias("s"), _same(days, "mention", "lang"))
        .whenMatchedUpdate(set=sums | seen)
        .whenNotMatchedInsertAll()
    )
    batch.writers[GOLD_MENTIONS.name].merge(merge, session, batch.id, counts)


def _same(days: Iterable[str], *keys: str) -> str:
    """Return the MERGE condition: equal keys and day, with the batch's days spelled out so that others are pruned."""
    among = ", ".join(f"DATE'{day}'" for day in days) or "NULL"
    return " AND ".join(f"t.{key} = s.{key}" for key in (*keys, "tweet_date")) + f" AND t.tweet_date IN ({among})"
