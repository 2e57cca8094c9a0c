"""Erasures in a micro-batch of Silver: the requests that it contains, and the tweets that erasures keep out."""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps import snowflake
from spark_apps.erasure.request import LANDED_AGAIN, LOCATIONS, TWEET, USER
from spark_apps.lake.erasures import Pending, covered_tweets, tweet_keys
from spark_apps.lake.redaction import erase_texts
from spark_apps.lake.writer import TableWriter
from spark_apps.tables import ERASURES, Column

# The `reason` of a record that is an erasure request.
ERASURE = "erasure"
ERASED_TWEETS = Column("erased_tweets", "ARRAY<STRING>", "ids of the tweets to erase")
ERASED_USERS = Column("erased_users", "ARRAY<STRING>", "keys of the users to erase")
ERASED_LOCATIONS = Column("erased_locations", "ARRAY<STRING>", "keys of the users with locations to erase")
# A tweet cannot land before it was posted, except for the difference between clocks.
_CLOCK_DAYS = 2


def requested_erasures(records: DataFrame, batch: int) -> DataFrame:
    """Return the erasure requests in `records` as rows of ERASURES, which micro-batch `batch` writes."""
    requests = records.where(F.col("reason") == ERASURE)
    posted_ms = F.expr(f"shiftright(try_cast(key AS BIGINT), 22) + {snowflake.EPOCH_MS}")
    since = F.date_sub(F.to_date(F.timestamp_millis(posted_ms)), _CLOCK_DAYS)
    # Other programs number tweets too: an id that would be a time in the future contains no time.
    is_snowflake = (F.col("key").try_cast("BIGINT") >= snowflake.FIRST_ID) & (since <= F.col("ingest_date"))
    rows = [
        requests.withColumn("key", F.explode(keys)).withColumns({"kind": F.lit(kind), "since": first})
        for kind, keys, first in (
            (TWEET, ERASED_TWEETS.name, F.when(is_snowflake, since)),
            (USER, ERASED_USERS.name, F.lit(None).cast("date")),
            (LOCATIONS, ERASED_LOCATIONS.name, F.lit(None).cast("date")),
        )
    ]
    return (
        reduce(DataFrame.unionByName, rows)
        .withColumn("batch", F.lit(batch).cast("bigint"))
        .select(ERASURES.column_names)
    )


def kept_out_landings(records: DataFrame, covered: DataFrame, batch: int) -> DataFrame:
    """Return a row of ERASURES for each erasure that keeps records out, so that Bronze erases their documents.

    Args:
        records: records of the micro-batch.
        covered: columns `id`, `kind` and `key` of the erased tweets among the records.
        batch: the micro-batch.
    """
    landings = records.where("reason IS NULL").join(F.broadcast(covered), "id").groupBy("kind", "key")
    return (
        landings.agg(
            F.min("ingest_date").alias("since"),
            F.min("ingested_at").alias("ingested_at"),
            F.min("source_file").alias("source_file"),
        )
        .withColumns({"why": F.lit(LANDED_AGAIN), "requested_at": F.lit(None).cast("timestamp")})
        .withColumn("batch", F.lit(batch).cast("bigint"))
        .select(ERASURES.column_names)
    )


def erased_tweets(tweets: DataFrame, requested: DataFrame | None, lake: str) -> DataFrame:
    """Return which of `tweets` an erasure covers: columns `id`, `kind` and `key`.

    Args:
        tweets: distinct tweets of the micro-batch.
        requested: erasures that the micro-batch requests; None if it requests none.
        lake: folder or s3a:// URI of the Delta tables.
    """
    covered = covered_tweets(tweets, lake)
    if requested is not None:
        keys = requested.select("kind", "key").distinct()
        covered = covered.union(tweet_keys(tweets).join(F.broadcast(keys), ["kind", "key"]).select("id", "kind", "key"))
    return covered.distinct()


def erase_rejects(pending: Pending, writer: TableWriter) -> None:
    """Remove erased tweets from rejected records; the rows and their reasons stay, so that the sums stay exact."""
    erase_texts(pending, writer, {"detail": F.lit(None)})
