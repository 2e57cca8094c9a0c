"""Read landed files into rows of bronze/tweets."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.bronze.documents import Document, read_documents
from spark_apps.lake.arrow_schema import arrow_schema
from spark_apps.storage import open_binary
from spark_apps.tables import BRONZE_TWEETS, ddl

# A record batch is sent to Spark when it reaches either limit: this bounds the memory of a Python worker.
_BATCH_ROWS = 2_000
_BATCH_BYTES = 16 << 20


def documents(files: DataFrame, max_document_bytes: int) -> DataFrame:
    """Read `files` into rows of BRONZE_TWEETS, one row per document.

    `files` has one row per file: path STRING, modificationTime TIMESTAMP. A document longer than `max_document_bytes`
    becomes a row with the problem `too_large`.
    """
    columns = BRONZE_TWEETS.data_columns
    rows = files.mapInArrow(_reader(arrow_schema(columns), max_document_bytes), ddl(columns))
    return rows.withColumn("ingest_date", F.to_date("ingested_at")).select(BRONZE_TWEETS.column_names)


def _reader(
    schema: pa.Schema, max_document_bytes: int
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows: list[dict[str, Any]] = []
        size = 0
        for batch in batches:
            for file in batch.to_pylist():
                for row in _rows(file["path"], file["modificationTime"], max_document_bytes):
                    rows.append(row)
                    size += len(row["raw"] or "") + len(row["raw_bytes"] or b"")
                    if len(rows) >= _BATCH_ROWS or size >= _BATCH_BYTES:
                        yield pa.RecordBatch.from_pylist(rows, schema)
                        rows, size = [], 0
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)

    return read


def _rows(uri: str, modified_at: datetime, max_document_bytes: int) -> Iterator[dict[str, Any]]:
    ingested_at = datetime.now(UTC)
    # Each file of an archive counts its documents from 0.
    for _, documents in groupby(_documents(uri, max_document_bytes), lambda document: document.member):
        for position, document in enumerate(documents):
            yield {
                "raw": document.raw,
                "raw_bytes": document.raw_bytes,
                "problem": document.problem,
                "detail": document.detail,
                "source_file": f"{uri}!/{document.member}" if document.member else uri,
                "position": position,
                "source_modified_at": modified_at,
                "ingested_at": ingested_at,
            }


def _documents(uri: str, max_document_bytes: int) -> Iterator[Document]:
    try:
        with open_binary(uri) as stream:
            yield from read_documents(stream, uri, max_document_bytes)
    except FileNotFoundError:
        yield Document(None, None, "vanished", "the file was listed but no longer exists")
    except PermissionError as error:
        yield Document(None, None, "unreadable", str(error))
