"""Read landed files into rows of bronze/tweets."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, groupby
from typing import Any

import pyarrow as pa

from spark_apps.bronze.documents import Document, read_documents
from spark_apps.cpu_limit import limit_cpu_time, limits_removed_after
from spark_apps.landing.landed_file import LandedFile
from spark_apps.storage import open_binary

# A record batch is sent to Spark when it reaches either limit: this bounds the memory of a Python worker.
_BATCH_ROWS = 2_000
_BATCH_BYTES = 16 << 20
_DETAILS = {"hidden": "the name, or that of a folder, begins with a dot: rename it to have the file read"}


def read_files(files: Iterable[LandedFile], schema: pa.Schema, max_document_bytes: int) -> Iterator[pa.RecordBatch]:
    """Read files into rows of BRONZE_TWEETS, without its partition column: one row per document, at least one per file.

    Args:
        files: files to read.
        schema: Arrow schema of the rows.
        max_document_bytes: a longer document becomes a row with the problem `too_large`.
    """
    rows: list[dict[str, Any]] = []
    size = 0
    with limits_removed_after():
        for row in chain.from_iterable(_rows(file, max_document_bytes) for file in files):
            rows.append(row)
            size += len(row["raw"] or "") + len(row["raw_bytes"] or b"")
            if len(rows) >= _BATCH_ROWS or size >= _BATCH_BYTES:
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows, size = [], 0
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)


def _rows(file: LandedFile, max_document_bytes: int) -> Iterator[dict[str, Any]]:
    limit_cpu_time()
    ingested_at = datetime.now(UTC)
    # The name of a file may not be valid UTF-8.
    uri = file.uri.encode("utf-8", "replace").decode()
    # Each file of an archive counts its documents from 0.
    for member, documents in groupby(_documents(file, max_document_bytes), lambda document: document.member):
        for position, document in enumerate(documents):
            limit_cpu_time()
            yield {
                "raw": document.raw,
                "raw_bytes": document.raw_bytes,
                "problem": document.problem,
                "detail": document.detail,
                "source_file": f"{uri}!/{member}" if member else uri,
                "position": position,
                "source_modified_at": datetime.fromtimestamp(file.landed_at, UTC),
                "ingested_at": ingested_at,
            }


def _documents(file: LandedFile, max_document_bytes: int) -> Iterator[Document]:
    if file.problem:
        yield Document(None, None, file.problem, _DETAILS.get(file.problem, file.version))
        return
    try:
        with open_binary(file.uri) as stream:
            yield from read_documents(stream, file.uri, max_document_bytes)
    except FileNotFoundError:
        yield Document(None, None, "vanished", "the file was listed but no longer exists")
    except PermissionError as error:
        yield Document(None, None, "unreadable", str(error))
