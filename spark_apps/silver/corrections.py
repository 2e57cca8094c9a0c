"""Correct the rows of silver/tweets and silver/quarantine from the documents that they came from."""

import logging
import uuid
from dataclasses import dataclass

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from spark_apps.errors import UserError
from spark_apps.lake import delta_tables
from spark_apps.lake.erasures import drop_erased
from spark_apps.lake.hours import HourRange
from spark_apps.lake.writer import TableWriter
from spark_apps.silver.known_ids import id_ranges, known_ids, without_ids
from spark_apps.silver.transform import (
    ParseOptions,
    find_poison_documents,
    parse_records,
    reasons,
    reject_poison,
    rejects,
)
from spark_apps.tables import QUARANTINE, SILVER_TWEETS

_log = logging.getLogger(__name__)
_QUERY = "rebuild"
# The columns of a tweet that name its document: the landing time of the file, and the time at which Bronze read it.
_ORIGIN = ("landed_at", "ingested_at")
# A setting decides whether a notice is rejected or is an erasure request. A rebuild keeps the outcome that it had.
_NO_NOTICE = "reason NOT IN ('deletion', 'notice')"


@dataclass(frozen=True)
class Corrections:
    """The differences that were committed.

    Attributes:
        added: number of tweets that are new in silver/tweets.
        changed: number of rows of silver/tweets with other values.
        removed: number of rows of silver/tweets that no document contains any more.
        rejected: number of rows by which the quarantine has grown; negative if it has shrunk.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    rejected: int = 0

    def __add__(self, other: "Corrections") -> "Corrections":
        return Corrections(
            self.added + other.added,
            self.changed + other.changed,
            self.removed + other.removed,
            self.rejected + other.rejected,
        )

    def __str__(self) -> str:
        return f"{self.added:,} new, {self.changed:,} changed, {self.removed:,} removed, {self.rejected:+,} rejects"


class Corrector:
    """Corrects the tables of Silver part by part."""

    def __init__(self, spark: SparkSession, lake: str, bronze: DataFrame, options: ParseOptions) -> None:
        """Open the tables.

        Args:
            spark: session that writes the lake.
            lake: folder or s3a:// URI of the Delta tables.
            bronze: documents that Silver has read, as rows of BRONZE_TWEETS.
            options: how the documents are parsed.
        """
        self._spark = spark
        self._lake = lake
        self._bronze = bronze
        self._options = options
        self._quarantine, self._tweets = (
            TableWriter(lake, table, _QUERY, f"{_QUERY}:{uuid.uuid4().hex}") for table in (QUARANTINE, SILVER_TWEETS)
        )

    def correct(self, part: HourRange, number: int) -> Corrections:
        """Correct the rows of one part, with the number of its commits.

        Raises:
            LakeError: another process has written a table.
        """
        documents = self._bronze.where(part.condition("ingested_at", "ingest_date"))
        # The whole text of these documents was erased, so their records cannot be parsed again. Rows that remain stay.
        erased = documents.where("problem = 'erased'")
        documents = documents.where("problem IS DISTINCT FROM 'erased'")
        try:
            return self._correct(documents, erased, part, number)
        except UserError:
            raise
        except Exception:
            poison = find_poison_documents(documents, SILVER_TWEETS, self._options)
            if not poison:
                raise
            for row in poison:
                _log.error("document %s is rejected: %s", row.key, row.cause)
            return self._correct(reject_poison(documents, poison), erased, part, number)

    def _correct(self, documents: DataFrame, erased: DataFrame, part: HourRange, number: int) -> Corrections:
        records = parse_records(documents, SILVER_TWEETS, self._options).persist()
        try:
            rejected = self._correct_quarantine(records, erased, part, number)
            added, changed, removed = self._correct_tweets(records, documents, part, number)
        finally:
            records.unpersist()
        return Corrections(added, changed, removed, rejected)

    def _correct_quarantine(self, records: DataFrame, erased: DataFrame, part: HourRange, number: int) -> int:
        condition = f"{part.condition('ingested_at', 'ingest_date')} AND {_NO_NOTICE}"
        if expired := self._quarantine.expired:
            # The quarantine has lost earlier rows because of their age: they must not return, and not count again.
            condition += f" AND ingest_date >= DATE'{expired.before}'"
        version = self._quarantine.current_version()
        stored = delta_tables.read(self._spark, self._lake, QUARANTINE, version).where(condition)
        stored = stored.select(QUARANTINE.column_names)
        of_erased = stored.where("raw IS NULL").join(
            F.broadcast(erased.select("source_file", "ingested_at").distinct()),
            ["source_file", "ingested_at"],
            "left_semi",
        )
        current = rejects(records).where(condition)
        current = current.union(of_erased.select(QUARANTINE.column_names))
        counts = reasons(current.exceptAll(stored))
        counts.subtract(reasons(stored.exceptAll(current)))
        if not counts:
            return 0
        self._quarantine.replace(current, number, condition, counts=counts)
        return counts.total()

    def _correct_tweets(
        self, records: DataFrame, documents: DataFrame, part: HourRange, number: int
    ) -> tuple[int, int, int]:
        """Return how many rows were added, changed and removed."""
        stored = self._stored_tweets(documents, part)
        chosen = _chosen_copies(drop_erased(records.where("reason IS NULL"), self._lake), stored).persist()
        try:
            columns = SILVER_TWEETS.column_names
            changed = chosen.where("is_stored").select(columns).exceptAll(stored).withColumn("is_removed", F.lit(False))
            removed = stored.join(chosen.select("id"), "id", "left_anti").withColumn("is_removed", F.lit(True))
            # The rows depend on the table that the MERGE changes: they must not be computed again.
            corrections = changed.unionByName(removed).localCheckpoint()
            counts = {row["is_removed"]: row["count"] for row in corrections.groupBy("is_removed").count().collect()}
            if counts:
                self._merge(corrections, part, number, counts)
            new = chosen.where("NOT is_stored").select(columns)
            new = without_ids(new, known_ids(new, id_ranges(new), self._tweets)).persist()
            added = new.count()
            self._tweets.append(new, 2 * number + 1, {"rows": added})
            new.unpersist()
        finally:
            chosen.unpersist()
        return added, counts.get(False, 0), counts.get(True, 0)

    def _stored_tweets(self, documents: DataFrame, part: HourRange) -> DataFrame:
        """Return the rows of silver/tweets that come from `documents`.

        A row without a document in bronze/tweets is not among them, so it stays as it is.
        """
        tweets = delta_tables.read(self._spark, self._lake, SILVER_TWEETS, self._tweets.current_version())
        origins = documents.select(F.col("source_modified_at").alias("landed_at"), "ingested_at").distinct()
        in_part = tweets.where(part.condition("ingested_at")).select(SILVER_TWEETS.column_names)
        return in_part.join(F.broadcast(origins), list(_ORIGIN), "left_semi").select(SILVER_TWEETS.column_names)

    def _merge(self, corrections: DataFrame, part: HourRange, number: int, counts: dict[bool, int]) -> None:
        in_part = part.condition("t.ingested_at")
        merge = (
            DeltaTable.forPath(self._spark, SILVER_TWEETS.path(self._lake))
            .alias("t")
            .merge(corrections.alias("s"), f"t.id = s.id AND {in_part}")
            .whenMatchedDelete("s.is_removed")
            .whenMatchedUpdate(set={name: f"s.{name}" for name in SILVER_TWEETS.column_names})
        )
        deleted = {"changed": counts.get(False, 0), "deleted": counts.get(True, 0)}
        self._tweets.merge(merge, self._spark, 2 * number, deleted)


def _chosen_copies(tweets: DataFrame, stored: DataFrame) -> DataFrame:
    """Return one copy of each tweet: the one that `stored` has, and otherwise the first one.

    The column `is_stored` says whether `stored` has the tweet.
    """
    origins = stored.select(
        "id", *(F.col(name).alias(f"stored_{name}") for name in _ORIGIN), F.lit(True).alias("known")
    )
    is_same = [F.col(name).eqNullSafe(F.col(f"stored_{name}")) for name in _ORIGIN]
    first = Window.partitionBy("id").orderBy(F.desc(is_same[0] & is_same[1]), "copy")
    ranked = tweets.join(origins, "id", "left").withColumn("rank", F.row_number().over(first))
    return ranked.where("rank = 1").withColumn("is_stored", F.col("known").isNotNull())
