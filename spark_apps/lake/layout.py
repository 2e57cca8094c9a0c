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


def prepare(spark: SparkSession, lake: str, table: Table) -> None:
    """Remove the list of columns with statistics: Delta refuses statistics of a column that is still a partition.

    The streams that read the table must pass this commit before the rewrite. Afterwards Delta refuses it, because it
    repeats the earlier partitions.
    """
    if open_existing_table(lake, table).metadata().partition_columns != _partitions(table):
        name = delta_tables.sql_name(table.path(lake))
        spark.sql(f"ALTER TABLE {name} UNSET TBLPROPERTIES IF EXISTS ('{_STATISTICS}')")


def rewrite(spark: SparkSession, writer: TableWriter, size: int) -> None:
    """Give a prepared table of `size` bytes the layout of tables.py; safe to repeat.

    Raises:
        LakeError: another process has written the table.
    """
    table = writer.table
    if open_existing_table(writer.lake, table).metadata().partition_columns != _partitions(table):
        rows = delta_tables.read(spark, writer.lake, table, writer.current_version())
        if table.order:
            rows = rows.repartitionByRange(size // _FILE_BYTES + 1, table.order)
        writer.replace(rows, 0, relayout=True)
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in delta_tables.properties(table).items())
    spark.sql(f"ALTER TABLE {delta_tables.sql_name(table.path(writer.lake))} SET TBLPROPERTIES ({properties})")


def _partitions(table: Table) -> list[str]:
    return [table.partition] if table.partition else []
