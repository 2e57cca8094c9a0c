"""Compare a landing with Bronze: find the files that the source has missed."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from itertools import islice

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_apps.lake import delta_tables
from spark_apps.lake.expired import Expired, read_expired, utc_day
from spark_apps.landing.discovery import OVERLAP_SECONDS
from spark_apps.landing.landed_file import LandedFile
from spark_apps.landing.listing import open_listing
from spark_apps.landing.log import MAX_MISSED, LandingLog
from spark_apps.tables import BRONZE_TWEETS

_log = logging.getLogger(__name__)
_SCHEMA = "landed_at DOUBLE, uri STRING, size BIGINT, version STRING, problem STRING"
_ARROW_SCHEMA = pa.schema(
    {"landed_at": pa.float64(), "uri": pa.string(), "size": pa.int64(), "version": pa.string(), "problem": pa.string()}
)
_BATCH_ROWS = 10_000


def answer_request(spark: SparkSession, lake: str, landing: str, log: LandingLog) -> int:
    """Write the list of missed files if the source has requested a reconciliation; return their number."""
    request = log.requested_reconciliation()
    if request is None:
        return 0
    name, before = request
    missed = _find_missed_files(spark, lake, landing, before)
    if missed:
        _log.warning("%d landed files are not in Bronze, the first is %s: reading them now", len(missed), missed[0].uri)
    log.write_missed(name, before, missed)
    return len(missed)


def _find_missed_files(spark: SparkSession, lake: str, landing: str, before: float) -> list[LandedFile]:
    """Return the files that landed before a time and have no document in Bronze, the oldest first.

    Files that may have lost their documents because of their age are excluded.

    Args:
        spark: session that lists the landing and reads Bronze, both in tasks.
        lake: folder or s3a:// URI of the Delta tables.
        landing: folder or s3a:// URI of the landed files.
        before: time in Unix seconds. Later files are excluded, because the source may still find them.

    Returns:
        At most `MAX_MISSED` files.
    """
    after = ignored_until(read_expired(lake, BRONZE_TWEETS))
    listed = spark.range(1, numPartitions=1).mapInArrow(_lister(landing, after, before), _SCHEMA)
    # A file in an archive is `<archive>!/<path>`, and the name of a folder may end with an exclamation mark.
    uris = F.array("source_file", F.substring_index("source_file", "!/", 1))
    read = delta_tables.read(spark, lake, BRONZE_TWEETS).select(F.explode(uris).alias("uri"))
    missed = listed.join(read.distinct(), "uri", "left_anti").orderBy("landed_at", "uri").limit(MAX_MISSED)
    return [LandedFile(*row) for row in missed.select(_ARROW_SCHEMA.names).collect()]


def reconciled_until(log: LandingLog) -> date:
    """Return the first day of the documents that a reconciliation still needs.

    Every file that landed before the last reconciliation was in Bronze at that time, except the files that it missed.
    Documents of earlier days are only of such files, and may be deleted.
    """
    _, before, missed = log.missed()
    return utc_day((missed[0].landed_at if missed else before) - 2 * OVERLAP_SECONDS)


def ignored_until(expired: Expired | None) -> float:
    """Return the landing time, in Unix seconds, up to which files may have lost their documents because of their age.

    A file is read after its landing time, but not by the same clock.
    """
    if expired is None:
        return 0.0
    return datetime.combine(expired.before, datetime.min.time(), UTC).timestamp() + OVERLAP_SECONDS


def _lister(
    landing: str, after: float, before: float
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def rows(_: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        files = (file for file in open_listing(landing).files(after) if file.landed_at < before and _is_text(file.uri))
        while batch := list(islice(files, _BATCH_ROWS)):
            yield pa.RecordBatch.from_pylist([asdict(file) for file in batch], _ARROW_SCHEMA)  # without `start`

    return rows


def _is_text(uri: str) -> bool:
    """Return whether a name is valid UTF-8. Bronze replaces invalid bytes, so other names cannot be compared."""
    return not any("\ud800" <= character <= "\udfff" for character in uri)
