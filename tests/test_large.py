"""Much at once: what lands as one file or document is carried over in parts, and a batch that takes long shows that."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest

from spark_apps.bronze import app as bronze
from spark_apps.lake.commits import open_table
from spark_apps.lake.status import read_status
from spark_apps.scoring import udf
from spark_apps.streaming import runner
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import Batch, BatchResult, always_ready
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS
from tests.conftest import Place
from tests.waiting import until

TWEETS = 9_000


def test_a_large_document_is_scored_in_parts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udf, "_TASK_ROWS", 1_000)
    tweets = [
        {"id": number, "full_text": f"a text that returns, number {number % 50}", "timestamp": "2026-01-01T00:00:00Z"}
        for number in range(1, TWEETS + 1)
    ]
    place.land("timeline.json", json.dumps(tweets))
    place.once(*place.layers())
    # Gold takes at least a file at a time. It reads those that were written, whatever they are joined to afterwards.
    silver = open_table(place.lake, SILVER_TWEETS)
    assert silver is not None
    (written,) = [commit for commit in silver.history() if commit["operation"] == "WRITE"]
    assert int(written["operationMetrics"]["numFiles"]) >= TWEETS / 4_000
    found = place.rows(GOLD_SENTIMENT)
    assert sorted(int(row["id"]) for row in found) == list(range(1, TWEETS + 1))
    assert read_status(place.lake).tables[GOLD_SENTIMENT.name].totals["rows"] == TWEETS


@pytest.mark.parametrize(("seconds", "advances"), [(0.5, True), (20, False)])
def test_a_batch_advances_while_its_tasks_end(
    place: Place, monkeypatch: pytest.MonkeyPatch, seconds: float, advances: bool
) -> None:
    monkeypatch.setattr(runner, "_TASK_POLL_SECONDS", 0.5)
    (stream,) = bronze.streams(place.spark, place.settings)
    place.land("1.json", "{}")
    heard: list[float] = []
    stop, began = threading.Event(), threading.Event()

    def slow(_: Batch) -> BatchResult:
        def wait(_: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            time.sleep(seconds)
            yield pa.RecordBatch.from_pydict({"id": [1]})

        began.set()
        place.spark.range(20, numPartitions=20).mapInArrow(wait, "id LONG").collect()
        return BatchResult({}, 0)

    running = StreamRunner(
        place.spark, place.lake, lambda _: None, stop, on_task=lambda _: heard.append(time.monotonic())
    )
    run = threading.Thread(target=running.run, args=([replace(stream, prepare=always_ready(slow))], "0 seconds"))
    run.start()
    try:
        assert began.wait(60)
        if advances:
            until(lambda: len(heard) >= 4, 30, "the batch advances")
        else:
            # That its stage has begun is heard once.
            time.sleep(6)
            assert len(heard) <= 1
    finally:
        stop.set()
        run.join(60)
