"""Undoes Delta's RESTORE of a table: the table gets the rows back that it had after its last batch.

RESTORE sets one table back, but not its totals, the positions of the streams and the tables that are computed from it.
A second RESTORE would bring the rows back too, but streams that read the table would read them as new rows.
"""

import uuid
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_apps.errors import first_line
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.lake.reverted import version_before_restore
from spark_apps.lake.schema_version import check_schema_versions
from spark_apps.lake.writer import TableWriter
from spark_apps.tables import TABLES, Table

_QUERY = "undo-restore"


@dataclass(frozen=True)
class UndoneRestore:
    """A table that has its rows back: those of `version`."""

    table: str
    version: int

    def __str__(self) -> str:
        return f"{self.table}: the rows of version {self.version} are back"


def undo_restore(spark: SparkSession, lake: str) -> list[UndoneRestore]:
    """Undo RESTORE in all tables of a lake, each in one commit; safe to repeat. The streams must be stopped.

    Raises:
        LakeError: the files of the lost rows were removed, another process writes a table, or a newer version of this
            program has written one.
    """
    check_schema_versions(lake, TABLES)
    undone = []
    for table in TABLES:
        delta = open_table(lake, table)
        version = version_before_restore(delta) if delta else None
        if version is not None:
            _undo(spark, lake, table, version)
            undone.append(UndoneRestore(table.name, version))
    return undone


def _undo(spark: SparkSession, lake: str, table: Table, version: int) -> None:
    writer = TableWriter(lake, table, _QUERY, f"{_QUERY}:{uuid.uuid4().hex}", is_repair=True)
    try:
        rows = delta_tables.read(spark, lake, table, version)
        writer.restore(rows, version, "Overwrite")
    except (Py4JJavaError, PySparkException) as error:
        raise LakeError(
            f"the rows of {table.path(lake)} at version {version} cannot be read ({first_line(error)}): "
            "restore a backup, see docs/backup.md"
        ) from error
