"""`make bench`: the figures of the README, each with the ways that it is compared with, in one run on one machine.

    python -m tests.benchmarks [throughput] [latency] [growth] [naive] [scorer]

Machines differ and are noisy: read the ratios.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_apps import landing as landings
from spark_apps.dashboard import data
from spark_apps.demo.generator import Generator, Mix
from spark_apps.gold import app as gold
from spark_apps.model.registry import BUNDLED
from spark_apps.run import run
from spark_apps.scoring.description import ModelVersion
from spark_apps.scoring.scorer import Scorer
from spark_apps.scoring.udf import scored
from spark_apps.session import make_session
from spark_apps.settings import Settings, load
from spark_apps.silver import app as silver
from spark_apps.stream import BatchReport, Streams
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS

TWEETS = 50_000
LATENCY_SECONDS = 120
WARM_UP_SECONDS = 45
GROWTH_ROWS = (10**5, 10**6, 10**7)


@contextmanager
def place() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        (Path(home) / "landing").mkdir()
        yield load(landing=f"{home}/landing", lake=f"{home}/lake", trigger="0 seconds")


def texts(count: int) -> list[str]:
    """Return `count` different texts, of the length of tweets."""
    from spark_apps.demo import texts as words

    random = Random(1)
    moods, topics = ["negative", "neutral", "positive"], list(words.TOPICS)
    return [
        f"{words.write(random, random.choice(moods), 'en', random.choice(topics))} {number}" for number in range(count)
    ]


def throughput() -> None:
    """50,000 tweets through all three layers; Gold inside Spark over the scorer alone."""
    with place() as settings:
        for file in Generator(1, mix=Mix(retweets=0, duplicates=0, malformed=0)).files(TWEETS, 5_000):
            landings.put(str(settings.landing), file.name, file.data)
        seconds = {"bronze": 0.0, "silver": 0.0, "gold": 0.0, "gold-aggregates": 0.0}

        def add(report: BatchReport) -> None:
            seconds[report.stream] += report.seconds

        result = run([], settings, once=True, on_batch=add)
        spent = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
        print(f"{result['gold']:,} tweets through all layers, start of Spark included: {result['seconds']} s ({spent})")

    sample = texts(8_000)
    spark = make_session(load())
    try:
        # Side by side, in turns: alone, in Spark, alone, in Spark.
        model = ModelVersion("bench", "1", BUNDLED)
        frame = spark.createDataFrame([(text,) for text in sample], "full_text STRING").repartition(2).cache()
        frame.count()
        scored(frame.limit(200), model).write.format("noop").mode("overwrite").save()
        alone, inside = [], []
        for turn in range(3):
            alone.append(len(sample) / _timed(lambda: _score_on_all_cores(sample)))
            # Other texts each time: the workers remember what they have seen.
            fresh = frame.select(F.concat("full_text", F.lit(f" {turn}")).alias("full_text"))
            inside.append(
                len(sample)
                / _timed(lambda fresh=fresh: scored(fresh, model).write.format("noop").mode("overwrite").save())  # type: ignore[misc]
            )
        ratio = np.median(inside) / np.median(alone)
        print(
            f"tweets/s: the scorer alone on all cores {np.median(alone):,.0f}, Gold in Spark {np.median(inside):,.0f}"
            f" = {ratio:.0%} of it"
        )
    finally:
        spark.stop()


_scorers: list[Scorer] = []


def _score_on_all_cores(sample: list[str]) -> None:
    """Score as fast as the scorer goes without Spark: a session a core, the texts dealt out in order of length."""
    from concurrent.futures import ThreadPoolExecutor
    from os import cpu_count

    cores = cpu_count() or 1
    while len(_scorers) < cores:
        _scorers.append(Scorer(BUNDLED, threads=1))
    dealt = sorted(sample, key=len)
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda core: _scorers[core].score(dealt[core::cores]), range(cores)))


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def latency() -> None:
    """Landing → gold at 80 % of the peak, by the model and by a constant in its place."""
    peak = _peak()
    print(f"peak of the whole chain on this machine: {peak:,.0f} tweets/s")
    for name, replaced in (("the model", False), ("a constant scorer", True)):
        with place() as settings:
            stop = threading.Event()
            feeder = threading.Thread(target=_feed, args=(str(settings.landing), 0.8 * peak, stop))
            feeder.start()
            threading.Timer(WARM_UP_SECONDS + LATENCY_SECONDS, stop.set).start()
            began = datetime.now(UTC).timestamp() + WARM_UP_SECONDS
            with (
                mock.patch.object(gold, "scored", _constant) if replaced else mock.patch.object(gold, "scored", scored)
            ):
                run([], settings, once=False, on_batch=lambda _: None, stop=stop)
            feeder.join()
            sql = f"""WITH waited AS (SELECT extract(epoch FROM scored_at) - extract(epoch FROM landed_at) AS seconds
                                      FROM t WHERE extract(epoch FROM landed_at) >= {began})
                      SELECT approx_percentile_cont(seconds, 0.5) AS p50, approx_percentile_cont(seconds, 0.95) AS p95,
                             count(*) AS tweets FROM waited"""
            found = data._query(str(settings.lake), GOLD_SENTIMENT, sql).iloc[0]
            print(
                f"landing → gold at {0.8 * peak:,.0f} tweets/s with {name}: median {found['p50']:.1f} s, "
                f"95 % {found['p95']:.1f} s ({found['tweets']:,.0f} tweets)"
            )


def _peak() -> float:
    """Return the tweets/s of the chain when there is always more to do."""
    with place() as settings:
        stop = threading.Event()
        done: list[tuple[float, int]] = []
        for file in Generator(2).files(40_000, 2_000):
            landings.put(str(settings.landing), file.name, file.data)

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
    )  # fmt: skip


def _feed(landing: str, rate: float, stop: threading.Event) -> None:
    start = datetime.now(UTC)
    generator = Generator(3, start, Mix(rate=rate, burst_factor=1, retweets=0.3))
    due = time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        file = generator.tick(1)
        landings.put(landing, file.name, file.data)
        due += 1


def growth() -> None:
    """A Silver and a Gold batch of 1,000 tweets on tables of 10⁵, 10⁶ and 10⁷ rows."""
    with place() as settings:
        spark = make_session(settings)
        try:
            generator = Generator(4, datetime.now(UTC))
            _batch(spark, settings, generator)
            filled = 0
            for rows in GROWTH_ROWS:
                _fill(spark, settings, filled, rows)
                filled = rows
                _batch(spark, settings, generator)
                found = [_batch(spark, settings, generator) for _ in range(5)]
                medians = {name: np.median([times[name] for times in found]) for name in ("silver", "gold")}
                print(f"a batch of 1,000 tweets on {rows:>10,} rows: " + ", ".join(
                    f"{name} {seconds:.2f} s" for name, seconds in medians.items()))  # fmt: skip
        finally:
            spark.stop()


def _batch(spark: SparkSession, settings: Settings, generator: Generator) -> dict[str, float]:
    for file in generator.files(1_000):
        landings.put(str(settings.landing), file.name, file.data)
    seconds: dict[str, float] = {}
    from spark_apps.bronze import app as bronze

    streams = [*bronze.streams(spark, settings), *silver.streams(spark, settings), *gold.streams(spark, settings)]
    Streams(spark, str(settings.lake), lambda report: seconds.__setitem__(report.stream, report.seconds)).run(
        streams, None
    )
    return seconds


def _fill(spark: SparkSession, settings: Settings, first: int, last: int) -> None:
    """Add rows first … last of one day each 100,000, with ids as they would be, to silver and gold.

    They are marked as a rearrangement, so that Gold does not read them as new tweets.
    """
    day_ms = 86_400_000
    time_ms = F.lit(int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)) + (F.col("n") * (day_ms // 100_000))
    rows = (
        spark.range(first, last)
        .withColumnRenamed("id", "n")
        .select(
            (((time_ms - 1_288_834_974_657) * (1 << 22)) + (F.col("n") % 4_000_000)).cast("string").alias("id"),
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


def naive() -> None:
    """The same tweets and weights by a UDF that calls a Hugging Face pipeline, one tweet at a time; no cache."""
    from spark_apps.model.export import export
    from tests.benchmarks.naive import naive_udf, torch_model

    spark = make_session(load())
    try:
        with tempfile.TemporaryDirectory(prefix="bench-torch-") as home:
            torch = torch_model(BUNDLED, Path(home) / "torch")
            export(torch, Path(home) / "int8", "int8", texts(1_000), {})
            models = {"Gold": BUNDLED, "Gold with int8": Path(home) / "int8"}
            for name, sample in (("no text twice", texts(2_500)), ("30 % retweets", _with_retweets(2_500))):
                rates = _side_by_side(spark, sample, naive_udf(str(torch)), models)
                slow = rates.pop("naive")
                found = ", ".join(f"{way} {rate:,.0f} = {rate / slow:.1f} ×" for way, rate in rates.items())
                print(f"tweets/s, {name}: a pipeline in a UDF {slow:,.0f}, {found}")
    finally:
        spark.stop()


def scorer() -> None:
    """The bundled weights on one core, turn about: the processor's limit, int8, a cache, pipelines, and memory."""
    from tests.benchmarks import ways

    ways.main(BUNDLED, texts(1_500))


