"""The usual first attempt: a Spark UDF that calls a Hugging Face pipeline for one tweet at a time."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.registry.client import BUNDLED
from spark_apps.scoring.description import ModelVersion
from spark_apps.scoring.udf import add_sentiment
from spark_apps.session import make_session
from spark_apps.settings import load
from tests.benchmarks.checkpoints import roberta_base, torch_model
from tests.benchmarks.result import Line, Result
from tests.benchmarks.scorer import float_folder
from tests.benchmarks.streams import timed
from tests.benchmarks.texts import texts, with_retweets

_TWEETS, _FEW = 2_500, 120


def naive() -> Result:
    """The same tweets in Spark, scored by a UDF with a Hugging Face pipeline one at a time, and by Gold."""
    spark = make_session(load())
    try:
        with tempfile.TemporaryDirectory(prefix="bench-torch-") as scratch:
            home = Path(scratch)
            folders = {"float32": float_folder(BUNDLED, home / "float"), "as bundled": BUNDLED}
            gold = {name: _gold(name, folder) for name, folder in folders.items()}
            pipeline, seed = _pipeline(torch_model(BUNDLED, home / "torch")), roberta_base(home / "seed", BUNDLED)
            scorers = {"a pipeline": pipeline, **{f"Gold, {name}": scorer for name, scorer in gold.items()}}
            fresh, repeating = texts(_TWEETS), with_retweets(texts(_TWEETS), share=0.3, among=400)
            first = _rate(spark, fresh[:_FEW], _pipeline(seed))
            rates = {
                repetition: {name: _rate(spark, sample, scorer) for name, scorer in scorers.items()}
                for repetition, sample in (("no text twice", fresh), ("30 % retweets", repeating))
            }
    finally:
        spark.stop()
    lines = [Line("a pipeline of the size of roberta-base in a UDF", f"{first:,.1f} tweets/s")]
    lines += [
        Line(
            f"{name}{' in a UDF' if name == 'a pipeline' else ''}, {repetition}",
            f"{rate:,.0f} tweets/s",
            f"{rate / by_name['a pipeline']:.1f} × the pipeline, {rate / first:.0f} × roberta-base",
        )
        for repetition, by_name in rates.items()
        for name, rate in by_name.items()
    ]
    return Result(lines, {"roberta-base": first, **rates})


def _pipeline(folder: Path) -> Callable[[DataFrame], DataFrame]:
    udf: Any = naive_udf(str(folder))
    return lambda tweets: tweets.select(udf("full_text"))


def _gold(name: str, folder: Path) -> Callable[[DataFrame], DataFrame]:
    return lambda tweets: add_sentiment(tweets, ModelVersion("bench", name, folder))


def _rate(spark: SparkSession, sample: list[str], scorer: Callable[[DataFrame], DataFrame]) -> float:
    """Return the tweets/s of `scorer`: the median of three runs, each with different texts."""
    frame = spark.createDataFrame([(text,) for text in sample], "full_text STRING").repartition(2).cache()
    spent = []
    # The first run is not counted: each worker loads its model.
    for _ in range(4):
        # Different texts in each run: the workers cache the scores of previous runs.
        fresh = frame.select(F.concat("full_text", F.lit(f" {time.monotonic_ns()}")).alias("full_text"))
        spent.append(timed(scorer(fresh).write.format("noop").mode("overwrite").save))
    frame.unpersist()
    return len(sample) / float(np.median(spent[1:]))


# Pipelines of this worker by folder, for all its tasks.
_loaded: dict[str, Any] = {}


def naive_udf(folder: str) -> Any:
    """Return a UDF text → label; each worker loads the pipeline once, with one thread for its core."""
    return F.udf(lambda text: label(folder, text), "string")


def label(folder: str, text: str) -> str:
    if folder not in _loaded:
        import torch
        from transformers import pipeline

        torch.set_num_threads(1)
        _loaded[folder] = pipeline("text-classification", model=folder, tokenizer=folder)
    return str(_loaded[folder](text, truncation=True)[0]["label"])
