"""Read landed files into rows of bronze/tweets."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from spark_apps.bronze.documents import Document, read_documents_from
from spark_apps.cpu_limit import limit_cpu_time, limits_removed_after
from spark_apps.landing.landed_file import BEGINNING, LandedFile, Start
from spark_apps.storage import open_binary

# Value of `problem` in a row that does not hold a document. Its `detail` is a file that the task has not read to its
# end, or null if the row only reports progress.
UNFINISHED = "unfinished"
# A record batch is sent to Spark when it reaches either limit: this bounds the memory of a Python worker.
_BATCH_ROWS = 2_000
_BATCH_BYTES = 16 << 20
# A batch without rows from its tasks counts as stuck. While a task skips the part of a file that was read before, it
# therefore sends rows at this interval. A row fills the output buffer of a Python worker, so Spark receives it at once.
_REPORT_SECONDS = 10.0
_REPORT = bytes(64 << 10)
_DETAILS = {"hidden": "the name of the file or of a folder begins with a dot: rename it, and Bronze reads the file"}


@dataclass(frozen=True)
class ReadLimits:
    """Limits of a task that reads landed files.

    Attributes:
        document_bytes: a longer document becomes a row with the problem `too_large`.
        expansion: a compressed file may expand to this many times its size.
        task_documents: after this number of documents, the task leaves the rest to the next batch.
        task_bytes: after this number of decompressed bytes, the task leaves the rest to the next batch.
    """

    document_bytes: int
    expansion: int
    task_documents: int
    task_bytes: int


class _Budget:
    """Counts what a task reads. The document that exceeds the limits is still read."""

    def __init__(self, limits: ReadLimits) -> None:
        self._documents = limits.task_documents
        self._bytes = limits.task_bytes

    def spend(self, size: int) -> None:
        self._documents -= 1
        self._bytes -= size

    def is_spent(self) -> bool:
        return self._documents <= 0 or self._bytes <= 0


def read_files(files: Iterable[LandedFile], schema: pa.Schema, limits: ReadLimits) -> Iterator[pa.RecordBatch]:
    """Read files into rows of BRONZE_TWEETS, without its partition column: one row per document, at least one per file.

    A file that the task does not read to its end also has a row with the problem `UNFINISHED`: `unfinished_file` reads
    from its detail where to continue. A row with this problem and without a detail only reports progress.

    Args:
        files: files to read.
        schema: Arrow schema of the rows.
        limits: limits of the task.

    Raises:
        Exception: an error of the storage. A file that is missing or may not be read becomes a row with a problem.
    """
    rows: list[dict[str, Any]] = []
    size = 0
    budget = _Budget(limits)
    with limits_removed_after():
        for row in (row for file in files for row in _rows(file, limits, budget)):
            rows.append(row)
            size += len(row["raw"] or "") + len(row["raw_bytes"] or b"")
            if len(rows) >= _BATCH_ROWS or size >= _BATCH_BYTES or row["problem"] == UNFINISHED:
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows, size = [], 0
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)


def unfinished_file(detail: str) -> LandedFile:
    """Return the file, with the position at which to continue, from the detail of a row with `UNFINISHED`."""
    return LandedFile.from_json(json.loads(detail))


def _rows(file: LandedFile, limits: ReadLimits, budget: _Budget) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file from its start, until the budget is spent."""
    sent_at = time.monotonic()
    origin = _origin(file)
    position, end, last = file.start.position, file.start.offset, None
    if budget.is_spent():
        yield _row(origin, _unfinished(file), position)
        return
    limit_cpu_time()
    for document in _documents(file, limits):
        limit_cpu_time()
        if document is None:  # before the start
            if time.monotonic() - sent_at > _REPORT_SECONDS:
                sent_at = time.monotonic()
                yield _row(origin, Document(None, _REPORT, UNFINISHED), position)
            continue
        if last is not None:
            # Each file of an archive counts its documents from 0.
            position = position + 1 if document.member == last.member else 0
            end = last.end if document.file == last.file else 0
            if budget.is_spent():
                yield _row(origin, _unfinished(replace(file, start=Start(document.file, position, end))), position)
                return
        yield _row(origin, document, position)
        budget.spend(max(0, document.end - end))
        last = document


def _origin(file: LandedFile) -> dict[str, Any]:
    return {
        # The name of a file may not be valid UTF-8.
        "source_file": file.uri.encode("utf-8", "replace").decode(),
        "source_modified_at": datetime.fromtimestamp(file.landed_at, UTC),
        "ingested_at": datetime.now(UTC),
    }


def _row(origin: dict[str, Any], document: Document, position: int) -> dict[str, Any]:
    uri = origin["source_file"]
    return origin | {
        "raw": document.raw,
        "raw_bytes": document.raw_bytes,
        "problem": document.problem,
        "detail": document.detail,
        "source_file": f"{uri}!/{document.member}" if document.member else uri,
        "position": position,
    }


def _unfinished(file: LandedFile) -> Document:
    return Document(None, None, UNFINISHED, json.dumps(file.to_json()))


def _documents(file: LandedFile, limits: ReadLimits) -> Iterator[Document | None]:
    if file.problem:
        yield Document(None, None, file.problem, _DETAILS.get(file.problem, file.version))
        return
    is_partly_read = file.start != BEGINNING
    try:
        # A position is valid in one version of a file only.
        with open_binary(file.uri, file.version if is_partly_read else "") as stream:
            yield from read_documents_from(stream, file.uri, limits.document_bytes, limits.expansion, file.start)
    except FileNotFoundError:
        detail = "the file was listed but no longer exists"
        if is_partly_read:
            detail = "the file was removed or replaced before its end was read; another version is read as a new file"
        yield Document(None, None, "vanished", detail)
    except PermissionError as error:
        yield Document(None, None, "unreadable", str(error))
