"""Files, documents and texts that end the task which reads them: only these are left out, and the stream continues."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from pyspark import cloudpickle
from pyspark.sql import DataFrame, SparkSession

from spark_apps.bronze import poison as bronze_poison
from spark_apps.bronze.reader import ReadLimits
from spark_apps.cpu_limit import limit_cpu_time
from spark_apps.dashboard.queries import Filters, latest, totals
from spark_apps.gold.rebuild import rebuild
from spark_apps.gold.rescore import rescore
from spark_apps.lake.failures import FailedBatch, read_failures
from spark_apps.lake.status import read_status
from spark_apps.map_in_arrow import ArrowFunction
from spark_apps.registry.client import BUNDLED
from spark_apps.scoring import udf
from spark_apps.scoring.description import ModelVersion
from spark_apps.settings import MODEL_NAME
from spark_apps.silver import transform
from spark_apps.streaming import checkpoint
from spark_apps.streaming.poison import PoisonRow, find_poison_rows
from spark_apps.streaming.runner import StreamError
from spark_apps.streaming.stream import Batch, BatchResult, always_ready
from spark_apps.tables import BRONZE_TWEETS, GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, QUARANTINE, SILVER_TWEETS
from tests.conftest import Pipeline
from tests.lakes import flat_tweet

POISON = "POISON"
# Python workers cannot import this module: pickle its functions by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]


def poisonous(function: ArrowFunction, action: Callable[[], object]) -> ArrowFunction:
    """Return a function like `function` that calls `action` before it reads a row with POISON.

    A row that is already marked as `internal_error` is not read, so it does not call `action`.
    """

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                if POISON in str(row) and "internal_error" not in str(row):
                    action()
            yield from function(iter([batch]))

    return read


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def poison_each(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, action: Callable[[], object] = kill) -> None:
    """Make the functions that `module.name` returns call `action` before a row with POISON."""
    make = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: poisonous(make(*args), lambda: action()))


def spin() -> None:
    limit_cpu_time(0.1)
    while True:
        pass


def identity(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def texts(spark: SparkSession, *texts: str) -> DataFrame:
    return spark.createDataFrame(list(enumerate(texts)), "number INT, text STRING").coalesce(1)


def numbers(rows: Sequence[PoisonRow]) -> list[str | int]:
    return [row.key[0] for row in rows]


@pytest.mark.parametrize(
    ("action", "cause"),
    [
        (kill, "the process was ended by SIGKILL"),
        (lambda: os._exit(7), "the process exited with 7"),
        (lambda: [][1], "IndexError: list index out of range"),
        (spin, "it took more than 60 seconds of CPU time"),
        (lambda: bytearray(4 << 30), "MemoryError: "),
    ],
)
def test_each_row_that_ends_its_task_is_found(spark: SparkSession, action: Callable[[], object], cause: str) -> None:
    rows = texts(spark, POISON, "fine", "fine", POISON, "fine")
    poison = find_poison_rows(rows, ["number"], poisonous(identity, action))
    assert poison == [PoisonRow((0,), cause), PoisonRow((3,), cause)]


def test_a_transient_fault_is_not_poison(spark: SparkSession, tmp_path: Any) -> None:
    def fail_once() -> None:
        if not (tmp_path / "failed").exists():
            (tmp_path / "failed").touch()
            os._exit(1)

    def fail_to_read() -> None:
        raise OSError("the storage does not answer")

    for action in (fail_once, fail_to_read):
        assert find_poison_rows(texts(spark, "fine", POISON, "fine"), ["number"], poisonous(identity, action)) == []


def test_no_row_is_at_fault_if_the_task_cannot_begin(spark: SparkSession) -> None:
    def fail() -> None:
        raise OSError("no model")

    with pytest.raises(Exception, match=r"cannot begin: OSError: no model"):
        find_poison_rows(texts(spark, "fine"), ["number"], identity, warm_up=fail)


def test_the_cpu_limit_is_removed_after_a_task(spark: SparkSession) -> None:
    def remaining(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_pydict({"seconds": [signal.getitimer(signal.ITIMER_PROF)[0]] * batch.num_rows})

    def limits() -> set[float]:
        rows = spark.range(0, 2, 1, 2).mapInArrow(remaining, "seconds DOUBLE").collect()
        return {row["seconds"] for row in rows}

    model = ModelVersion(MODEL_NAME, "1", BUNDLED)
    udf.load_model(spark, model)
    assert limits() == {0.0}
    udf.add_sentiment(spark.createDataFrame([("a text",)], "full_text STRING"), model).collect()
    assert limits() == {0.0}


def test_a_poison_document_is_quarantined_with_its_position(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [flat_tweet(number, full_text=POISON if number == 3 else "fine") for number in range(1, 6)]
    file = pipeline.land("tweets.json", "".join(lines))
    pipeline.run_once(*pipeline.streams("bronze"))
    with monkeypatch.context() as patch:
        poison_each(patch, transform, "_reader")
        (report,) = pipeline.run_once(*pipeline.streams("silver"))
    assert {name: count for name, count in report.counts.items() if count} == {
        "documents": 5,
        "rows": 4,
        "quarantine": 1,
    }
    assert sorted(row["id"] for row in pipeline.rows(SILVER_TWEETS)) == ["1", "2", "4", "5"]
    (row,) = pipeline.rows(QUARANTINE)
    assert (row["raw"], row["reason"], row["source_file"]) == (lines[2].strip(), "internal_error", f"file:{file}")
    assert row["detail"] == "document 2 ended the task that read it: the process was ended by SIGKILL"
    failure = read_failures(pipeline.lake, ["silver"])["silver"]
    assert failure.batch == FailedBatch(0, f"document 2 of file:{file}")
    assert failure.cause == "left out, and the stream continues: the process was ended by SIGKILL"


def test_a_failure_names_its_batch_and_the_files_that_the_batch_was_reading(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 6):
        pipeline.land(f"{number}.json", flat_tweet(number))
    files = f"file:{pipeline.landing}"

    def fail(*_: Any) -> None:
        raise RuntimeError("a fault of the program")

    for layer, target, expected in (
        (
            "bronze",
            "spark_apps.bronze.app._Bronze._write",
            f"{files}/1.json, {files}/2.json, {files}/3.json and 2 more",
        ),
        (
            "silver",
            "spark_apps.silver.app._write",
            f"documents of {files}/1.json, {files}/2.json, {files}/3.json and 2",
        ),
        ("gold", "spark_apps.gold.app.new_sentiment", ""),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, fail)
            with pytest.raises(StreamError, match=f"stream {layer}, batch 0.*a fault of the program"):
                pipeline.run_once(*pipeline.streams(layer))
        failure = read_failures(pipeline.lake, [layer])[layer]
        assert failure.batch and failure.batch.id == 0 and failure.batch.input.startswith(expected)
        assert "a fault of the program" in failure.cause
        pipeline.run_once(*pipeline.streams(layer))


def test_a_repeated_batch_leaves_out_the_same_documents(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure between the two tables of Silver: the poison is already in quarantine and must not become a tweet."""
    pipeline.land("tweets.json", flat_tweet(1) + flat_tweet(2, full_text=POISON))
    pipeline.run_once(*pipeline.streams("bronze"))
    (stream,) = pipeline.streams("silver")
    with monkeypatch.context() as patch:
        poison_each(patch, transform, "_reader")
        patch.setattr("spark_apps.silver.app.distinct_tweets", lambda *_: 1 / 0)
        with pytest.raises(StreamError):
            pipeline.run_once(stream)
    # The next run reads the document without a fault.
    pipeline.run_once(*pipeline.streams("silver"))
    totals = read_status(pipeline.lake).tables
    assert totals["silver/quarantine"].totals == {"internal_error": 1}
    assert {name: count for name, count in totals["silver/tweets"].totals.items() if count} == {
        "documents": 2,
        "rows": 1,
    }


