"""The Bronze stream writes each document once, for any file name and any number of restarts."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import DataFrame

from spark_apps.bronze import app
from spark_apps.lake import delta_tables
from spark_apps.landing.log import LandingLog
from spark_apps.streaming.runner import StreamError
from spark_apps.streaming.stream import Batch, BatchResult, Stream, always_ready
from spark_apps.tables import BRONZE_TWEETS
from tests.bronze.archives import zip_archive
from tests.conftest import Pipeline

NAMES = [
    "plain.json",
    "a space.json",
    "a:colon.json",
    "日本 ☃.json",
    "per%20cent+#&?.json",
    "glob[*]{x}.json",
    "sub/dir.json",
]


def bronze(pipeline: Pipeline) -> list[tuple[str | None, str, str | None]]:
    rows = delta_tables.read(pipeline.spark, pipeline.lake, BRONZE_TWEETS).orderBy("source_file", "position").collect()
    return [(row["raw"], Path(row["source_file"]).name, row["problem"]) for row in rows]


def bronze_streams(pipeline: Pipeline) -> list[Stream]:
    return app.streams(pipeline.spark, pipeline.settings)


def test_files_with_any_name_are_read_exactly_once(pipeline: Pipeline) -> None:
    for name in NAMES:
        pipeline.land(name, f'{{"from": "{name}"}}\n')
    pipeline.run_once(*bronze_streams(pipeline))
    expected = sorted((f'{{"from": "{name}"}}', Path(name).name, None) for name in NAMES)
    assert sorted(bronze(pipeline), key=str) == sorted(expected, key=str)

    pipeline.land("later.json", '{"from": "later"}')
    reports = pipeline.run_once(*bronze_streams(pipeline))
    assert [report.counts["rows"] for report in reports] == [1]
    assert len(bronze(pipeline)) == len(NAMES) + 1
    assert pipeline.run_once(*bronze_streams(pipeline)) == []


def test_an_unreadable_file_becomes_a_row(pipeline: Pipeline) -> None:
    pipeline.land("empty.json", "")
    pipeline.land("binary.json", bytes(range(256)))
    pipeline.land("bad.json.gz", b"\x1f\x8b\x08rubbish")
    pipeline.land("good.json", '{"id": 1}\n{"id": 2}\n')
    pipeline.run_once(*bronze_streams(pipeline))
    rows = bronze(pipeline)
    assert sorted((name, problem) for _, name, problem in rows) == [
        ("bad.json.gz", "bad_gzip"),
        ("binary.json", "binary"),
        ("empty.json", "empty_file"),
        ("good.json", None),
        ("good.json", None),
    ]
    assert [raw for raw, name, _ in rows if name == "good.json"] == ['{"id": 1}', '{"id": 2}']


def test_hidden_names_and_markers_are_not_read(pipeline: Pipeline) -> None:
    for name in (".hidden.json", "_under.json", "_SUCCESS"):
        (Path(pipeline.landing) / name).write_text('{"id": 1}')
    pipeline.run_once(*bronze_streams(pipeline))
    assert bronze(pipeline) == [('{"id": 1}', "_under.json", None)]


def test_a_file_that_disappears_after_listing_does_not_affect_other_files(pipeline: Pipeline) -> None:
    (stream,) = bronze_streams(pipeline)
    gone = Path(pipeline.land("gone.json", '{"id": 1}'))
    pipeline.land("here.json", '{"id": 2}')

    def vanish_first(batch: Batch) -> BatchResult:
        gone.unlink()
        process = stream.prepare()
        assert process is not None
        return process.run(batch)

    pipeline.run_once(replace(stream, prepare=always_ready(vanish_first)))
    assert bronze(pipeline) == [(None, "gone.json", "vanished"), ('{"id": 2}', "here.json", None)]


def test_missed_files_are_found_and_read(pipeline: Pipeline) -> None:
    """The reconciliation finds the file that is older than the cutoff and not in Bronze, and no other file."""
    pipeline.land("a.json", '{"id": 1}')
    pipeline.land("sub!/b.json", '{"id": 2}')
    pipeline.land("c.zip", zip_archive({"d.json": '{"id": 3}'}))
    pipeline.land("empty.json", "")
    assert [report.counts["rows"] for report in pipeline.run_once(*bronze_streams(pipeline))] == [4]

    pipeline.land("missed.json", '{"id": 4}')
    cutoff = time.time()
    entry = Path(pipeline.lake, "checkpoints/bronze/landing/1.json")
    entry.write_text(
        json.dumps(json.loads(entry.read_text()) | {"cutoff": cutoff})
    )  # as if the file had appeared after its batch
    assert pipeline.run_once(*bronze_streams(pipeline)) == []

    LandingLog(str(entry.parent)).request_reconciliation("now", cutoff)
    pipeline.land("new.json", '{"id": 5}')
    reports = pipeline.run_once(*bronze_streams(pipeline))
    assert [(report.counts["rows"], report.counts["missed"]) for report in reports] == [(1, 1), (1, 0)]
    assert ('{"id": 4}', "missed.json", None) in bronze(pipeline)
    assert pipeline.run_once(*bronze_streams(pipeline)) == []


def test_a_checkpoint_of_sparks_file_source_stays_valid(pipeline: Pipeline) -> None:
    """Before version 0.2, the stream used Spark's file source: no file is lost or read again."""
    names = [f"{number} é%20.json" for number in range(3)]
    for number, name in enumerate(names[:2]):
        pipeline.land(name, f'{{"id": {number}}}')
    (stream,) = bronze_streams(pipeline)
    batches = 0

    def old_source() -> DataFrame:
        files = pipeline.spark.readStream.format("binaryFile").schema(
            "path STRING, modificationTime TIMESTAMP, length BIGINT, content BINARY"
        )
        return files.option("maxFilesPerTrigger", 1).load(pipeline.landing).select("path")

    def die_in_the_second_batch(_: Batch) -> BatchResult:
        nonlocal batches
        batches += 1
        if batches == 2:
            raise RuntimeError("killed")
        return BatchResult({}, 0)

    with pytest.raises(StreamError):
        pipeline.run_once(replace(stream, source=old_source, prepare=always_ready(die_in_the_second_batch)))

    pipeline.land(names[2], '{"id": 2}')
    reports = pipeline.run_once(*bronze_streams(pipeline))
    assert [report.counts["rows"] for report in reports] == [1, 1]
    # The old source has finished the first batch. The second batch is repeated, and the third is new.
    assert len(bronze(pipeline)) == 2
    assert pipeline.run_once(*bronze_streams(pipeline)) == []


def test_documents_up_to_the_limit_are_read_and_larger_ones_rejected(pipeline: Pipeline) -> None:
    pipeline.settings.max_document_mb = 8
    pipeline.land("line.json", '{"id": 1, "x": "' + "x" * (5 << 20) + '"}\n{"id": 2}\n')
    pipeline.land("huge.json", '{"id": 3, "x": "' + "x" * (200 << 20) + '"}\n{"id": 4}\n')
    pipeline.run_once(*bronze_streams(pipeline))
    assert [(len(raw or ""), name, problem) for raw, name, problem in bronze(pipeline)] == [
        (0, "huge.json", "too_large"),
        (9, "huge.json", None),
        ((5 << 20) + 18, "line.json", None),
        (9, "line.json", None),
    ]
