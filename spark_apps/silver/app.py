"""Silver: read bronze/tweets, write silver/tweets with one row per tweet id, silver/quarantine and silver/erasures."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from spark_apps.lake import delta_tables
from spark_apps.lake.erasures import delete_tweets
from spark_apps.lake.expired import days_ago, read_expired
from spark_apps.settings import Settings
from spark_apps.silver.erasures import ERASURE, erase_rejects, erased_tweets, kept_out_landings, requested_erasures
from spark_apps.silver.known_ids import ids_frame, known_ids, without_ids
from spark_apps.silver.transform import (
    ParseOptions,
    distinct_tweets,
    find_poison_documents,
    parse_records,
    reject_poison,
    rejects,
)
from spark_apps.spark_context import task_slots
from spark_apps.streaming.poison import PoisonRow
from spark_apps.streaming.stream import Batch, BatchResult, Stream, always_ready, newest, shorten
from spark_apps.tables import BRONZE_TWEETS, ERASURES, QUARANTINE, SILVER_TWEETS

# Files of bronze/tweets that a batch reads: for each task slot, and at most. The driver collects the ids of all
# duplicates in a batch.
_BRONZE_BYTES_PER_SLOT, _MAX_BRONZE_BYTES = 8 << 20, 128 << 20


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """Return the stream of this layer."""
    (lake,) = settings.require("lake")
    options = ParseOptions.of(settings)

    def process(batch: Batch) -> BatchResult:
        documents = reject_poison(batch.rows, batch.poison)
        records = parse_records(documents, SILVER_TWEETS, options).persist()
        try:
            return _write(records, batch, lake)
        finally:
            records.unpersist()

    def find_poison(batch: Batch) -> Sequence[PoisonRow]:
        return find_poison_documents(batch.rows, SILVER_TWEETS, options)

    def source() -> DataFrame:
        max_bytes = min(_BRONZE_BYTES_PER_SLOT * task_slots(spark), _MAX_BRONZE_BYTES)
        return delta_tables.read_stream(spark, lake, BRONZE_TWEETS, max_bytes)

    writes = (SILVER_TWEETS, QUARANTINE, ERASURES)
    erase = {SILVER_TWEETS.name: delete_tweets, QUARANTINE.name: erase_rejects}
    expire = {QUARANTINE.name: partial(days_ago, settings.quarantine_days)} if settings.quarantine_days else {}
    prepare = always_ready(process, find_poison, _describe_input)
    return [Stream("silver", source, (BRONZE_TWEETS,), writes, prepare, erase=erase, expire=expire)]


def _describe_input(batch: Batch) -> str:
    if batch.poison:
        return shorten([f"document {position} of {file}" for file, position in (row.key for row in batch.poison)])
    files = batch.rows.select("source_file").distinct().sort("source_file").collect()
    return f"documents of {shorten([row['source_file'] for row in files])}"


def _write(records: DataFrame, batch: Batch, lake: str) -> BatchResult:
    writer = batch.writers[SILVER_TWEETS.name]
    groups = _count(records)
    rejected = Counter({row["reason"]: row["records"] for row in groups if row["reason"]})
    requests = rejected.pop(ERASURE, 0)
    accepted = [row for row in groups if not row["reason"]]
    if rejected:
        batch.writers[QUARANTINE.name].append(rejects(records), batch.id, rejected)
    new = distinct_tweets(records, SILVER_TWEETS)
    erased_ids, erased = _erase(records, new, requests, batch, lake)
    ranges = [(row["lowest"], row["highest"]) for row in accepted]
    dropped_ids = erased_ids | set(known_ids(new, ranges, writer))
    new = without_ids(new, dropped_ids)
    rows = sum(row["ids"] for row in accepted) - len(dropped_ids)
    counts = {
        "documents": sum(row["documents"] for row in groups),
        "rows": rows,
        "duplicates": sum(row["records"] for row in accepted) - rows - erased,
        "erasures": requests,
        "erased": erased,
    }
    if not writer.totals and (expired := read_expired(lake, BRONZE_TWEETS)):
        # Documents that were deleted before the first batch: from then on, Bronze keeps a document until it is read.
        counts["expired"] = expired.rows
    writer.append(new, batch.id, counts)
    landed = max((row["landed"] for row in groups if row["landed"] is not None), default=None)
    return BatchResult({**counts, "quarantine": rejected.total()}, counts["documents"], landed, rejected)


def _erase(records: DataFrame, tweets: DataFrame, requests: int, batch: Batch, lake: str) -> tuple[set[str], int]:
    """Write the erasures of a batch; return the ids of its tweets that are kept out, and the number of their records.

    Args:
        records: records of the batch.
        tweets: distinct tweets among them.
        requests: number of erasure requests among them.
        batch: the batch.
        lake: folder or s3a:// URI of the Delta tables.
    """
    writer = batch.writers[ERASURES.name]
    if not requests and not writer.totals:
        return set(), 0
    requested = requested_erasures(records, batch.id) if requests else None
    covered = erased_tweets(tweets, requested, lake).collect()
    ids = {row["id"] for row in covered}
    if not requests and not ids:
        return ids, 0
    spark = records.sparkSession
    rows = kept_out_landings(records, spark.createDataFrame(covered, "id STRING, kind STRING, key STRING"), batch.id)
    rows = rows if requested is None else rows.union(requested)
    writer.append(rows, batch.id, {"rows": rows.count()})
    return ids, records.where("reason IS NULL").join(ids_frame(spark, ids), "id").count()


def _count(records: DataFrame) -> Sequence[Row]:
    """Count the records per reason, tweet date and length of the id; add the range of ids and the last landing time."""
    return (
        records.groupBy("reason", "tweet_date", F.length("id").alias("id_length"))
        .agg(
            F.count("*").alias("records"),
            F.count_if(F.col("record") == 0).alias("documents"),
            F.count_if(F.col("copy") == 1).alias("ids"),
            F.min("id").alias("lowest"),
            F.max("id").alias("highest"),
            newest("landed_at").alias("landed"),
        )
        .collect()
    )
