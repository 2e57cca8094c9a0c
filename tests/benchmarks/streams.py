"""The streams: their throughput, their latency, and the time of a batch on large tables."""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_apps import snowflake, storage
from spark_apps.bronze import app as bronze
from spark_apps.demo.generator import Generator, Mix
from spark_apps.gold import app as gold
from spark_apps.lake.query import LakeQuery, Statement
from spark_apps.registry.client import BUNDLED
from spark_apps.run import run
from spark_apps.scoring.description import ModelVersion
from spark_apps.scoring.scorer import Scorer
from spark_apps.scoring.udf import add_sentiment
from spark_apps.session import make_session
from spark_apps.settings import Settings, load
from spark_apps.silver import app as silver
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS
from tests.benchmarks.result import Line, Result
from tests.benchmarks.texts import texts

TWEETS = 50_000
LATENCY_SECONDS = 120
WARM_UP_SECONDS = 45
GROWTH_ROWS = (10**5, 10**6, 10**7)
LATENCY = Statement(
    """
    WITH waited AS (
      SELECT extract(epoch FROM scored_at) - extract(epoch FROM landed_at) AS seconds FROM sentiment
      WHERE landed_at >= $1
    )
    SELECT approx_percentile_cont(seconds, 0.5) AS p50, approx_percentile_cont(seconds, 0.95) AS p95,
           count(*) AS tweets FROM waited
    """,
    "TIMESTAMP WITH TIME ZONE",
)


@contextmanager
def lake_settings() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        (Path(home) / "landing").mkdir()
        yield load(landing=f"{home}/landing", lake=f"{home}/lake", trigger="0 seconds")


def throughput() -> Result:
    """50,000 tweets through all layers, and Gold in Spark compared with the scorer alone."""
    with lake_settings() as settings:
        for file in Generator(1, mix=Mix(retweets=0, duplicates=0, malformed=0)).files(TWEETS, 5_000):
            storage.put(str(settings.landing), file.name, file.data)
        spent = {"bronze": 0.0, "silver": 0.0, "gold": 0.0, "gold-aggregates": 0.0}

        def add(report: BatchReport) -> None:
            spent[report.stream] += report.seconds

        done = run([], settings, once=True, on_batch=add)
    alone, inside = _alone_and_inside(texts(8_000))
    by_stream = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in spent.items())
    lines = [
        Line(f"{done['gold']:,} tweets through all layers, start of Spark included", f"{done['seconds']} s", by_stream),
        Line("the scorer alone, all cores", f"{alone:,.0f} tweets/s"),
        Line("Gold in Spark, all cores", f"{inside:,.0f} tweets/s", f"{inside / alone:.0%} of the scorer alone"),
    ]
    return Result(lines, {"seconds": done["seconds"], "streams": spent, "scorer_alone": alone, "gold_in_spark": inside})


def _alone_and_inside(sample: list[str]) -> tuple[float, float]:
    """Return the tweets/s of the scorer without Spark and of Gold: medians of three interleaved runs."""
    spark = make_session(load())
    # The fastest use without Spark: one ONNX session per core, and an equal share of short and long texts.
    scorers = [Scorer(BUNDLED, threads=1) for _ in range(os.cpu_count() or 1)]
    dealt = sorted(sample, key=len)

    def score_on_all_cores() -> None:
        with ThreadPoolExecutor(len(scorers)) as pool:
            list(pool.map(lambda core: scorers[core].score(dealt[core :: len(scorers)]), range(len(scorers))))

    try:
        model = ModelVersion("bench", "1", BUNDLED)
        frame = spark.createDataFrame([(text,) for text in sample], "full_text STRING").repartition(2).cache()
        frame.count()
        add_sentiment(frame.limit(200), model).write.format("noop").mode("overwrite").save()
        alone, inside = [], []
        for number in range(3):
            alone.append(timed(score_on_all_cores))
            # Different texts in each run: the workers cache the scores of previous runs.
            fresh = frame.select(F.concat("full_text", F.lit(f" {number}")).alias("full_text"))
            inside.append(timed(add_sentiment(fresh, model).write.format("noop").mode("overwrite").save))
        return len(sample) / float(np.median(alone)), len(sample) / float(np.median(inside))
    finally:
        spark.stop()


