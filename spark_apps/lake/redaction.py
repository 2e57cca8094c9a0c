"""Removes erased tweets from the texts of a table with documents."""

from collections.abc import Iterator, Mapping, Set

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.erasure.redact import Redactor
from spark_apps.erasure.request import LOCATIONS, TWEET, USER
from spark_apps.lake import delta_tables
from spark_apps.lake.erasures import Pending, in_days, merge_into
from spark_apps.lake.writer import TableWriter
from spark_apps.map_in_arrow import ArrowFunction

# Columns that, with the hash of the text, identify the rows with the same text of the same file.
_KEY = ("source_file", "ingested_at", "ingest_date")
_CHANGED = "source_file STRING, ingested_at TIMESTAMP, ingest_date DATE, hash STRING, raw STRING"


def erase_texts(pending: Pending, writer: TableWriter, updates: Mapping[str, Column]) -> None:
    """Remove what the pending erasures cover from the column `raw` of a table; its rows stay.

    Read all documents that may hold one of the tweets: the documents since the first of the tweets was posted, or all
    documents if a user, or a tweet with an unknown time, is erased. Rewrite only files with a changed row.

    Args:
        pending: erasures to apply.
        writer: writer of a table with the columns `raw`, `source_file`, `ingested_at` and `ingest_date`.
        updates: values of other columns of the changed rows. `t` is the row, and `s.raw` its new text: null if no text
            is left.

    Raises:
        LakeError: another process has written the table.
    """
    table = delta_tables.read(pending.spark, pending.lake, writer.table)
    changed = _changed_rows(pending, table).dropDuplicates([*_KEY, "hash"]).localCheckpoint()
    days = [row["ingest_date"] for row in changed.select("ingest_date").distinct().collect()]
    merge = None
    if days:
        condition = in_days("t.ingest_date", days)
        for name in _KEY:
            condition &= F.col(f"t.{name}") == F.col(f"s.{name}")
        condition &= F.sha2("t.raw", 256) == F.col("s.hash")
        merge = merge_into(pending.spark, pending.lake, writer.table, changed, condition)
        merge = merge.whenMatchedUpdate(set={"raw": F.col("s.raw"), **updates})
    writer.erase(pending.spark, pending.end.to_json(), merge, {})


def _changed_rows(pending: Pending, table: DataFrame) -> DataFrame:
    """Return the key of each row that holds erased tweets, the hash of its text, and its text without these tweets."""
    erasures = (
        pending.rows()
        .groupBy("kind", "key")
        .agg(F.min("since").alias("since"), F.count_if(F.col("since").isNull()).alias("unknown"))
    )
    rows = erasures.collect()
    keys = {kind: frozenset(row["key"] for row in rows if row["kind"] == kind) for kind in (TWEET, USER, LOCATIONS)}
    if not any(row["unknown"] for row in rows):
        table = table.where(F.col("ingest_date") >= F.lit(min(row["since"] for row in rows)))
    texts = table.where("raw IS NOT NULL").select(*_KEY, F.sha2("raw", 256).alias("hash"), "raw")
    return texts.mapInArrow(_redacting(keys[TWEET], keys[USER], keys[LOCATIONS]), _CHANGED)


def _redacting(tweets: Set[str], users: Set[str], locations: Set[str]) -> ArrowFunction:
    """Return the function that replaces the column `raw`, and drops the rows without a change."""

    def redact(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        redactor = Redactor(tweets, users, locations)
        for batch in batches:
            texts = batch.column("raw").to_pylist()
            redacted = [redactor.redact(text) for text in texts]
            changed = [number for number, text in enumerate(texts) if redacted[number] != text]
            raw = pa.array([redacted[number] or None for number in changed], pa.string())
            rows = batch.take(pa.array(changed, pa.int64()))
            yield rows.set_column(rows.num_columns - 1, "raw", raw)

    return redact