def _with_retweets(count: int) -> list[str]:
    """Return texts of which 30 % are those of a tweet among the 400 before."""
    random = Random(2)
    found: list[str] = []
    for text in texts(count):
        found.append(random.choice(found[-400:]) if found and random.random() < 0.3 else text)
    return found


def _side_by_side(spark: SparkSession, sample: list[str], label: Any, models: Mapping[str, Path]) -> dict[str, float]:
    """Return the tweets/s of the naive way and of Gold with each model: medians of three turns, each of other texts."""
    frame = spark.createDataFrame([(text,) for text in sample], "full_text STRING").repartition(2).cache()
    rates: dict[str, float] = {}
    for name in ("naive", *models):
        spent = []
        # A worker holds one model, and loads it in the first turn, which is not counted.
        for _ in range(4):
            # The workers remember what they have scored, for the sample before too.
            fresh = frame.select(F.concat("full_text", F.lit(f" {time.monotonic_ns()}")).alias("full_text"))
            way = (
                scored(fresh, ModelVersion("bench", name, models[name]))
                if name in models
                else fresh.select(label("full_text"))
            )
            spent.append(_timed(lambda way=way: way.write.format("noop").mode("overwrite").save()))  # type: ignore[misc]
        rates[name] = len(sample) / float(np.median(spent[1:]))
    frame.unpersist()
    return rates


def main() -> None:
    known = {"throughput": throughput, "latency": latency, "growth": growth, "naive": naive, "scorer": scorer}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *known], help="those to run; all by default")
    for name in parser.parse_args().names or known:
        print(f"\n{name}: {known[name].__doc__}", flush=True)
        known[name]()


if __name__ == "__main__":
    main()
