"""Refuses tables of a newer version of this program: its writes would lose what it does not know."""

from collections.abc import Iterable

from deltalake import DeltaTable

from spark_apps import tables
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.tables import SCHEMA_VERSION_PROPERTY, Table


def check_schema_version(lake: str, table: Table, delta: DeltaTable) -> None:
    """Raise `LakeError` if a newer version of this program has written a table."""
    version = int(delta.metadata().configuration.get(SCHEMA_VERSION_PROPERTY, 0))
    if version > tables.SCHEMA_VERSION:
        raise LakeError(
            f"{table.path(lake)} was written by a newer version of this program (schema {version}; this version has "
            f"{tables.SCHEMA_VERSION}): run that version or a later one, or restore a backup from before the upgrade "
            "(docs/backup.md)"
        )


def check_schema_versions(lake: str, some_tables: Iterable[Table]) -> None:
    """Raise `LakeError` if a newer version of this program has written one of the tables; they may not exist yet.

    Call this before the first write to any of them.
    """
    for table in some_tables:
        if (delta := open_table(lake, table)) is not None:
            check_schema_version(lake, table, delta)
