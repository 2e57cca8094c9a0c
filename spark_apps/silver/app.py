"""Silver: bronze/tweets → silver/tweets, one row a tweet id for ever, and silver/quarantine."""

from collections import Counter
from collections.abc import Sequence

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from spark_apps.lake import delta_tables
from spark_apps.settings import Settings
from spark_apps.silver.transform import records
from spark_apps.streaming.stream import Batch, BatchResult, Stream, always_ready, newest
from spark_apps.tables import BRONZE_TWEETS, QUARANTINE, SILVER_TWEETS

_MAX_BYTES = "16m"


def streams(spark: SparkSession, settings: Settings) -> list[Stream]:
    """Return the one stream of this layer."""
    (lake,) = settings.require("lake")

    def process(batch: Batch) -> BatchResult:
        found = records(batch.rows, SILVER_TWEETS.columns).persist()
        try:
            return _write(found, batch, lake)
        finally:
            found.unpersist()

    def source() -> DataFrame:
        return delta_tables.read_stream(spark, lake, BRONZE_TWEETS, _MAX_BYTES)

    return [Stream("silver", source, (BRONZE_TWEETS,), (SILVER_TWEETS, QUARANTINE), always_ready(process))]


def _write(found: DataFrame, batch: Batch, lake: str) -> BatchResult:
    groups = _groups(found)
    rejected = Counter({row["reason"]: row["records"] for row in groups if row["reason"]})
    accepted = [row for row in groups if not row["reason"]]
    if rejected:
        batch.writers[QUARANTINE.name].append(found.where("reason IS NOT NULL"), batch.id, rejected)
    new = found.where("reason IS NULL AND copy = 1")
    known = _known_ids(new, accepted, lake)
    if known:
        ids = found.sparkSession.createDataFrame([(id_,) for id_ in known], "id STRING")
        new = new.join(F.broadcast(ids), "id", "left_anti")
    rows = sum(row["ids"] for row in accepted) - len(known)
    counts = {
        "documents": sum(row["documents"] for row in groups),
        "rows": rows,
        "duplicates": sum(row["records"] for row in accepted) - rows,
    }
    batch.writers[SILVER_TWEETS.name].append(new, batch.id, counts)
    landed = max((row["landed"] for row in groups if row["landed"] is not None), default=None)
    return BatchResult({**counts, "quarantine": rejected.total()}, counts["documents"], landed, rejected)


def _groups(found: DataFrame) -> Sequence[Row]:
    """Count the batch in one pass: records a reason, the ids of the tweets with their range a day, the last landing."""
    return (
        found.groupBy("reason", "tweet_date", F.length("id").alias("digits"))
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


def _known_ids(new: DataFrame, accepted: Sequence[Row], lake: str) -> list[str]:
    """Return the ids of `new` that silver/tweets already holds, on whatever day.

    Ids of one length and day lie close together, so their ranges let Delta pass over nearly all files by the
    statistics in its log. The bounds are strings and compared as strings, as the statistics are.
    """
    if not accepted:
        return []
    in_range = F.lit(False)
    for row in accepted:
        in_range |= F.col("id").between(row["lowest"], row["highest"])
    table = delta_tables.read(new.sparkSession, lake, SILVER_TWEETS).where(in_range).select("id")
    return [row["id"] for row in table.join(F.broadcast(new.select("id")), "id", "left_semi").collect()]
