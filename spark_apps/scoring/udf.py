"""Scoring inside Spark: rows with a text → the same rows with their sentiment."""

import hashlib
import math
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from spark_apps.labels import LABELS
from spark_apps.scoring import worker
from spark_apps.scoring.description import DESCRIPTION_FILE, TOKENIZER_FILE, Description, ModelVersion

# A task of more would show for minutes nothing of its batch's advance: a table that is read anew has large files.
_TASK_ROWS = 4_000
_ADDED = (
    "label STRING, score FLOAT, negative FLOAT, neutral FLOAT, positive FLOAT, "
    "model STRING, model_version STRING, scored_at TIMESTAMP, cached BOOLEAN"
)


def scored(tweets: DataFrame, model: ModelVersion) -> DataFrame:
    """Score the column `full_text`; add label, score, negative, neutral, positive, model, model_version, scored_at.

    A column `cached` tells whether the model was not asked, since the text was scored before.
    Each core scores by a session of its own: for short texts two sessions of one thread do more than one of two.
    Identical texts meet in one task, so they are scored once. The rows are counted first, to have tasks that end soon.
    """
    spark = tweets.sparkSession
    archive = _distribute(spark, model)
    threads = int(spark.sparkContext.getConf().get("spark.task.cpus", "1"))
    sessions = max(1, spark.sparkContext.defaultParallelism // threads)
    tasks = max(sessions, math.ceil(tweets.count() / _TASK_ROWS))
    schema = StructType([*tweets.schema, *cast(StructType, StructType.fromDDL(_ADDED))])
    spread = tweets.repartition(tasks, F.xxhash64("full_text"))
    rows = spread.mapInArrow(_scoring(archive, threads), schema)
    return rows.withColumn("model", F.lit(model.name)).withColumn("model_version", F.lit(model.version))


def _scoring(archive: str, threads: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            texts = [text or "" for text in batch.column("full_text").to_pylist()]
            found, cached = worker.score(archive, threads, texts)
            best = found.argmax(axis=1)
            yield pa.RecordBatch.from_arrays(
                [
                    *batch.columns,
                    pa.array([LABELS[label] for label in best], pa.string()),
                    pa.array(found.max(axis=1, initial=0.0)),
                    *(pa.array(np.ascontiguousarray(found[:, column])) for column in range(len(LABELS))),
                    *(pa.nulls(len(texts), pa.string()) for _ in ("model", "model_version")),
                    pa.array([datetime.now(UTC)] * len(texts), pa.timestamp("us", "UTC")),
                    pa.array(cached, pa.bool_()),
                ],
                names=[*batch.schema.names, "label", "score", *LABELS, "model", "model_version", "scored_at", "cached"],
            )

    return score


def _distribute(spark: SparkSession, model: ModelVersion) -> str:
    """Send the model's files to every executor, once a model; return the name of their folder in the workers.

    The name is that of the content: two registries may both have a version 1.
    """
    # The description names the content of the model's files; of the tokenizer's, not in every model.
    content = b"".join((model.folder / file).read_bytes() for file in (DESCRIPTION_FILE, TOKENIZER_FILE))
    name = f"{model.name}-{hashlib.sha256(content).hexdigest()[:16]}"
    context = spark.sparkContext
    if any(archive.rpartition("#")[2] == name for archive in context.listArchives):
        return name
    packed = Path(_packed().name) / f"{name}.tar"
    # Not compressed: float16 weights hardly shrink, and packing would delay the first batch.
    with tarfile.open(packed, "w") as files:
        for file in Description.read(model.folder).files():
            files.add(model.folder / file, file)
    context.addArchive(f"{packed}#{name}")
    return name


@cache
def _packed() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of packed models: executors fetch from it when their first task runs, until Spark ends."""
    return tempfile.TemporaryDirectory(prefix="tweet-sentiment-packed-")