def test_a_poison_file_is_quarantined(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.land(f"{POISON}.json", flat_tweet(1))
    pipeline.land("fine.json", flat_tweet(2) + flat_tweet(3))
    (stream,) = pipeline.streams("bronze")
    with monkeypatch.context() as patch:
        poison_each(patch, bronze_poison, "_reader")
        # The tasks of the source import their code, without the patches of this process.
        source = stream.source
        schema = source().schema
        dying = replace(stream, source=lambda: source().mapInArrow(poisonous(identity, kill), schema))
        pipeline.run_once(dying)
    failure = read_failures(pipeline.lake, ["bronze"])["bronze"]
    assert failure.batch and failure.batch.input.endswith(f"/{POISON}.json")
    rows = {(row["source_file"].rpartition("/")[2], row["problem"], row["position"]) for row in bronze_rows(pipeline)}
    assert rows == {(f"{POISON}.json", "internal_error", 0), ("fine.json", None, 0), ("fine.json", None, 1)}
    (detail,) = [row["detail"] for row in bronze_rows(pipeline) if row["problem"]]
    assert detail == "reading the file ended its task: the process was ended by SIGKILL"
    pipeline.land("later.json", flat_tweet(4))
    assert [report.counts["rows"] for report in pipeline.run_once(stream)] == [1]


def test_only_the_rest_of_a_poison_file_is_left_out(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file ends the task of its second part: the documents of the first one stay."""
    pipeline.settings.max_task_documents = 2
    pipeline.land(f"{POISON}.json", "".join(flat_tweet(number) for number in range(5)))
    (stream,) = pipeline.streams("bronze")
    source = stream.source
    schema = source().schema

    def second_part(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                if POISON in row["source_file"] and row["position"] == 2 and row["problem"] is None:
                    kill()
            yield batch

    died = replace(stream, source=lambda: source().mapInArrow(second_part, schema))
    with monkeypatch.context() as patch:
        make = bronze_poison._reader

        def dying_reader(limits: ReadLimits) -> ArrowFunction:
            read = make(limits)
            return lambda rows: second_part(read(rows))

        patch.setattr(bronze_poison, "_reader", dying_reader)
        reports = pipeline.run_once(died)
    assert [report.counts["rows"] for report in reports] == [2, 1]
    rows = sorted((row["position"], row["problem"]) for row in bronze_rows(pipeline))
    assert rows == [(0, None), (1, None), (2, "internal_error")]
    pipeline.land("later.json", flat_tweet(4))
    assert [report.counts["rows"] for report in pipeline.run_once(stream)] == [1]


def bronze_rows(pipeline: Pipeline) -> list[Any]:
    return pipeline.rows(BRONZE_TWEETS)


@pytest.mark.slow
def test_a_poison_text_gets_no_label_until_a_rescore_can_score_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    tweets = [flat_tweet(number, full_text=f"@{POISON} hi" if number == 2 else "@a I love this") for number in (1, 2)]
    pipeline.land("tweets.json", "".join(tweets))
    with monkeypatch.context() as patch:
        poison_each(patch, udf, "_scorer")
        reports = pipeline.run_once()
    assert [report.counts for report in reports if report.stream == "gold"] == [{"rows": 2, "unscored": 1, "erased": 0}]
    failure = read_failures(pipeline.lake, ["gold"])["gold"]
    assert failure.batch == FailedBatch(0, "tweets 2")
    labels = {row["id"]: row["label"] for row in pipeline.rows(GOLD_SENTIMENT)}
    assert labels == {"1": "positive", "2": None}
    assert totals(pipeline.lake, Filters()) == {"negative": 0, "neutral": 0, "positive": 1}
    assert list(latest(pipeline.lake, read_status(pipeline.lake), Filters())["id"]) == ["1"]
    assert [(row["label"], row["tweets"]) for row in pipeline.rows(GOLD_TRENDS)] == [("positive", 1)]
    assert [(row["mention"], row["total"]) for row in pipeline.rows(GOLD_MENTIONS)] == [("a", 1)]
    # Another model version fails on the text too; a third version does not.
    for name, action, label in (("other", kill, None), ("third", lambda: None, "neutral")):
        with monkeypatch.context() as patch:
            poison_each(patch, udf, "_scorer", action)
            model = ModelVersion(MODEL_NAME, name, BUNDLED)
            patch.setattr("spark_apps.gold.rewrite.production_model", lambda *_, model=model: model)
            rescore(pipeline.spark, pipeline.settings, None, lambda _: None, threading.Event())
        labels = {row["id"]: row["label"] for row in pipeline.rows(GOLD_SENTIMENT)}
        assert labels == {"1": "positive", "2": label}
    # A rebuild that scores the text again leaves it without a label, too.
    pipeline.spark.sql(f"DELETE FROM delta.`{GOLD_SENTIMENT.path(pipeline.lake)}`")
    with monkeypatch.context() as patch:
        poison_each(patch, udf, "_scorer")
        rebuild(pipeline.spark, pipeline.settings, None, lambda _: None, threading.Event())
    labels = {row["id"]: row["label"] for row in pipeline.rows(GOLD_SENTIMENT)}
    assert labels == {"1": "positive", "2": None}


def test_without_a_poison_row_the_first_error_is_reported(pipeline: Pipeline) -> None:
    (stream,) = pipeline.streams("bronze")
    pipeline.land("tweets.json", flat_tweet(1))

    def fail(_: Batch) -> BatchResult:
        raise RuntimeError("the disk is full")

    def fail_to_find(_: Batch) -> list[PoisonRow]:
        raise OSError("another error")

    for process in (always_ready(fail), always_ready(fail, lambda _: []), always_ready(fail, fail_to_find)):
        failing = replace(stream, prepare=process)
        with pytest.raises(StreamError, match="the disk is full"):
            pipeline.run_once(failing)
    assert checkpoint.read_poison(pipeline.spark, pipeline.lake, "bronze") == (-1, ())
