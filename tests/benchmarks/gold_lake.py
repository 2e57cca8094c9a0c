"""Gold tables in a layout of choice, filled and written as Silver and Gold write them, without streams."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps import snowflake
from spark_apps.gold.transform import mentions, trends
from spark_apps.lake.ranges import join_ranges
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, Table, ddl

TODAY = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HISTORY_DAYS, HISTORY_TWEETS = 60, 200_000
ACCOUNTS = 5_000
KEYS = {GOLD_TRENDS: ("minute", "lang", "label"), GOLD_MENTIONS: ("mention", "lang")}
STATISTICS = ("id", "timestamp", "minute", "mention", "scored_at", "ingested_at", "tweet_date")


@dataclass(frozen=True)
class Layout:
    """How tables are divided into files.

    Attributes:
        clause: end of the CREATE TABLE.
        deletion_vectors: whether the tables that are written by MERGEs have deletion vectors.
        merged_mb: size of a compacted file of these tables, in MiB.
        month: whether a column has the first day of the month.
        sort: whether the rows of a batch are sorted by time.
    """

    clause: str = ""
    deletion_vectors: bool = False
    merged_mb: int = 32
    month: bool = False
    sort: bool = True


@dataclass
class GoldLake:
    """The Gold tables in one layout, and the CPU seconds by kind of batch and step."""

    spark: SparkSession
    path: str
    layout: Layout
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    tweets_made: int = 0

    def create(self) -> None:
        for table in (GOLD_SENTIMENT, *KEYS):
            partitioned = "tweet_date" if self.layout.clause.startswith("PARTITIONED BY (tweet_date)") else None
            indexed = ",".join(name for name in table.column_names if name in STATISTICS and name != partitioned)
            vectors = str(self.layout.deletion_vectors and table in KEYS).lower()
            self.spark.sql(
                f"CREATE TABLE delta.`{table.path(self.path)}` ({ddl(table.columns)}"
                f"{', month DATE' if self.layout.month else ''}) USING delta {self.layout.clause} TBLPROPERTIES ("
                f"'delta.autoOptimize.autoCompact' = 'true', 'delta.enableDeletionVectors' = '{vectors}', "
                f"'delta.dataSkippingStatsColumns' = '{indexed}')"
            )

    def tweets(self, number: int, end: datetime, span: timedelta) -> DataFrame:
        """Return `number` rows of gold/sentiment with times in the `span` before `end`, in random order."""
        first, self.tweets_made = self.tweets_made, self.tweets_made + number
        start, step = (end - span).timestamp() * 1000, span.total_seconds() * 1000 / number
        milliseconds = (F.lit(start) + (F.col("n") - first) * F.lit(step)).cast("long")
        random = F.xxhash64("n")
        values = {
            "id": ((milliseconds - snowflake.EPOCH_MS) * (1 << 22) + F.col("n") % 4_000_000).cast("string"),
            "user_id": F.lit("1"),
            "timestamp": F.timestamp_millis(milliseconds),
            "lang": _one_of(random, "en", "es", "ja", "de"),
            "full_text": F.concat(F.lit("a tweet with some words and "), F.sha2(F.col("n").cast("string"), 256)),
            "mentions": F.array(F.concat(F.lit("account"), F.pmod(random, F.lit(ACCOUNTS)).cast("string"))),
            "label": _one_of(F.shiftright(random, 8), "negative", "neutral", "positive"),
            "tweet_date": F.to_date(F.timestamp_millis(milliseconds)),
        }
        rows = self.spark.range(first, first + number).withColumnRenamed("id", "n")
        columns = [
            values.get(column.name, F.lit(None if column.type != "FLOAT" else 0.5)).cast(column.type).alias(column.name)
            for column in GOLD_SENTIMENT.columns
        ]
        return rows.orderBy(random).select(columns).localCheckpoint()

    def fill(self) -> None:
        rows = self.tweets(HISTORY_TWEETS, TODAY, HISTORY_DAYS * DAY)
        for table, frame in ((GOLD_SENTIMENT, rows), (GOLD_TRENDS, trends(rows)), (GOLD_MENTIONS, mentions(rows))):
            by_day = self._with_month(frame).repartitionByRange(8, "tweet_date").sortWithinPartitions("tweet_date")
            by_day.write.format("delta").mode("append").save(table.path(self.path))

    def batch(self, kind: str, tweets: int, end: datetime, span: timedelta) -> None:
        """Look up the ids of new tweets as Silver does, append them as Gold does, and merge the aggregates."""
        rows = self.tweets(tweets, end, span)
        groups = rows.groupBy("tweet_date").agg(F.min("id").alias("low"), F.max("id").alias("high")).collect()
        with self._timed(kind, "look-up"):
            ids = join_ranges((row["low"], row["high"]) for row in groups)
            in_range = " OR ".join(f"id BETWEEN '{low}' AND '{high}'" for low, high in ids)
            existing = self.read(GOLD_SENTIMENT).where(in_range).select("id")
            existing.join(F.broadcast(rows.select("id")), "id", "left_semi").collect()
        with self._timed(kind, "append"):
            ordered = rows.sortWithinPartitions("timestamp") if self.layout.sort else rows
            writer = self._with_month(ordered).write.format("delta").mode("append").option("maxRecordsPerFile", 4_000)
            writer.save(GOLD_SENTIMENT.path(self.path))
        days = sorted(str(row["tweet_date"]) for row in groups)
        for table, aggregate in ((GOLD_TRENDS, trends), (GOLD_MENTIONS, mentions)):
            with self._timed(kind, table.name.removeprefix("gold/")):
                self._merge(table, aggregate(rows), days)

    def _merge(self, table: Table, rows: DataFrame, days: Sequence[str]) -> None:
        ranges = join_ranges((day, day) for day in days)
        in_range = " OR ".join(f"t.tweet_date BETWEEN DATE'{first}' AND DATE'{last}'" for first, last in ranges)
        condition = " AND ".join(f"t.{key} = s.{key}" for key in (*KEYS[table], "tweet_date")) + f" AND ({in_range})"
        if self.layout.month:
            months = ", ".join(sorted({f"DATE'{day[:7]}-01'" for day in days}))
            condition += f" AND t.month = s.month AND t.month IN ({months})"
        counts: dict[str, str | Column] = {
            column.name: f"t.{column.name} + s.{column.name}"
            for column in table.columns
            if column.type in {"BIGINT", "DOUBLE"}
        }
        target = DeltaTable.forPath(self.spark, table.path(self.path)).alias("t")
        merge = target.merge(self._with_month(rows).alias("s"), condition).whenMatchedUpdate(set=counts)
        self.spark.conf.set("spark.databricks.delta.autoCompact.maxFileSize", self.layout.merged_mb << 20)
        merge.whenNotMatchedInsertAll().execute()
        self.spark.conf.set("spark.databricks.delta.autoCompact.maxFileSize", 32 << 20)

    def read(self, table: Table) -> DataFrame:
        return self.spark.read.format("delta").load(table.path(self.path))

    def _with_month(self, rows: DataFrame) -> DataFrame:
        return rows.withColumn("month", F.trunc("tweet_date", "month")) if self.layout.month else rows

    @contextmanager
    def _timed(self, kind: str, step: str) -> Iterator[None]:
        began = self.cpu_seconds()
        yield
        self.seconds.setdefault(kind, {}).setdefault(step, []).append(self.cpu_seconds() - began)

    def cpu_seconds(self) -> float:
        return jvm_cpu_seconds(self.spark)


def jvm_cpu_seconds(spark: SparkSession) -> float:
    """Return the CPU time of the JVM so far, which other work on the machine affects less than wall-clock time."""
    info = spark._jvm.java.lang.ProcessHandle.current().info()  # type: ignore[union-attr]
    return float(info.totalCpuDuration().get().toMillis()) / 1000


def _one_of(random: Column, *values: str) -> Column:
    return F.element_at(F.array(*map(F.lit, values)), (F.pmod(random, F.lit(len(values))) + 1).cast("int"))
