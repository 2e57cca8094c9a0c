"""A large file is read in parts: each document once, whatever fails between or during the batches."""

import bz2
import gzip
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spark_apps import storage
from spark_apps.bronze import decompress, reader
from spark_apps.bronze.files import open_files
from spark_apps.bronze.reader import UNFINISHED, ReadLimits, read_files, unfinished_file
from spark_apps.bronze.source import split
from spark_apps.demo.malformed import tar
from spark_apps.lake.writer import TableWriter
from spark_apps.landing.landed_file import LandedFile, Start
from spark_apps.landing.log import LandingLog
from spark_apps.streaming.runner import StreamError
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import BRONZE_TWEETS
from tests.bronze.archives import zip_archive
from tests.bronze.test_reader import SCHEMA
from tests.conftest import Pipeline

Row = tuple[str, int, str | None, str | None]
PART = 7


def lines(first: int, end: int) -> bytes:
    return b"".join(b'{"id": %d, "text": "caf\xc3\xa9 %d"}\n' % (number, number * 7919) for number in range(first, end))


def printed(first: int, end: int) -> bytes:
    return b"".join(
        json.dumps({"id": number, "tags": [1, 2]}, indent=2).encode() + b"\n" for number in range(first, end)
    )


MEMBERS = {
    "a.json": lines(0, 20),
    "blank.json": b"\n\n",
    "b/c.json.bz2": bz2.compress(lines(20, 37)),
    "binary": bytes(range(256)),
    "d.json": printed(40, 50),
}
CONTENTS: dict[str, bytes] = {
    "plain": lines(0, 40),
    "blank lines": lines(0, 20).replace(b"\n", b"\n\n \r\n\n"),
    "crlf": lines(0, 20).replace(b"\n", b"\r\n"),
    "lengths": b"".join(b"%d\r\n%s\r\n" % (len(line) + 2, line) for line in lines(0, 20).splitlines()),
    "printed": printed(0, 30),
    "mixed": lines(0, 8) + printed(8, 14) + b"rubbish\n" + lines(14, 20) + b'{"id": 20',
    "invalid": lines(0, 10) + b'{"id": "\xff\xfe"}\n' + lines(10, 20),
    "too large": lines(0, 9) + b'{"x": "' + b"x" * 3000 + b'"}\n' + lines(9, 20),
    "mark": b"\xef\xbb\xbf" + lines(0, 20),
    "utf-16": lines(0, 40).decode().encode("utf-16"),
    "gzip": gzip.compress(lines(0, 40)),
    "gzip members": gzip.compress(lines(0, 20)) + gzip.compress(lines(20, 40)),
    "gzip utf-16": gzip.compress(lines(0, 40).decode().encode("utf-16")),
    "cut gzip": gzip.compress(b"".join(os.urandom(40).hex().encode() + b"\n{}\n" for _ in range(500)))[:-800],
    "tar": tar(MEMBERS),
    "gzip tar": gzip.compress(tar(MEMBERS)),
    "zip": zip_archive(MEMBERS),
    "zip of tar": zip_archive({"x.tar": tar(MEMBERS), "y.json": lines(60, 80)}),
    "one document": b'[{"id": 1},\n{"id": 2}]',
    "empty": b"",
}


def landed(path: Path) -> LandedFile:
    status = path.stat()
    return LandedFile(1.0, f"file:{path}", status.st_size, str(status.st_mtime_ns))


def read_in_parts(files: list[LandedFile], documents: int = 10**9, size: int = 1 << 40) -> Iterator[list[Row]]:
    """Yield the documents of each part."""
    while files:
        batches = list(read_files(files, SCHEMA, ReadLimits(1000, 200, documents, size)))
        rows = [row for batch in batches for row in batch.to_pylist()]
        yield [
            (row["source_file"], row["position"], row["raw"], row["problem"])
            for row in rows
            if row["problem"] != UNFINISHED
        ]
        files = [unfinished_file(row["detail"]) for row in rows if row["problem"] == UNFINISHED]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize(("documents", "chunk"), [(1, 1 << 20), (PART, 1 << 20), (PART, 13)])
