"""Queries that run together end together."""

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import DataFrame

from spark_apps.silver import app as silver_app
from spark_apps.streaming import query_group, scheduler
from spark_apps.streaming.poison import PoisonRow
from spark_apps.streaming.runner import StreamError
from spark_apps.streaming.stream import Batch, BatchReport, BatchResult, always_ready
from tests.conftest import Pipeline


def test_all_queries_stop_if_one_cannot_start(pipeline: Pipeline) -> None:
    first, second = pipeline.streams("bronze", "silver")

    def no_source() -> DataFrame:
        raise OSError("the storage does not answer")

    with pytest.raises(OSError, match="does not answer"):
        pipeline.runner().run([first, replace(second, source=no_source)], "0 seconds")
    assert not pipeline.spark.streams.active


def test_an_error_that_cannot_be_saved_is_named(pipeline: Pipeline) -> None:
    (stream,) = pipeline.streams("bronze")
    pipeline.land("1.json", "{}")

    def fail(_: Batch) -> BatchResult:
        # Nothing can be written to the lake any more, not even the error.
        shutil.rmtree(pipeline.lake)
        Path(pipeline.lake).touch()
        raise RuntimeError("No space left on device")

    with pytest.raises(
        StreamError, match=r"stream bronze, batch 0 failed: .*No space left.*the error was not saved to"
    ):
        pipeline.run_once(replace(stream, prepare=always_ready(fail)))


def test_an_interrupted_batch_is_not_searched_for_poison(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_group, "_STOP_SECONDS", 0.5)
    (stream,) = pipeline.streams("bronze")
    pipeline.land("1.json", "{}")
    stop, searched = threading.Event(), threading.Event()

    def interrupted(_: Batch) -> BatchResult:
        stop.set()
        time.sleep(2)  # the query is being stopped
        raise RuntimeError("the job was cancelled")

    def find_poison(_: Batch) -> list[PoisonRow]:
        searched.set()
        return []

    slow = replace(stream, prepare=always_ready(interrupted, find_poison))
    with pytest.raises(StreamError, match="was cancelled"):
        pipeline.runner(stop=stop).run([slow], "0 seconds")
    assert not searched.is_set()


def test_a_batch_of_bronze_has_the_files_that_landed_while_other_streams_ran(pipeline: Pipeline) -> None:
    """If Bronze planned its batch as soon as a file landed, the file after it would wait for another round."""
    bronze, silver = pipeline.streams("bronze", "silver")
    stop, waiting, landed = threading.Event(), threading.Event(), threading.Event()
    reports: list[BatchReport] = []

    def slow(batch: Batch) -> BatchResult:
        waiting.set()
        landed.wait(60)
        return BatchResult({"rows": batch.rows.count()}, 0, None)

    def report(report: BatchReport) -> None:
        reports.append(report)
        if sum(report.counts["rows"] for report in reports if report.stream == "bronze") == 3:
            stop.set()

    def land() -> None:
        waiting.wait(60)
        for name in ("2.json", "3.json"):
            pipeline.land(name, "{}")
            time.sleep(1)  # longer than Bronze needs to plan a batch
        landed.set()

    pipeline.land("1.json", "{}")
    landing = threading.Thread(target=land)
    landing.start()
    pipeline.runner(report, stop=stop).run([bronze, replace(silver, prepare=always_ready(slow))], "0 seconds")
    landing.join()
    assert [report.counts["rows"] for report in reports if report.stream == "bronze"] == [1, 2]


def test_a_stream_that_is_behind_reads_all_rows_before_the_first_stream_runs_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, it would stay behind: each batch would be planned before the rows of its round are written."""
    monkeypatch.setattr(silver_app, "_BRONZE_BYTES_PER_SLOT", 1)  # one file per batch
    monkeypatch.setattr(scheduler, "_HANDOVER_SECONDS", 5.0)  # slow machines plan slowly
    for number in range(3):
        pipeline.land(f"{number}.json", "{}")
        pipeline.run_once(*pipeline.streams("bronze"))
    order: list[str] = []
    stop = threading.Event()

    def report(report: BatchReport) -> None:
        order.append(report.stream)
        pipeline.land(f"{len(order)}-more.json", "{}")
        if len(order) == 7:
            stop.set()

    pipeline.land("more.json", "{}")
    pipeline.runner(report, stop=stop).run(pipeline.streams("bronze", "silver"), "0 seconds")
    assert "ssss" in "".join(name[0] for name in order), order
