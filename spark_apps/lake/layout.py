"""The layout of a table: its partitions and its statistics. Only `rewrite` changes the layout of an existing table."""

import deltalake
from pyspark.sql import SparkSession

from spark_apps.lake import delta_tables
from spark_apps.lake.commits import open_existing_table
from spark_apps.lake.writer import TableWriter
from spark_apps.tables import Table

_STATISTICS = "delta.dataSkippingStatsColumns"


def is_current(delta: deltalake.DeltaTable, table: Table) -> bool:
    """Return whether a table has the layout of tables.py."""
    metadata = delta.metadata()
    return metadata.partition_columns == _partitions(table) and _STATISTICS in metadata.configuration


def prepare(spark: SparkSession, lake: str, table: Table) -> None:
    """Remove the list of columns with statistics: Delta refuses statistics of a column that is still a partition.

    The streams that read the table must read past this commit before the rewrite. Afterwards Delta refuses to read the
    commit, because it contains the old partitions.
    """
    if _has_other_partitions(lake, table):
        name = delta_tables.sql_name(table.path(lake))
        spark.sql(f"ALTER TABLE {name} UNSET TBLPROPERTIES IF EXISTS ('{_STATISTICS}')")


def rewrite(spark: SparkSession, writer: TableWriter, size: int) -> None:
    """Give a prepared table the layout of tables.py; safe to repeat.

    Args:
        spark: session that writes the lake.
        writer: writer of the table.
        size: size of the table's data files in bytes.

    Raises:
        LakeError: another process has written the table.
    """
    table = writer.table
    if _has_other_partitions(writer.lake, table):
        rows = delta_tables.read(spark, writer.lake, table, writer.current_version())
        if table.order and not table.merged:
            rows = rows.repartitionByRange(size // table.file_bytes + 1, table.order)
        writer.replace(rows, 0, relayout=True)
    delta = open_existing_table(writer.lake, table)
    delta_tables.set_properties(spark, delta, table.path(writer.lake), delta_tables.layout_properties(table))


def _has_other_partitions(lake: str, table: Table) -> bool:
    return open_existing_table(lake, table).metadata().partition_columns != _partitions(table)


def _partitions(table: Table) -> list[str]:
    return [table.partition] if table.partition else []