def test_parts_have_the_documents_of_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, documents: int, chunk: int
) -> None:
    monkeypatch.setattr(decompress, "CHUNK_BYTES", chunk)
    (tmp_path / "file").write_bytes(CONTENTS[content])
    (whole,) = read_in_parts([landed(tmp_path / "file")])
    parts = list(read_in_parts([landed(tmp_path / "file")], documents))
    assert [row for part in parts for row in part] == whole
    assert len({row[:2] for row in whole}) == len(whole)
    assert [len(part) for part in parts[:-1]] == [documents] * (len(parts) - 1)
    assert len(parts) == -(-len(whole) // documents)


def test_a_part_is_bounded_by_bytes_and_several_files_share_it(tmp_path: Path) -> None:
    for name, count in (("a", 30), ("b", 3), ("c", 30)):
        (tmp_path / name).write_bytes(gzip.compress(lines(0, count)))
    size = len(lines(0, 10))
    parts = list(read_in_parts([landed(tmp_path / name) for name in "abc"], size=size))
    assert sum(len(part) for part in parts) == 63
    assert all(len(part) <= 11 for part in parts)
    assert {row[0][-1] for row in parts[3]} == {"b", "c"}


def test_a_plain_file_is_not_read_again_from_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    class Counting(io.FileIO):
        def readinto(self, buffer: Any) -> int | None:
            nonlocal read
            size = super().readinto(buffer)
            read += size or 0
            return size

    monkeypatch.setattr(reader, "open_binary", lambda uri, _: Counting(uri.removeprefix("file:")))
    (tmp_path / "file").write_bytes(lines(0, 400_000))
    parts = list(read_in_parts([landed(tmp_path / "file")], 20_000))
    assert len(parts) == 20
    # Each part reads the first megabyte again, to recognise the file, and reads past its own end.
    assert read < (tmp_path / "file").stat().st_size + 20 * (3 << 20)


@pytest.mark.parametrize("change", ["replace", "remove"])
def test_a_file_that_changes_between_two_parts_ends(tmp_path: Path, change: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(lines(0, 40))
    parts = read_in_parts([landed(path)], PART)
    assert len(next(parts)) == PART
    path.unlink()
    if change == "replace":
        path.write_bytes(lines(100, 140))
    assert list(parts) == [[(f"file:{path}", PART, None, "vanished")]]


def test_a_task_reports_progress_while_it_skips_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_REPORT_SECONDS", 0.0)
    (tmp_path / "file").write_bytes(gzip.compress(lines(0, 200_000)))
    size = len(lines(0, 199_999))
    file = landed(tmp_path / "file")
    partly_read = LandedFile(file.landed_at, file.uri, file.size, file.version, "", Start(0, 199_999, size))
    *reports, last = read_files([partly_read], SCHEMA, ReadLimits(1000, 200, 10, 1 << 40))
    assert len(reports) >= size >> 20
    for report in reports:
        (row,) = report.to_pylist()
        assert (row["problem"], row["detail"]) == (UNFINISHED, None)
        assert len(row["raw_bytes"]) >= 1 << 16  # a smaller row stays in the buffer of the Python worker
    assert [(row["position"], json.loads(row["raw"])["id"]) for row in last.to_pylist()] == [(199_999, 199_999)]


@pytest.mark.parametrize("pack", [tar, zip_archive, lambda members: gzip.compress(tar(members))])
def test_each_file_of_an_archive_that_is_skipped_is_progress(pack: Callable[[dict[str, bytes]], bytes]) -> None:
    """The time limit of a document begins again: an archive may have a million files."""
    archive = pack({f"{number}.json": b"{}" for number in range(100)})
    found = list(open_files(io.BytesIO(archive), Start(90, 0, 0)))
    assert found[:90] == [None] * 90
    assert [file.member for file in found if file is not None] == [f"{number}.json" for number in range(90, 100)]


def test_partly_read_files_have_tasks_of_their_own() -> None:
    partly_read = [LandedFile(number, f"partly-read-{number}", 1, "", "", Start(0, 1, 1)) for number in range(3)]
    new = [LandedFile(number, f"new-{number}", 1 << 40 if number == 5 else 1, "") for number in range(6)]
    tasks = split([*new, *partly_read], 2)
    assert tasks[:2] == [[partly_read[0], partly_read[2]], [partly_read[1]]]
    assert sorted(file for task in tasks[2:] for file in task) == new
    assert [new[5]] in tasks


def bronze(pipeline: Pipeline) -> list[Row]:
    rows = [(row["source_file"], row["position"], row["raw"], row["problem"]) for row in pipeline.rows(BRONZE_TWEETS)]
    return sorted(rows, key=lambda row: row[:2])


def expected(pipeline: Pipeline) -> list[Row]:
    """Return the documents of all files in the landing, read as a whole."""
    files = [landed(path) for path in Path(pipeline.landing).rglob("*") if path.is_file()]
    (rows,) = read_in_parts(files)
    return sorted(rows, key=lambda row: row[:2])


def run(pipeline: Pipeline) -> list[BatchReport]:
    pipeline.settings.max_task_documents = PART
    return pipeline.run_once(*pipeline.streams("bronze"))


def land_large_files(pipeline: Pipeline) -> None:
    pipeline.land("plain.json", lines(0, 40))
    pipeline.land("compressed.json.gz", gzip.compress(lines(0, 30)))
    pipeline.land("archive.tar", tar(MEMBERS))


def test_a_run_reads_all_parts_of_all_files_in_bounded_batches(pipeline: Pipeline) -> None:
    land_large_files(pipeline)
    for number in range(20):
        pipeline.land(f"small/{number}.json", lines(number, number + 1))
    reports = run(pipeline)
    assert bronze(pipeline) == expected(pipeline)
    assert len(reports) > 4
    # Two tasks for partly read files, and two for the others.
    assert max(report.counts["rows"] for report in reports) <= 4 * PART
    assert sum(report.result.read for report in reports) == 2 + 20 + 4  # the archive has four files
    assert run(pipeline) == []


def test_a_batch_without_a_rest_does_not_look_for_one(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier attempt of the first batch may have left a rest. All other batches send no request for it."""
    numbers: list[int] = []
    write_rest = LandingLog.write_rest

    def record(log: LandingLog, number: int, files: list[LandedFile]) -> None:
        numbers.append(number)
        write_rest(log, number, files)

    monkeypatch.setattr(LandingLog, "write_rest", record)
    pipeline.settings.max_files_per_batch = 1
    for number in range(3):
        pipeline.land(f"{number}.json", lines(number, number + 1))
    assert len(run(pipeline)) == 3
    assert numbers == [1]
    pipeline.land("large.json", lines(0, 2 * PART))
    pipeline.land("small.json", lines(0, 1))
    run(pipeline)
    assert numbers == [1, 4, 5]
    assert bronze(pipeline) == expected(pipeline)


def test_new_files_do_not_wait_for_a_large_one(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.land("large.json", lines(0, 60))
    with monkeypatch.context() as patch:
        fail(patch, TableWriter, "append", "after", at=2)
        with pytest.raises(StreamError):
            run(pipeline)
    pipeline.land("small.json", lines(90, 91))
    assert run(pipeline)[0].counts["rows"] == PART + 1
    assert bronze(pipeline) == expected(pipeline)


def fail(patch: pytest.MonkeyPatch, owner: Any, name: str, when: str, at: int) -> None:
    """Let the call `at` of a function fail before or after its work, as a kill does."""
    function = getattr(owner, name)
    calls = 0

    def wrapped(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at and when == "before":
            raise RuntimeError("killed")
        result = function(*args, **named)
        if calls == at:
            raise RuntimeError("killed")
        return result

    patch.setattr(owner, name, wrapped)


@pytest.mark.slow
def test_a_failure_in_any_write_loses_and_repeats_no_document(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch fails before and after it writes its unread rest, and before and after its commit."""
    for number, (owner, name) in enumerate(((LandingLog, "write_rest"), (TableWriter, "append"))):
        for when in ("before", "after"):
            for at in (1, 2):
                pipeline.land(f"{number} {when} {at}.json.gz", gzip.compress(lines(0, 3 * PART)))
                with monkeypatch.context() as patch:
                    fail(patch, owner, name, when, at)
                    with pytest.raises(StreamError, match="killed"):
                        run(pipeline)
    run(pipeline)
    assert bronze(pipeline) == expected(pipeline)


def delete_checkpoint(pipeline: Pipeline) -> None:
    shutil.rmtree(Path(pipeline.lake, "checkpoints"))


def delete_offsets(pipeline: Pipeline) -> None:
    for name in ("offsets", "commits"):
        shutil.rmtree(Path(pipeline.lake, "checkpoints/bronze", name))


def delete_log(pipeline: Pipeline) -> None:
    shutil.rmtree(Path(pipeline.lake, "checkpoints/bronze/landing"))
    delete_offsets(pipeline)


@pytest.mark.parametrize("damage", [delete_checkpoint, delete_offsets, delete_log])
def test_a_lost_checkpoint_does_not_lose_the_rest(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Pipeline], None]
) -> None:
    land_large_files(pipeline)
    # No part of this file is read before the failure: the reconciliation finds the file.
    pipeline.land("waiting.json", lines(0, 5))
    with monkeypatch.context() as patch:
        fail(patch, TableWriter, "append", "after", at=2)
        with pytest.raises(StreamError, match="killed"):
            run(pipeline)
    damage(pipeline)
    run(pipeline)
    run(pipeline)
    assert bronze(pipeline) == expected(pipeline)
    assert run(pipeline) == []


def test_a_reconciliation_waits_for_the_end_of_a_file(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of an unread rest are not in Bronze, but they are not missed."""
    for number in range(4):
        pipeline.land(f"{number}.json", lines(0, 2 * PART))
    folder = Path(pipeline.lake, "checkpoints/bronze/landing")
    write_rest, requests = LandingLog.write_rest, 0

    def request(log: LandingLog, number: int, files: list[LandedFile]) -> None:
        nonlocal requests
        write_rest(log, number, files)
        if files and not requests:
            requests += 1
            log.request_reconciliation("now", 2e9)

    monkeypatch.setattr(LandingLog, "write_rest", request)
    reports = run(pipeline)
    assert requests == 1 and not (folder / "reconciliation.json").exists()
    assert sum(report.counts["missed"] for report in reports) == 0
    assert bronze(pipeline) == expected(pipeline)


def test_the_rest_of_a_replaced_file_is_one_reject(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planner takes the other version as a new file, once it has stopped growing."""
    pipeline.land("a.json", lines(0, 3 * PART))
    with monkeypatch.context() as patch:
        fail(patch, TableWriter, "append", "after", at=1)
        with pytest.raises(StreamError, match="killed"):
            run(pipeline)
    pipeline.land("a.json", lines(100, 100 + PART))
    run(pipeline)
    rows = bronze(pipeline)
    assert [problem for _, _, _, problem in rows] == [None] * PART + ["vanished"]
    assert [position for _, position, _, _ in rows] == list(range(PART + 1))
    assert run(pipeline) == []


def test_entries_of_an_earlier_version_are_readable(tmp_path: Path) -> None:
    storage.put(str(tmp_path), "1.json", b'{"files": [[1.5, "file:/a", 3, "7", ""]], "cutoff": 0, "missed": ["", 0]}')
    log = LandingLog(str(tmp_path))
    assert log.files(1) == [LandedFile(1.5, "file:/a", 3, "7", "", Start(0, 0, 0))]
    assert log.rest(1) == []
