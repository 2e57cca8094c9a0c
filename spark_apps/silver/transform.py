"""Bronze rows → records: tweets as Silver keeps them, and rejects with their reason."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from spark_apps.silver import formats
from spark_apps.tables import Column

_ROWS = 2_000
_STRING = pa.string()
_UTC = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    [
        ("id", _STRING),
        ("user_id", _STRING),
        ("full_text", _STRING),
        ("lang", _STRING),
        ("timestamp", _UTC),
        ("mentions", pa.list_(_STRING)),
        ("truth", _STRING),
        ("format", _STRING),
        ("raw", _STRING),
        ("reason", _STRING),
        ("detail", _STRING),
        ("source_file", _STRING),
        ("position", pa.int64()),
        ("record", pa.int32()),
        ("landed_at", _UTC),
        ("ingested_at", _UTC),
    ]
)
_TYPES = {
    "timestamp": "TIMESTAMP",
    "mentions": "ARRAY<STRING>",
    "position": "BIGINT",
    "record": "INT",
    "landed_at": "TIMESTAMP",
    "ingested_at": "TIMESTAMP",
}


def records(bronze: DataFrame, columns: Sequence[Column]) -> DataFrame:
    """Read rows of BRONZE_TWEETS into records, one row each: a tweet where `reason` is null, else a reject.

    `columns` are those of SILVER_TWEETS; those with a `field` are copied from the tweet's own JSON. `record` counts
    the records of a document from 0; `copy` counts the records with the same id from 1, the one that landed first
    being 1, so a tweet is a duplicate within these rows where `copy` is above 1.
    """
    copied = [column for column in columns if column.field]
    schema = pa.schema([*_SCHEMA, *(pa.field(column.name, _STRING) for column in copied)])
    ddl = ", ".join(f"`{name}` {_TYPES.get(name, 'STRING')}" for name in schema.names)
    rows = bronze.select(
        "raw", "problem", "detail", "source_file", "position", "source_modified_at", "ingested_at"
    ).mapInArrow(_reader(schema, {column.name: str(column.field) for column in copied}), ddl)
    for column in copied:
        # A value that does not fit the column's type is null here and still whole in Bronze.
        rows = rows.withColumn(column.name, F.expr(f"try_cast(`{column.name}` AS {column.type})"))
    first = Window.partitionBy("id").orderBy("landed_at", "source_file", "position", "record")
    return (
        rows.withColumn("copy", F.when(F.col("reason").isNull(), F.row_number().over(first)))
        .withColumn("tweet_date", F.to_date("timestamp"))
        .withColumn("ingest_date", F.to_date("ingested_at"))
    )


def _reader(
    schema: pa.Schema, paths: Mapping[str, str]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = (record for batch in batches for document in batch.to_pylist() for record in _records(document, paths))
        while rows := list(islice(found, _ROWS)):
            yield pa.RecordBatch.from_pylist(rows, schema)

    return read


def _records(document: dict[str, Any], paths: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    origin = {
        "source_file": document["source_file"],
        "position": document["position"],
        "landed_at": document["source_modified_at"],
        "ingested_at": document["ingested_at"],
    }
    if document["problem"]:
        reject = {"raw": document["raw"], "reason": document["problem"], "detail": document["detail"]}
        yield origin | reject | {"record": 0}
        return
    for number, item in enumerate(formats.read(document["raw"])):
        if isinstance(item, formats.Rejected):
            yield origin | {"record": number, "raw": item.raw, "reason": item.reason, "detail": item.detail}
        else:
            yield origin | {
                "record": number,
                "id": item.id,
                "user_id": item.user_id,
                "full_text": item.full_text,
                "lang": item.lang,
                "timestamp": item.timestamp,
                "mentions": item.mentions,
                "truth": item.truth,
                "format": item.format,
                **{name: formats.field(item.fields, path) for name, path in paths.items()},
            }
