"""Files → Bronze rows."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.bronze.documents import Document, read_documents
from spark_apps.storage import open_binary
from spark_apps.tables import BRONZE_TWEETS

_ROWS = 2_000
_BYTES = 16 << 20

_SCHEMA = pa.schema(
    [
        ("raw", pa.string()),
        ("raw_bytes", pa.binary()),
        ("problem", pa.string()),
        ("detail", pa.string()),
        ("source_file", pa.string()),
        ("position", pa.int64()),
        ("source_modified_at", pa.timestamp("us", "UTC")),
        ("ingested_at", pa.timestamp("us", "UTC")),
    ]
)
_DDL = ", ".join(f"{column.name} {column.type}" for column in BRONZE_TWEETS.columns if column.name in _SCHEMA.names)


def documents(files: DataFrame, max_document_bytes: int) -> DataFrame:
    """Read `files` (path STRING, modificationTime TIMESTAMP, one row a file) into rows of BRONZE_TWEETS."""
    rows = files.mapInArrow(_reader(max_document_bytes), _DDL)
    return rows.withColumn("ingest_date", F.to_date("ingested_at")).select(BRONZE_TWEETS.column_names)


def _reader(limit: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows: list[dict[str, Any]] = []
        held = 0
        for batch in batches:
            for file in batch.to_pylist():
                for row in _rows(file["path"], file["modificationTime"], limit):
                    rows.append(row)
                    held += len(row["raw"] or "") + len(row["raw_bytes"] or b"")
                    if len(rows) >= _ROWS or held >= _BYTES:
                        yield pa.RecordBatch.from_pylist(rows, _SCHEMA)
                        rows, held = [], 0
        if rows:
            yield pa.RecordBatch.from_pylist(rows, _SCHEMA)

    return read


def _rows(uri: str, modified_at: datetime, limit: int) -> Iterator[dict[str, Any]]:
    ingested_at = datetime.now(UTC)
    for position, document in enumerate(_file(uri, limit)):
        yield {
            "raw": document.raw,
            "raw_bytes": document.raw_bytes,
            "problem": document.problem,
            "detail": document.detail,
            "source_file": uri,
            "position": position,
            "source_modified_at": modified_at,
            "ingested_at": ingested_at,
        }


def _file(uri: str, limit: int) -> Iterator[Document]:
    try:
        with open_binary(uri) as stream:
            yield from read_documents(stream, uri, limit)
    except FileNotFoundError:
        yield Document(None, None, "vanished", "the file was listed, and gone when it was to be read")
    except PermissionError as error:
        yield Document(None, None, "unreadable", str(error))
