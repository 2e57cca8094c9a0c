"""The layout of a table: its partitions and its statistics. A table keeps the layout that it was created with."""

import deltalake
from pyspark.sql import SparkSession

from spark_apps.lake import delta_tables
from spark_apps.lake.commits import open_existing_table
from spark_apps.lake.writer import TableWriter
from spark_apps.tables import Table

_STATISTICS = "delta.dataSkippingStatsColumns"
# Delta compacts smaller files with any others, and their ranges become wide.
_FILE_BYTES = 32_000_000


def is_current(delta: deltalake.DeltaTable, table: Table) -> bool:
    """Return whether a table has the layout of tables.py."""
    metadata = delta.metadata()
    return metadata.partition_columns == _partitions(table) and _STATISTICS in metadata.configuration


def rewrite(spark: SparkSession, writer: TableWriter, size: int) -> None:
    """Give a table the layout of tables.py; safe to repeat.

    Args:
        spark: session that writes the lake.
        writer: writer of the table.
        size: size of the table in bytes.

    Raises:
        LakeError: another process has written the table.
    """
    table = writer.table
    name = delta_tables.sql_name(table.path(writer.lake))
    if open_existing_table(writer.lake, table).metadata().partition_columns != _partitions(table):
        # Delta refuses statistics of a partition column, which tweet_date is until the rewrite. Without the property,
        # the rewrite collects the statistics of all columns.
        spark.sql(f"ALTER TABLE {name} UNSET TBLPROPERTIES IF EXISTS ('{_STATISTICS}')")
        rows = delta_tables.read(spark, writer.lake, table, writer.current_version())
        if table.order:
            rows = rows.repartitionByRange(size // _FILE_BYTES + 1, table.order)
        writer.replace(rows, 0, relayout=True)
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in delta_tables.properties(table).items())
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ({properties})")


def _partitions(table: Table) -> list[str]:
    return [table.partition] if table.partition else []
