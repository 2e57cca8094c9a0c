"""Large input is processed in parts, a long batch reports its progress, and a batch may span hundreds of days."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from spark_apps.bronze import app as bronze
from spark_apps.lake.commits import open_table
from spark_apps.lake.status import read_status
from spark_apps.scoring import udf
from spark_apps.snowflake import new_id
from spark_apps.streaming import query_group
from spark_apps.streaming.stream import Batch, BatchResult, always_ready
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS
from tests.conftest import Pipeline
from tests.waiting import until

TWEETS = 9_000


def test_a_large_document_is_scored_in_parts(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udf, "_TASK_ROWS", 1_000)
    tweets = [
        {"id": number, "full_text": f"a text that returns, number {number % 50}", "timestamp": "2026-01-01T00:00:00Z"}
        for number in range(1, TWEETS + 1)
    ]
    pipeline.land("timeline.json", json.dumps(tweets))
    pipeline.run_once()
    # A Gold batch reads whole files: several files allow several batches. Gold reads them before the compaction.
    silver = open_table(pipeline.lake, SILVER_TWEETS)
    assert silver is not None
    (written,) = [commit for commit in silver.history() if commit["operation"] == "WRITE"]
    assert int(written["operationMetrics"]["numFiles"]) >= TWEETS / 4_000
    rows = pipeline.rows(GOLD_SENTIMENT)
    assert sorted(int(row["id"]) for row in rows) == list(range(1, TWEETS + 1))
    assert read_status(pipeline.lake).tables[GOLD_SENTIMENT.name].totals["rows"] == TWEETS


@pytest.mark.parametrize(("task_seconds", "tasks_end"), [(0.5, True), (10, False)])
def test_a_batch_reports_progress_only_when_tasks_end(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, task_seconds: float, tasks_end: bool
) -> None:
    monkeypatch.setattr(query_group, "_TASK_POLL_SECONDS", 0.5)
    monkeypatch.setattr(query_group, "_STOP_SECONDS", 1)
    (stream,) = bronze.streams(pipeline.spark, pipeline.settings)
    pipeline.land("1.json", "{}")
    reports: list[float] = []
    stop, began = threading.Event(), threading.Event()

    def slow(_: Batch) -> BatchResult:
        def wait(_: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            time.sleep(task_seconds)
            yield pa.RecordBatch.from_pydict({"id": [1]})

        began.set()
        pipeline.spark.range(20, numPartitions=20).mapInArrow(wait, "id LONG").collect()
        return BatchResult({}, 0)

    runner = pipeline.runner(stop=stop, on_task=lambda _: reports.append(time.monotonic()))
    run = threading.Thread(target=runner.run, args=([replace(stream, prepare=always_ready(slow))], "0 seconds"))
    run.start()
    try:
        assert began.wait(60)
        if tasks_end:
            until(lambda: len(reports) >= 4, 120, "four reports of progress")
        else:
            # Six polls without progress, except for the start of the stage and the rows that the workers received.
            time.sleep(3)
            assert len(reports) <= 2
    finally:
        stop.set()
        run.join(60)


def test_a_batch_may_span_hundreds_of_days(pipeline: Pipeline) -> None:
    """With a condition for each day, Spark failed to compile the look-up of existing ids."""
    first = datetime(2020, 1, 1, tzinfo=UTC)
    tweets = [
        {
            "id": new_id(first + timedelta(days=day)),
            "full_text": "a text",
            "timestamp": str(first + timedelta(days=day)),
        }
        for day in range(400)
    ]
    for name, landed in (("a.json", tweets[:200]), ("b.json", tweets)):
        pipeline.land(name, json.dumps(landed))
        began = time.monotonic()
        pipeline.run_once(*pipeline.streams("bronze", "silver"))
        assert time.monotonic() - began < 240
    totals = read_status(pipeline.lake).tables[SILVER_TWEETS.name].totals
    assert (totals["rows"], totals["duplicates"]) == (400, 200)
