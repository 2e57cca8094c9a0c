"""Count gold/trends and gold/mentions again from gold/sentiment, at the end of a rescore or a rebuild."""

import uuid

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.gold.transform import mentions, trends
from spark_apps.lake import delta_tables
from spark_apps.lake.erasures import without_erased
from spark_apps.lake.writer import TableWriter
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS

# The last digits of a sum of floats depend on the order of the rows.
_TOLERANCE = 1e-6


def recount(spark: SparkSession, lake: str, query: str, version: int) -> list[str]:
    """Compute both aggregates again from `version` of gold/sentiment; safe to repeat.

    An aggregate that already has the computed rows is not written. The stream of the aggregates must have read all rows
    of this version: otherwise it would count some of them a second time.

    Returns:
        The names of the aggregates that were replaced.

    Raises:
        LakeError: another process has written an aggregate.
    """
    sentiment, replaced = delta_tables.read(spark, lake, GOLD_SENTIMENT, version), []
    for table, aggregate in ((GOLD_TRENDS, trends), (GOLD_MENTIONS, mentions)):
        writer = TableWriter(lake, table, query, f"{query}:{uuid.uuid4().hex}")
        # Erasures are applied to the aggregates first: they do not count tweets that gold/sentiment may still have.
        rows = aggregate(without_erased(sentiment, lake, writer.erased)).persist()
        try:
            if not _have_same_rows(rows, delta_tables.read(spark, lake, table, writer.current_version())):
                writer.replace(rows, 0)
                replaced.append(table.name)
        finally:
            rows.unpersist()
    return replaced


def _have_same_rows(computed: DataFrame, stored: DataFrame) -> bool:
    """Return whether two frames have the same rows, except for the last digits of sums of floats."""
    sums = [name for name, type_ in computed.dtypes if type_ == "double"]
    exact = [name for name in computed.columns if name not in sums]
    signed = computed.withColumn("sign", F.lit(1)).unionByName(
        stored.select(computed.columns).withColumn("sign", F.lit(-1))
    )
    differences = signed.groupBy(*exact).agg(
        F.sum("sign").alias("sign"), *(F.sum(F.col("sign") * F.col(name)).alias(name) for name in sums)
    )
    differs = F.col("sign") != 0
    for name in sums:
        differs |= F.abs(name) > _TOLERANCE
    return differences.where(differs).isEmpty()