def timed(work: Callable[[], Any]) -> float:
    """Return the duration of `work` in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def latency() -> Result:
    """Latency from landing to Gold at 80 % of the peak, with the model and with a constant scorer."""
    peak = _peak()
    lines, figures = [Line("peak of the whole chain", f"{peak:,.0f} tweets/s")], {"peak": peak}
    for name, scorer in (("the model", add_sentiment), ("a constant scorer", _constant)):
        median, p95, tweets = _latency(0.8 * peak, scorer)
        lines.append(
            Line(
                f"landing → gold at {0.8 * peak:,.0f} tweets/s with {name}",
                f"median {median:.1f} s",
                f"95 % within {p95:.1f} s, {tweets:,} tweets",
            )
        )
        figures |= {f"median of {name}": median, f"95 % of {name}": p95}
    return Result(lines, figures)


def _latency(rate: float, scorer: Callable[..., Any]) -> tuple[float, float, int]:
    """Return the median and the 95th percentile of the seconds from landing to Gold, and the number of tweets."""
    with lake_settings() as settings:
        stop = threading.Event()
        feeder = threading.Thread(target=_feed, args=(str(settings.landing), rate, stop))
        feeder.start()
        threading.Timer(WARM_UP_SECONDS + LATENCY_SECONDS, stop.set).start()
        began = datetime.now(UTC) + timedelta(seconds=WARM_UP_SECONDS)
        with mock.patch.object(gold, "add_sentiment", scorer):
            run([], settings, once=False, on_batch=lambda _: None, stop=stop)
        feeder.join()
        query = LakeQuery.open(str(settings.lake), sentiment=GOLD_SENTIMENT)
        assert query is not None
        (latency,) = query.rows(LATENCY, began)
        return float(latency["p50"]), float(latency["p95"]), int(latency["tweets"])


def _peak() -> float:
    """Return the tweets/s of all layers while input is always waiting."""
    with lake_settings() as settings:
        stop = threading.Event()
        done: list[tuple[float, int]] = []
        for file in Generator(2).files(40_000, 2_000):
            storage.put(str(settings.landing), file.name, file.data)

        def count(report: BatchReport) -> None:
            if report.stream == "gold":
                done.append((time.monotonic(), report.counts["rows"]))

        threading.Timer(120, stop.set).start()
        settings.max_files_per_batch = 2
        run([], settings, once=False, on_batch=count, stop=stop)
        (first, _), *_, (last, _) = done[1:]
        return sum(rows for _, rows in done[2:]) / (last - first)


def _constant(tweets: Any, model: ModelVersion) -> Any:
    return tweets.select(
        "*",
        F.lit("neutral").alias("label"),
        *(F.lit(value).cast("float").alias(name) for name, value in
          (("score", 1), ("negative", 0), ("neutral", 1), ("positive", 0))),
        F.lit(model.name).alias("model"),
        F.lit(model.version).alias("model_version"),
        F.current_timestamp().alias("scored_at"),
        F.lit(False).alias("cached"),
    )  # fmt: skip


def _feed(landing: str, rate: float, stop: threading.Event) -> None:
    start = datetime.now(UTC)
    generator = Generator(3, start, Mix(rate=rate, burst_factor=1, retweets=0.3))
    due = time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        file = generator.tick(1)
        storage.put(landing, file.name, file.data)
        due += 1


def growth() -> Result:
    """A Silver and a Gold batch of 1,000 tweets on tables of 10⁵, 10⁶ and 10⁷ rows."""
    with lake_settings() as settings:
        spark = make_session(settings)
        try:
            generator = Generator(4, datetime.now(UTC))
            _batch(spark, settings, generator)
            filled, lines, figures = 0, [], {}
            for rows in GROWTH_ROWS:
                _fill(spark, settings, filled, rows)
                filled = rows
                _batch(spark, settings, generator)
                batches = [_batch(spark, settings, generator) for _ in range(5)]
                medians = {
                    name: float(np.median([seconds[name] for seconds in batches])) for name in ("silver", "gold")
                }
                summary = ", ".join(f"{name} {value:.2f} s" for name, value in medians.items())
                lines.append(Line(f"a batch of 1,000 tweets on {rows:,} rows", summary))
                figures[str(rows)] = medians
            return Result(lines, figures)
        finally:
            spark.stop()


def _batch(spark: SparkSession, settings: Settings, generator: Generator) -> dict[str, float]:
    for file in generator.files(1_000):
        storage.put(str(settings.landing), file.name, file.data)
    seconds: dict[str, float] = {}
    streams = [*bronze.streams(spark, settings), *silver.streams(spark, settings), *gold.streams(spark, settings)]

    def record(report: BatchReport) -> None:
        seconds[report.stream] = report.seconds

    StreamRunner(spark, str(settings.lake), settings.retention_seconds, record).run(streams, None)
    return seconds


def _fill(spark: SparkSession, settings: Settings, first: int, last: int) -> None:
    """Append the rows `first` to `last` to Silver and Gold, with snowflake ids and 100,000 rows per day.

    The commits do not change data (`dataChange` is false), so that Gold does not read the rows as new tweets.
    """
    day_ms = 86_400_000
    time_ms = F.lit(int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)) + (F.col("n") * (day_ms // 100_000))
    rows = (
        spark.range(first, last)
        .withColumnRenamed("id", "n")
        .select(
            (((time_ms - snowflake.EPOCH_MS) * (1 << 22)) + (F.col("n") % 4_000_000)).cast("string").alias("id"),
            F.lit("1").alias("user_id"),
            F.concat(F.lit("a tweet of the past, number "), "n").alias("full_text"),
            F.lit("en").alias("lang"),
            F.timestamp_millis(time_ms).alias("timestamp"),
            F.array(F.lit("someone")).alias("mentions"),
            F.lit("neutral").alias("label"),
            F.lit("flat").alias("format"),
            F.timestamp_millis(time_ms).alias("landed_at"),
            F.timestamp_millis(time_ms).alias("ingested_at"),
            F.timestamp_millis(time_ms).alias("scored_at"),
            F.to_date(F.timestamp_millis(time_ms)).alias("tweet_date"),
        )
    )
    for table in (SILVER_TWEETS, GOLD_SENTIMENT):
        columns = [column.name for column in table.columns if column.name in rows.columns]
        (
            rows.select(columns)
            .write.format("delta")
            .mode("append")
            .option("dataChange", "false")
            .save(table.path(str(settings.lake)))
        )
