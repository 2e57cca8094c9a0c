"""Bronze as a stream: each document once, whatever its file is called, however often the stream is started."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from spark_apps.bronze import app
from spark_apps.bronze.transform import documents
from spark_apps.lake import delta_tables
from spark_apps.streaming.stream import Batch, BatchResult, always_ready
from spark_apps.tables import BRONZE_TWEETS
from tests.conftest import Place

NAMES = [
    "plain.json",
    "a space.json",
    "a:colon.json",
    "日本 ☃.json",
    "per%20cent+#&?.json",
    "glob[*]{x}.json",
    "sub/dir.json",
]


def bronze(place: Place) -> list[tuple[str | None, str, str | None]]:
    rows = delta_tables.read(place.spark, place.lake, BRONZE_TWEETS).orderBy("source_file", "position").collect()
    return [(row["raw"], Path(row["source_file"]).name, row["problem"]) for row in rows]


def test_every_name_is_read_and_nothing_twice(place: Place) -> None:
    for name in NAMES:
        place.land(name, f'{{"from": "{name}"}}\n')
    place.once(*app.streams(place.spark, place.settings))
    expected = sorted((f'{{"from": "{name}"}}', Path(name).name, None) for name in NAMES)
    assert sorted(bronze(place), key=str) == sorted(expected, key=str)

    place.land("later.json", '{"from": "later"}')
    reports = place.once(*app.streams(place.spark, place.settings))
    assert [report.counts for report in reports] == [{"rows": 1}]
    assert len(bronze(place)) == len(NAMES) + 1
    assert place.once(*app.streams(place.spark, place.settings)) == []


def test_what_cannot_be_read_is_a_row_with_its_problem(place: Place) -> None:
    place.land("empty.json", "")
    place.land("binary.json", bytes(range(256)))
    place.land("bad.json.gz", b"\x1f\x8b\x08rubbish")
    place.land("good.json", '{"id": 1}')
    place.once(*app.streams(place.spark, place.settings))
    assert sorted((name, problem) for _, name, problem in bronze(place)) == [
        ("bad.json.gz", "bad_gzip"),
        ("binary.json", "binary"),
        ("good.json", None),
    ]


def test_a_file_that_vanishes_costs_only_itself(place: Place) -> None:
    (stream,) = app.streams(place.spark, place.settings)
    gone = Path(place.land("gone.json", '{"id": 1}'))
    place.land("here.json", '{"id": 2}')

    def vanish_first(batch: Batch) -> BatchResult:
        gone.unlink()
        process = stream.prepare()
        assert process is not None
        return process(batch)

    place.once(replace(stream, prepare=always_ready(vanish_first)))
    assert bronze(place) == [('{"id": 2}', "here.json", None)]


def test_a_file_that_vanishes_late_is_a_row(place: Place, tmp_path: Path) -> None:
    files = place.spark.createDataFrame(
        [(str(tmp_path / "gone.json"), datetime.now(UTC))], "path STRING, modificationTime TIMESTAMP"
    )
    (row,) = documents(files, 1 << 20).collect()
    assert (row["raw"], row["problem"]) == (None, "vanished")


def test_the_source_lists_and_never_reads(place: Place) -> None:
    place.land("long.json", '{"id": 1}\n{"id": 2}\n')
    # Spark refuses to read a longer file whole; a landed one may be of any length.
    most = "spark.sql.sources.binaryFile.maxLength"
    place.spark.conf.set(most, 1)
    try:
        place.once(*app.streams(place.spark, place.settings))
    finally:
        place.spark.conf.unset(most)
    assert [raw for raw, _, _ in bronze(place)] == ['{"id": 1}', '{"id": 2}']


def test_large_documents_pass_and_larger_ones_are_refused(place: Place) -> None:
    place.settings.max_document_mb = 8
    place.land("line.json", '{"id": 1, "x": "' + "x" * (5 << 20) + '"}\n{"id": 2}\n')
    place.land("huge.json", '{"id": 3, "x": "' + "x" * (200 << 20) + '"}\n{"id": 4}\n')
    place.once(*app.streams(place.spark, place.settings))
    assert [(len(raw or ""), name, problem) for raw, name, problem in bronze(place)] == [
        (0, "huge.json", "too_large"),
        (9, "huge.json", None),
        ((5 << 20) + 18, "line.json", None),
        (9, "line.json", None),
    ]
