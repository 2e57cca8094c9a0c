"""Throughput of the streams."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import functions as F

from spark_apps import storage
from spark_apps.demo.generator import Generator, Mix
from spark_apps.registry.client import BUNDLED
from spark_apps.run import run
from spark_apps.scoring.description import ModelVersion
from spark_apps.scoring.scorer import Scorer
from spark_apps.scoring.udf import add_sentiment
from spark_apps.session import make_session
from spark_apps.settings import Settings, load
from spark_apps.streaming.stream import BatchReport
from tests.benchmarks.result import Line, Result
from tests.benchmarks.texts import texts

TWEETS = 50_000


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
    # The fastest way without Spark: one ONNX session per core, each with an equal share of short and long texts.
    scorers = [Scorer(BUNDLED, threads=1) for _ in range(os.cpu_count() or 1)]
    by_length = sorted(sample, key=len)

    def score_on_all_cores() -> None:
        with ThreadPoolExecutor(len(scorers)) as pool:
            list(pool.map(lambda core: scorers[core].score(by_length[core :: len(scorers)]), range(len(scorers))))

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
