"""Silver: read bronze/tweets, write silver/tweets with one row per tweet id, silver/quarantine and silver/erasures."""

from collections import Counter
from collections.abc import Collection, Sequence

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from spark_apps.lake import delta_tables
from spark_apps.lake.erasures import delete_tweets
from spark_apps.lake.ranges import join_ranges
from spark_apps.settings import Settings
from spark_apps.silver.erasures import ERASURE, erase_rejects, erased_tweets, kept_out_landings, requested_erasures
from spark_apps.silver.transform import (
    distinct_tweets,
    find_poison_documents,
    parse_records,
    reject_poison,
    rejects,
)
from spark_apps.silver.tweet import TweetLimits
from spark_apps.silver.user_formats import load_formats
from spark_apps.streaming.poison import PoisonRow
from spark_apps.streaming.stream import Batch, BatchResult, Stream, always_ready, newest
from spark_apps.tables import BRONZE_TWEETS, ERASURES, QUARANTINE, SILVER_TWEETS

# Limit on the total size of the files of bronze/tweets that a batch reads.
_MAX_BRONZE_BYTES = "16m"


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """Return the stream of this layer."""
    (lake,) = settings.require("lake")
    formats = load_formats(settings.formats)
    limits = TweetLimits(settings.max_text_characters, settings.max_mentions)

    def process(batch: Batch) -> BatchResult:
        documents = reject_poison(batch.rows, batch.poison)
        records = parse_records(documents, SILVER_TWEETS, formats, limits, settings.deletion_notices).persist()
        try:
            return _write(records, batch, lake)
        finally:
            records.unpersist()

    def find_poison(batch: Batch) -> Sequence[PoisonRow]:
        return find_poison_documents(batch.rows, SILVER_TWEETS, formats, limits, settings.deletion_notices)

    def source() -> DataFrame:
        return delta_tables.read_stream(spark, lake, BRONZE_TWEETS, _MAX_BRONZE_BYTES)

    writes = (SILVER_TWEETS, QUARANTINE, ERASURES)
    erase = {SILVER_TWEETS.name: delete_tweets, QUARANTINE.name: erase_rejects}
    return [Stream("silver", source, (BRONZE_TWEETS,), writes, always_ready(process, find_poison), erase=erase)]


def _write(records: DataFrame, batch: Batch, lake: str) -> BatchResult:
    groups = _count(records)
    rejected = Counter({row["reason"]: row["records"] for row in groups if row["reason"]})
    requests = rejected.pop(ERASURE, 0)
    accepted = [row for row in groups if not row["reason"]]
    if rejected:
        batch.writers[QUARANTINE.name].append(rejects(records), batch.id, rejected)
    new = distinct_tweets(records, SILVER_TWEETS)
    erased_ids, erased = _erase(records, new, requests, batch, lake)
    dropped_ids = erased_ids | set(_existing_ids(new, accepted, lake))
    if dropped_ids:
        new = new.join(_ids(records.sparkSession, dropped_ids), "id", "left_anti")
    rows = sum(row["ids"] for row in accepted) - len(dropped_ids)
    counts = {
        "documents": sum(row["documents"] for row in groups),
        "rows": rows,
        "duplicates": sum(row["records"] for row in accepted) - rows - erased,
        "erasures": requests,
        "erased": erased,
    }
    batch.writers[SILVER_TWEETS.name].append(new, batch.id, counts)
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
    return ids, records.where("reason IS NULL").join(_ids(spark, ids), "id").count()


def _ids(spark: SparkSession, ids: Collection[str]) -> DataFrame:
    return F.broadcast(spark.createDataFrame([(id_,) for id_ in ids], "id STRING"))


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


def _existing_ids(new: DataFrame, accepted: Sequence[Row], lake: str) -> list[str]:
    """Return the ids of `new` that silver/tweets already contains, on any day.

    Ids of one day and length are close together. With a filter on their ranges, Delta skips nearly all files by the
    statistics in its log. The bounds are strings, because the statistics compare ids as strings.
    """
    if not accepted:
        return []
    in_range = F.lit(False)
    for lowest, highest in join_ranges((row["lowest"], row["highest"]) for row in accepted):
        in_range |= F.col("id").between(lowest, highest)
    table = delta_tables.read(new.sparkSession, lake, SILVER_TWEETS).where(in_range).select("id")
    return [row["id"] for row in table.join(F.broadcast(new.select("id")), "id", "left_semi").collect()]
