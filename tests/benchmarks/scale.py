"""Gold's throughput with more task slots than this machine has cores: a stand-in for the model sleeps."""

import tempfile
import time
from collections.abc import Iterator
from unittest import mock

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_apps.gold import app as gold
from spark_apps.lake import delta_tables
from spark_apps.map_in_arrow import ArrowFunction, arrow_schema
from spark_apps.scoring import udf
from spark_apps.scoring.udf import ADDED_COLUMNS
from spark_apps.session import make_session
from spark_apps.settings import load
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS, Column
from tests.benchmarks.result import Line, Result

SLOTS = (1, 2, 4, 8, 16, 32)
# One core with AVX2 scores about 300 tweets a second.
SECONDS_PER_TWEET = 1 / 300
# Tweets per slot, which take about a minute.
TWEETS_PER_SLOT = 18_000


def scale() -> Result:
    """Gold's throughput from 1 to 32 task slots, with a model that sleeps instead of computing."""
    rates = {slots: _rate(slots) for slots in SLOTS}
    lines = [
        Line(f"Gold with {slots} task slots", f"{rate:,.0f} tweets/s", f"{rate / slots / rates[1]:.0%} of linear")
        for slots, rate in rates.items()
    ]
    return Result(lines, {str(slots): rate for slots, rate in rates.items()})


def _rate(slots: int) -> float:
    """Return the tweets/s of Gold between its first and its last micro-batch."""
    with tempfile.TemporaryDirectory(prefix="bench-") as lake:
        spark = make_session(load(lake=lake, cores=slots, memory="3g"))
        done: list[tuple[float, int]] = []

        def record(report: BatchReport) -> None:
            done.append((time.monotonic(), report.counts["rows"]))

        try:
            for table in (SILVER_TWEETS, GOLD_SENTIMENT):
                delta_tables.create_or_evolve(spark, lake, table, 3600)
            _fill(spark, lake, TWEETS_PER_SLOT * slots)
            with mock.patch.object(udf, "_scorer", _sleeper):
                streams = gold.streams(spark, load(lake=lake))[:1]
                StreamRunner(spark, lake, 3600, record).run(streams, None)
        finally:
            spark.stop()
        (first, _), *_, (last, _) = done
        return sum(rows for _, rows in done[1:]) / (last - first)


def _fill(spark: SparkSession, lake: str, tweets: int) -> None:
    """Append distinct tweets, in files of the size that Silver writes."""
    columns = {
        "id": (F.lit(10**18) + F.col("n")).cast("string"),
        "full_text": F.concat(F.lit("a tweet with some words and "), F.sha2(F.col("n").cast("string"), 256)),
        "lang": F.lit("en"),
        "timestamp": F.current_timestamp(),
        "landed_at": F.current_timestamp(),
        "tweet_date": F.current_date(),
    }
    types = {column.name: column.type for column in SILVER_TWEETS.columns}
    numbers = spark.range(0, tweets, 1, max(1, tweets // 20_000)).withColumnRenamed("id", "n")
    rows = numbers.select(*(columns.get(name, F.lit(None)).cast(type_).alias(name) for name, type_ in types.items()))
    writer = rows.write.format("delta").mode("append").option("maxRecordsPerFile", 2_000)
    writer.save(SILVER_TWEETS.path(lake))


def _sleeper(_archive: str, _threads: int, _alias: str) -> ArrowFunction:
    """Return the function that replaces the model: it takes SECONDS_PER_TWEET for each tweet."""
    # The workers cannot import this module, so the function must not refer to it.
    seconds_per_tweet = SECONDS_PER_TWEET
    added = arrow_schema([Column(name, type_, "") for name, type_ in ADDED_COLUMNS.items()])

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            time.sleep(batch.num_rows * seconds_per_tweet)
            nulls = [pa.nulls(batch.num_rows, type_) for type_ in added.types]
            yield pa.RecordBatch.from_arrays([*batch.columns, *nulls], names=[*batch.schema.names, *added.names])

    return score
