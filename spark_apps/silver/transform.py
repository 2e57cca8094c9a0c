"""Parse documents of bronze/tweets into records: rows of silver/tweets and of silver/quarantine."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from spark_apps.cpu_limit import limit_cpu_time, limits_removed_after
from spark_apps.map_in_arrow import ArrowFunction, arrow_schema
from spark_apps.settings import Settings
from spark_apps.silver.erasures import ERASED_LOCATIONS, ERASED_TWEETS, ERASED_USERS, ERASURE
from spark_apps.silver.records import ErasureRequest, Rejected, field_text, read_records
from spark_apps.silver.tweet import DEFAULT_LIMITS, TweetLimits
from spark_apps.silver.tweet_reader import TweetFormat
from spark_apps.silver.user_formats import load_formats
from spark_apps.streaming.poison import PoisonRow, find_poison_rows, to_frame
from spark_apps.tables import BRONZE_TWEETS, ERASURES, QUARANTINE, Column, Table, ddl

_BATCH_ROWS = 2_000
# The modules that decide how a document is read.
_PARSER = ("silver/*.py", "erasure/*.py", "html_text.py", "json_nesting.py", "json_text.py", "snowflake.py")
_POSITION = next(column for column in BRONZE_TWEETS.columns if column.name == "position")
_RECORD = Column("record", "INT", "index of the record in its document, from 0")
_REQUEST = (*(column for column in ERASURES.columns if column.name in {"why", "requested_at"}),)
_KEY = ("source_file", "position")
_DOCUMENT = ("raw", "raw_bytes", "problem", "detail", *_KEY, "source_modified_at", "ingested_at")


@dataclass(frozen=True)
class ParseOptions:
    """How documents are read.

    Attributes:
        formats: formats that a user has declared; they come before the built-in ones.
        limits: limits of a tweet.
        reads_notices: whether Twitter's notices of deletions are erasure requests; otherwise they are rejected.
    """

    formats: Sequence[TweetFormat] = ()
    limits: TweetLimits = DEFAULT_LIMITS
    reads_notices: bool = True

    @classmethod
    def of(cls, settings: Settings) -> "ParseOptions":
        """Return the options of `settings`.

        Raises:
            SettingsError: a declared format is invalid.
        """
        limits = TweetLimits(settings.max_text_characters, settings.max_mentions)
        return cls(load_formats(settings.formats), limits, settings.deletion_notices)

    def fingerprint(self) -> str:
        """Return a hash of the options and of the parser: with another hash, documents may be read differently."""
        packages = Path(__file__).parents[1]
        files = [file for name in _PARSER for file in sorted(packages.glob(name))]
        return hashlib.sha256(repr(self).encode() + b"".join(file.read_bytes() for file in files)).hexdigest()


def parse_records(documents: DataFrame, silver_tweets: Table, options: ParseOptions) -> DataFrame:
    """Parse rows of BRONZE_TWEETS into records, one row per record.

    A record is a tweet if `reason` is null, an erasure request if `reason` is ERASURE, and otherwise a reject. A tweet
    with a `copy` above 1 is a duplicate within `documents`.

    Args:
        documents: rows of BRONZE_TWEETS.
        silver_tweets: SILVER_TWEETS, possibly with further columns that have a `json_path`.
        options: how documents are read.

    Returns:
        The columns of `silver_tweets`, of QUARANTINE and of an erasure request, and three more: `position` of the
        document in its file; `record`, the index of the record in its document, from 0; `copy`, which numbers the
        tweets with the same id in the order in which they landed, from 1.
    """
    reader = _reader(silver_tweets, options)
    rows = documents.select(*_DOCUMENT).mapInArrow(reader, ddl(_parsed_columns(silver_tweets)))
    for column in silver_tweets.columns:
        if column.json_path:
            # A value that does not fit the type of the column becomes null; Bronze still has the value.
            rows = rows.withColumn(column.name, F.expr(f"try_cast(`{column.name}` AS {column.type})"))
    landing_order = Window.partitionBy("id").orderBy("landed_at", "source_file", "position", "record")
    return (
        rows.withColumn("copy", F.when(F.col("reason").isNull(), F.row_number().over(landing_order)))
        .withColumn("tweet_date", F.to_date("timestamp"))
        .withColumn("ingest_date", F.to_date("ingested_at"))
    )


def find_poison_documents(documents: DataFrame, silver_tweets: Table, options: ParseOptions) -> list[PoisonRow]:
    """Return the rows of BRONZE_TWEETS that end a task of `parse_records`."""
    return find_poison_rows(documents.select(*_DOCUMENT), _KEY, _reader(silver_tweets, options))


def reject_poison(documents: DataFrame, poison: Sequence[PoisonRow]) -> DataFrame:
    """Return the rows of BRONZE_TWEETS with a `problem` for each poison document, so that it is not parsed."""
    if not poison:
        return documents
    causes = to_frame(documents.sparkSession, poison, "source_file STRING, position BIGINT")
    cause = F.format_string("document %s ended the task that read it: %s", "position", "cause")
    is_poison = F.col("cause").isNotNull()
    return (
        documents.join(causes, list(_KEY), "left")
        .withColumn("problem", F.when(is_poison, "internal_error").otherwise(F.col("problem")))
        .withColumn("detail", F.when(is_poison, cause).otherwise(F.col("detail")))
    )


def distinct_tweets(records: DataFrame, silver_tweets: Table) -> DataFrame:
    """Return the first copy of each tweet in `records` as rows of `silver_tweets`."""
    return records.where("reason IS NULL AND copy = 1").select(silver_tweets.column_names)


def rejects(records: DataFrame) -> DataFrame:
    """Return the rejected records as rows of QUARANTINE."""
    is_reject = F.col("reason").isNotNull() & (F.col("reason") != ERASURE)
    return records.where(is_reject).select(QUARANTINE.column_names)


def reasons(rejected: DataFrame) -> Counter[str]:
    """Count rows of QUARANTINE by reason."""
    return Counter({row["reason"]: row["count"] for row in rejected.groupBy("reason").count().collect()})


def _parsed_columns(silver_tweets: Table) -> list[Column]:
    """Return the columns that the Python workers fill. A column with a `json_path` is a string until Spark casts it."""
    tweet = [replace(column, type="STRING") if column.json_path else column for column in silver_tweets.data_columns]
    names = {column.name for column in tweet}
    reject = [column for column in QUARANTINE.data_columns if column.name not in names]
    return [*tweet, *reject, *_REQUEST, ERASED_TWEETS, ERASED_USERS, ERASED_LOCATIONS, _POSITION, _RECORD]


def _reader(silver_tweets: Table, options: ParseOptions) -> ArrowFunction:
    """Return the function that reads the documents in a Python worker; its rows have `_parsed_columns`."""
    schema = arrow_schema(_parsed_columns(silver_tweets))
    paths = {column.name: column.json_path for column in silver_tweets.columns if column.json_path}

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        documents = (document for batch in batches for document in batch.to_pylist())
        rows = (row for document in documents for row in _rows(document, paths, options))
        with limits_removed_after():
            while chunk := list(islice(rows, _BATCH_ROWS)):
                yield pa.RecordBatch.from_pylist(chunk, schema)

    return read


def _rows(document: dict[str, Any], paths: Mapping[str, str], options: ParseOptions) -> Iterator[dict[str, Any]]:
    """Yield the rows of one document, without the columns that are null."""
    limit_cpu_time()
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
    raw, raw_bytes, read_at = document["raw"], document["raw_bytes"], document["ingested_at"]
    records = read_records(raw, read_at, raw_bytes, options.formats, options.limits, options.reads_notices)
    for number, record in enumerate(records):
        row = origin | {"record": number}
        if isinstance(record, Rejected):
            yield row | {"raw": record.raw, "reason": record.reason, "detail": record.detail}
        elif isinstance(record, ErasureRequest):
            yield row | {
                "reason": ERASURE,
                "erased_tweets": record.tweets,
                "erased_users": record.users,
                "erased_locations": record.locations,
                "why": record.why,
                "requested_at": record.requested_at,
            }
        else:
            yield row | {
                "id": record.id,
                "user_id": record.user_id,
                "full_text": record.full_text,
                "lang": record.lang,
                "timestamp": record.timestamp,
                "mentions": record.mentions,
                "truth": record.truth,
                "format": record.format,
                "retweet_of": record.retweet_of,
                "retweet_of_user": record.retweet_of_user,
                **{name: field_text(record.json, path) for name, path in paths.items()},
            }
