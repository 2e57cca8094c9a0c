"""Score the rows of a DataFrame in the Python workers of Spark."""

import hashlib
import math
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from spark_apps.cpu_limit import limits_removed_after
from spark_apps.labels import LABELS
from spark_apps.map_in_arrow import ArrowFunction
from spark_apps.scoring import worker
from spark_apps.scoring.description import DESCRIPTION_FILE, TOKENIZER_FILE, Description, ModelVersion
from spark_apps.scoring.scorer import Scorer
from spark_apps.spark_context import task_slots

# Maximum number of rows per task. Finished tasks count as progress: with larger tasks, a rescore would show none for
# minutes.
_TASK_ROWS = 4_000
# Rows scored at a time. Rows that a worker returns count as progress, too.
_PART_ROWS = 1_000
# The columns that scoring adds, with their Spark SQL types.
ADDED_COLUMNS = {
    "label": "STRING",
    "score": "FLOAT",
    **dict.fromkeys(LABELS, "FLOAT"),
    "model": "STRING",
    "model_version": "STRING",
    "scored_at": "TIMESTAMP",
    "cached": "BOOLEAN",
    "milliseconds": "FLOAT",
}
# `load_model` may run while a stream scores. One of the threads packs the model, and the other waits for the archive.
_distributing = threading.Lock()


def add_sentiment(tweets: DataFrame, model: ModelVersion, rows: int = 0) -> DataFrame:
    """Score the column `full_text` with `model`; return the rows with ADDED_COLUMNS.

    `cached` is true if the prediction is reused from an identical text; `milliseconds` is then null. Identical texts
    go to the same task, which scores them once.

    Each task runs its own session with `spark.task.cpus` threads, 1 by default: for short texts, two sessions with one
    thread have a higher throughput than one session with two threads.

    Args:
        tweets: rows to score.
        model: model that scores them.
        rows: approximate number of rows, which decides the number of tasks; 0 for one task in each slot.
    """
    spark = tweets.sparkSession
    archive = _distribute(spark, model)
    threads = _threads(spark)
    tasks = max(task_slots(spark), math.ceil(rows / _TASK_ROWS))
    added = StructType.fromDDL(", ".join(f"{name} {type_}" for name, type_ in ADDED_COLUMNS.items()))
    schema = StructType([*tweets.schema, *cast(StructType, added)])
    by_text = tweets.repartition(tasks, F.xxhash64("full_text"))
    scored = by_text.mapInArrow(_scorer(archive, threads, model.alias), schema)
    return scored.withColumn("model", F.lit(model.name)).withColumn("model_version", F.lit(model.version))


def worker_functions(spark: SparkSession, model: ModelVersion) -> tuple[ArrowFunction, Callable[[], Scorer]]:
    """Return two functions for a Python worker: one to score batches like `add_sentiment`, one to load the model."""
    archive, threads = _distribute(spark, model), _threads(spark)
    return _scorer(archive, threads, model.alias), partial(worker.load, archive, threads, model.alias)


def _threads(spark: SparkSession) -> int:
    return int(spark.sparkContext.getConf().get("spark.task.cpus", "1"))


def _scorer(archive: str, threads: int, alias: str) -> ArrowFunction:
    """Return the function for `mapInArrow`; it leaves the columns `model` and `model_version` null."""

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in _parts(batches):
            texts = [text or "" for text in batch.column("full_text").to_pylist()]
            worker.load(archive, threads, alias)  # not part of the time of the first part
            began = time.perf_counter()
            probabilities, cached = worker.score(archive, threads, alias, texts)
            each = (time.perf_counter() - began) * 1000 / max(1, cached.count(False))
            best = probabilities.argmax(axis=1)
            yield pa.RecordBatch.from_arrays(
                [
                    *batch.columns,
                    pa.array([LABELS[label] for label in best], pa.string()),
                    pa.array(probabilities.max(axis=1, initial=0.0)),
                    *(pa.array(np.ascontiguousarray(probabilities[:, column])) for column in range(len(LABELS))),
                    *(pa.nulls(len(texts), pa.string()) for _ in ("model", "model_version")),
                    pa.array([datetime.now(UTC)] * len(texts), pa.timestamp("us", "UTC")),
                    pa.array(cached, pa.bool_()),
                    pa.array([None if reused else each for reused in cached], pa.float32()),
                ],
                names=[*batch.schema.names, *ADDED_COLUMNS],
            )

    return score


def _parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Split batches into parts of _PART_ROWS rows."""
    with limits_removed_after():
        for batch in batches:
            for start in range(0, batch.num_rows, _PART_ROWS):
                yield batch.slice(start, _PART_ROWS)


def load_model(spark: SparkSession, model: ModelVersion) -> set[str]:
    """Start the Python workers and load `model` in each of them, before the first micro-batch needs them.

    Returns:
        The `Scorer.precision` of the workers, such as {"int8"}.
    """
    archive = _distribute(spark, model)
    threads = _threads(spark)
    workers = task_slots(spark)

    def load(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with limits_removed_after():
            for batch in batches:
                precision = worker.load(archive, threads, model.alias).precision
                yield pa.RecordBatch.from_pydict({"precision": [precision] * batch.num_rows})

    loaded = spark.range(0, workers, 1, workers).mapInArrow(load, "precision STRING").collect()
    return {row["precision"] for row in loaded}


def _distribute(spark: SparkSession, model: ModelVersion) -> str:
    """Send the model files to every executor, once per model; return the name of their folder in the workers.

    The name contains a hash of the model, because two registries may both have a version 1.
    """
    # The description has the checksums of all files; in older models, the checksum of the tokenizer file is missing.
    content = b"".join((model.folder / file).read_bytes() for file in (DESCRIPTION_FILE, TOKENIZER_FILE))
    name = f"{model.name}-{hashlib.sha256(content).hexdigest()[:16]}"
    context = spark.sparkContext
    with _distributing:
        if any(archive.rpartition("#")[2] == name for archive in context.listArchives):
            return name
        tar = Path(_archive_folder().name) / f"{name}.tar"
        # Uncompressed: float16 weights hardly shrink, and compression would delay the first batch.
        with tarfile.open(tar, "w") as files:
            for file in Description.read(model.folder).files():
                files.add(model.folder / file, file)
        context.addArchive(f"{tar}#{name}")
    return name


@cache
def _archive_folder() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of the model archives, which exists until exit: executors may start and fetch them later."""
    return tempfile.TemporaryDirectory(prefix="tweet-sentiment-packed-")
