"""The time of a Silver and a Gold batch on tables of growing size."""

from datetime import UTC, datetime

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_apps import snowflake, storage
from spark_apps.bronze import app as bronze
from spark_apps.demo.generator import Generator
from spark_apps.gold import app as gold
from spark_apps.session import make_session
from spark_apps.settings import Settings
from spark_apps.silver import app as silver
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS
from tests.benchmarks.result import Line, Result
from tests.benchmarks.streams import lake_settings

GROWTH_ROWS = (10**5, 10**6, 10**7)


def growth() -> Result:
    """A Silver and a Gold batch of 1,000 tweets on tables of 10⁵, 10⁶ and 10⁷ rows."""
    with lake_settings() as settings:
        spark = make_session(settings)
        try:
            generator = Generator(4, datetime.now(UTC))
            _batch(spark, settings, generator)
            filled, lines, figures = 0, [], {}
            for rows in GROWTH_ROWS:
                _fill(spark, settings, filled, rows)
                filled = rows
                _batch(spark, settings, generator)
                batches = [_batch(spark, settings, generator) for _ in range(5)]
                medians = {
                    name: float(np.median([seconds[name] for seconds in batches])) for name in ("silver", "gold")
                }
                summary = ", ".join(f"{name} {value:.2f} s" for name, value in medians.items())
                lines.append(Line(f"a batch of 1,000 tweets on {rows:,} rows", summary))
                figures[str(rows)] = medians
            return Result(lines, figures)
        finally:
            spark.stop()


def _batch(spark: SparkSession, settings: Settings, generator: Generator) -> dict[str, float]:
    """Land 1,000 tweets and run the streams once; return the seconds of each stream's batch."""
    for file in generator.files(1_000):
        storage.put(str(settings.landing), file.name, file.data)
    seconds: dict[str, float] = {}
    streams = [*bronze.streams(spark, settings), *silver.streams(spark, settings), *gold.streams(spark, settings)]

    def record(report: BatchReport) -> None:
        seconds[report.stream] = report.seconds

    StreamRunner(spark, str(settings.lake), settings.retention_seconds, record).run(streams, None)
    return seconds


def _fill(spark: SparkSession, settings: Settings, first: int, last: int) -> None:
    """Append the rows `first` to `last` to Silver and Gold, with snowflake ids and 100,000 rows per day.

    `dataChange` is false in these commits, so that Gold does not read the rows as new tweets.
    """
    day_ms = 86_400_000
    time_ms = F.lit(int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)) + (F.col("n") * (day_ms // 100_000))
    rows = (
        spark.range(first, last)
        .withColumnRenamed("id", "n")
        .select(
            (((time_ms - snowflake.EPOCH_MS) * (1 << 22)) + (F.col("n") % 4_000_000)).cast("string").alias("id"),
            F.lit("1").alias("user_id"),
            F.concat(F.lit("a tweet of the past, number "), "n").alias("full_text"),
            F.lit("en").alias("lang"),
            F.timestamp_millis(time_ms).alias("timestamp"),
            F.array(F.lit("someone")).alias("mentions"),
            F.lit("neutral").alias("label"),
            F.lit("flat").alias("format"),
            F.timestamp_millis(time_ms).alias("landed_at"),
            F.timestamp_millis(time_ms).alias("ingested_at"),
            F.timestamp_millis(time_ms).alias("scored_at"),
            F.to_date(F.timestamp_millis(time_ms)).alias("tweet_date"),
        )
    )
    for table in (SILVER_TWEETS, GOLD_SENTIMENT):
        columns = [column.name for column in table.columns if column.name in rows.columns]
        (
            rows.select(columns)
            .write.format("delta")
            .mode("append")
            .option("dataChange", "false")
            .save(table.path(str(settings.lake)))
        )
