"""The Bronze stream writes each document once, for any file name and any number of restarts."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from spark_apps.bronze import app
from spark_apps.bronze.transform import documents
from spark_apps.lake import delta_tables
from spark_apps.streaming.stream import Batch, BatchResult, always_ready
from spark_apps.tables import BRONZE_TWEETS
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


def test_files_with_any_name_are_read_exactly_once(pipeline: Pipeline) -> None:
    for name in NAMES:
        pipeline.land(name, f'{{"from": "{name}"}}\n')
    pipeline.run_once(*app.streams(pipeline.spark, pipeline.settings))
    expected = sorted((f'{{"from": "{name}"}}', Path(name).name, None) for name in NAMES)
    assert sorted(bronze(pipeline), key=str) == sorted(expected, key=str)

    pipeline.land("later.json", '{"from": "later"}')
    reports = pipeline.run_once(*app.streams(pipeline.spark, pipeline.settings))
    assert [report.counts for report in reports] == [{"rows": 1}]
    assert len(bronze(pipeline)) == len(NAMES) + 1
    assert pipeline.run_once(*app.streams(pipeline.spark, pipeline.settings)) == []


def test_the_source_lists_files_and_an_unreadable_file_becomes_a_row(pipeline: Pipeline) -> None:
    pipeline.land("empty.json", "")
    pipeline.land("binary.json", bytes(range(256)))
    pipeline.land("bad.json.gz", b"\x1f\x8b\x08rubbish")
    pipeline.land("good.json", '{"id": 1}\n{"id": 2}\n')
    # The source of Spark refuses to read files above this length, but lists them.
    longest = "spark.sql.sources.binaryFile.maxLength"
    pipeline.spark.conf.set(longest, 1)
    try:
        pipeline.run_once(*app.streams(pipeline.spark, pipeline.settings))
    finally:
        pipeline.spark.conf.unset(longest)
    rows = bronze(pipeline)
    assert sorted((name, problem) for _, name, problem in rows) == [
        ("bad.json.gz", "bad_gzip"),
        ("binary.json", "binary"),
        ("good.json", None),
        ("good.json", None),
    ]
    assert [raw for raw, name, _ in rows if name == "good.json"] == ['{"id": 1}', '{"id": 2}']


def test_a_file_that_disappears_after_listing_does_not_affect_other_files(pipeline: Pipeline) -> None:
    (stream,) = app.streams(pipeline.spark, pipeline.settings)
    gone = Path(pipeline.land("gone.json", '{"id": 1}'))
    pipeline.land("here.json", '{"id": 2}')

    def vanish_first(batch: Batch) -> BatchResult:
        gone.unlink()
        process = stream.prepare()
        assert process is not None
        return process(batch)

    pipeline.run_once(replace(stream, prepare=always_ready(vanish_first)))
    assert bronze(pipeline) == [('{"id": 2}', "here.json", None)]


def test_a_file_that_disappears_before_reading_becomes_a_row(pipeline: Pipeline, tmp_path: Path) -> None:
    files = pipeline.spark.createDataFrame(
        [(str(tmp_path / "gone.json"), datetime.now(UTC))], "path STRING, modificationTime TIMESTAMP"
    )
    (row,) = documents(files, 1 << 20).collect()
    assert (row["raw"], row["problem"]) == (None, "vanished")


def test_documents_up_to_the_limit_are_read_and_larger_ones_rejected(pipeline: Pipeline) -> None:
    pipeline.settings.max_document_mb = 8
    pipeline.land("line.json", '{"id": 1, "x": "' + "x" * (5 << 20) + '"}\n{"id": 2}\n')
    pipeline.land("huge.json", '{"id": 3, "x": "' + "x" * (200 << 20) + '"}\n{"id": 4}\n')
    pipeline.run_once(*app.streams(pipeline.spark, pipeline.settings))
    assert [(len(raw or ""), name, problem) for raw, name, problem in bronze(pipeline)] == [
        (0, "huge.json", "too_large"),
        (9, "huge.json", None),
        ((5 << 20) + 18, "line.json", None),
        (9, "line.json", None),
    ]
