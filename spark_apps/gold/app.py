"""Gold: score each tweet of silver/tweets into gold/sentiment, then aggregate into gold/trends and gold/mentions.

With a shadow version, the stream of the aggregates also scores a share of the tweets into gold/shadow.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.gold.erasures import erase_mentions, erase_trends
from spark_apps.gold.production_model import open_model
from spark_apps.gold.scoring import find_poison_tweets, score_tweets
from spark_apps.gold.shadow import ShadowScorer
from spark_apps.gold.transform import mentions, new_sentiment, trends
from spark_apps.labels import LABELS
from spark_apps.lake import delta_tables
from spark_apps.lake.erasures import delete_tweets, drop_erased, without_erased
from spark_apps.lake.ranges import in_ranges
from spark_apps.scoring.description import ModelVersion
from spark_apps.settings import Settings
from spark_apps.spark_context import task_slots
from spark_apps.streaming.poison import PoisonRow
from spark_apps.streaming.stream import Batch, BatchResult, Process, Stream, newest, shorten
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_SHADOW, GOLD_TRENDS, SILVER_TWEETS

# Input of a scoring batch for each task slot: about 2,000 tweets, which take seconds. Scoring is slow, so this size
# limits the work that a kill loses and the time that a stop takes.
_TWEETS_BYTES_PER_SLOT = 256 << 10
# Input of an aggregation batch for each task slot.
_SENTIMENT_BYTES_PER_SLOT = 8 << 20
# The two MERGEs take longer than scoring a small batch. With an interval, not every scoring batch waits for them.
_AGGREGATES_TRIGGER = "30 seconds"


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """Return the streams of this layer: sentiment, then the aggregates.

    The aggregates read gold/sentiment, not the scored batch: a repeated batch counts the labels that were committed,
    even if the model has changed since.
    """
    (lake,) = settings.require("lake")
    models = open_model(settings)

    def prepare() -> Process | None:
        # A batch uses the version that is in production when the batch begins to wait for its turn.
        model = models.current()
        if model is None:
            return None
        score = partial(_score, lake, model, models.problem, models.findings)
        return Process(score, partial(_find_poison, model), _describe_input)

    def tweets() -> DataFrame:
        return delta_tables.read_stream(spark, lake, SILVER_TWEETS, _TWEETS_BYTES_PER_SLOT * task_slots(spark))

    return [
        Stream(
            "gold",
            tweets,
            (SILVER_TWEETS,),
            (GOLD_SENTIMENT,),
            prepare,
            erase={GOLD_SENTIMENT.name: delete_tweets},
            # The aggregates are computed again from the rows to delete.
            erase_after=(GOLD_TRENDS, GOLD_MENTIONS),
        ),
        aggregates(spark, lake, ShadowScorer.from_settings(settings)),
    ]


def _score(lake: str, model: ModelVersion, problem: str, findings: int, batch: Batch) -> BatchResult:
    remaining = drop_erased(batch.rows, lake)
    rows = score_tweets(remaining, model, batch.poison).persist()
    try:
        ((scored, cached, landed),) = rows.agg(F.count("*"), F.count_if("cached"), newest("landed_at")).collect()
        tweets = scored if remaining is batch.rows else batch.rows.count()
        counts = {"rows": scored, "unscored": len(batch.poison), "erased": tweets - scored}
        batch.writers[GOLD_SENTIMENT.name].append(new_sentiment(rows), batch.id, counts)
    finally:
        rows.unpersist()
    return BatchResult(
        counts,
        tweets,
        landed,
        cached=cached,
        model_version=model.version,
        model_problem=problem,
        findings=findings,
    )


def _find_poison(model: ModelVersion, batch: Batch) -> Sequence[PoisonRow]:
    return find_poison_tweets(batch.rows, model)


def _describe_input(batch: Batch) -> str:
    """Name the poison tweets; silver/tweets does not have the files of the others."""
    return "tweets " + shorten([str(row.key[0]) for row in batch.poison]) if batch.poison else ""


def aggregates(spark: SparkSession, lake: str, shadow: ShadowScorer | None = None) -> Stream:
    """Return the stream that adds the rows of gold/sentiment to the counts in gold/trends and gold/mentions.

    Args:
        spark: session that runs the stream.
        lake: folder or s3a:// URI of the Delta tables.
        shadow: scores a share of the rows into gold/shadow, after the counts; None to leave this out.
    """

    def prepare() -> Process:
        return Process(partial(aggregate, shadow.current() if shadow else None))

    def aggregate(model: ModelVersion | None, batch: Batch) -> BatchResult:
        per_day = batch.rows.groupBy("tweet_date").agg(
            F.count("*").alias("tweets"), newest("landed_at").alias("landed")
        )
        days = {str(row["tweet_date"]): row for row in per_day.collect()}
        counts = {"rows": sum(row["tweets"] for row in days.values())}
        _merge_trends(batch, lake, days, counts)
        _merge_mentions(batch, lake, days, counts)
        landed = max((row["landed"] for row in days.values() if row["landed"] is not None), default=None)
        shadowed = shadow.append(batch, lake, counts["rows"], model) if shadow and model else 0
        return BatchResult(counts | {"shadowed": shadowed}, counts["rows"], landed)

    def sentiment() -> DataFrame:
        return delta_tables.read_stream(spark, lake, GOLD_SENTIMENT, _SENTIMENT_BYTES_PER_SLOT * task_slots(spark))

    return Stream(
        "gold-aggregates",
        sentiment,
        (GOLD_SENTIMENT,),
        (GOLD_TRENDS, GOLD_MENTIONS, GOLD_SHADOW),
        prepare,
        trigger=_AGGREGATES_TRIGGER,
        erase={GOLD_TRENDS.name: erase_trends, GOLD_MENTIONS.name: erase_mentions, GOLD_SHADOW.name: delete_tweets},
    )


def _merge_trends(batch: Batch, lake: str, days: Iterable[str], counts: Mapping[str, int]) -> None:
    session, writer = batch.rows.sparkSession, batch.writers[GOLD_TRENDS.name]
    merge = (
        DeltaTable.forPath(session, GOLD_TRENDS.path(lake))
        .alias("t")
        .merge(
            trends(without_erased(batch.rows, lake, writer.erased)).alias("s"),
            _merge_condition(days, "minute", "lang", "label"),
        )
        .whenMatchedUpdate(set={"tweets": "t.tweets + s.tweets", "score_sum": "t.score_sum + s.score_sum"})
        .whenNotMatchedInsertAll()
    )
    writer.merge(merge, session, batch.id, counts)


def _merge_mentions(batch: Batch, lake: str, days: Iterable[str], counts: Mapping[str, int]) -> None:
    session, writer = batch.rows.sparkSession, batch.writers[GOLD_MENTIONS.name]
    sums: dict[str, str | Column] = {name: f"t.{name} + s.{name}" for name in (*LABELS, "total")}
    times: dict[str, str | Column] = {
        "first_seen": "least(t.first_seen, s.first_seen)",
        "last_seen": "greatest(t.last_seen, s.last_seen)",
    }
    merge = (
        DeltaTable.forPath(session, GOLD_MENTIONS.path(lake))
        .alias("t")
        .merge(
            mentions(without_erased(batch.rows, lake, writer.erased)).alias("s"),
            _merge_condition(days, "mention", "lang"),
        )
        .whenMatchedUpdate(set=sums | times)
        .whenNotMatchedInsertAll()
    )
    writer.merge(merge, session, batch.id, counts)


def _merge_condition(days: Iterable[str], *keys: str) -> Column:
    """Return the MERGE condition: equal keys and equal day. The ranges of days let Delta skip files of other days."""
    condition = in_ranges("t.tweet_date", ((day, day) for day in days), "date")
    for key in (*keys, "tweet_date"):
        condition &= F.col(f"t.{key}") == F.col(f"s.{key}")
    return condition
