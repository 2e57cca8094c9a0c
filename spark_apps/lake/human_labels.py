"""The table `human_labels`: labels that people give to tweets on the dashboard. The dashboard writes it, without Spark.

The table contains no text and no author: an erasure of a tweet leaves nothing of it here but its id.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from deltalake import DeltaTable, Field, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.schema import PrimitiveType

from spark_apps import tables
from spark_apps.errors import first_line
from spark_apps.lake.commits import LakeError, delta_location, open_table
from spark_apps.tables import HUMAN_LABELS, SCHEMA_VERSION_PROPERTY

_log = logging.getLogger(__name__)
# Each label is a commit with a small file. After this number of commits the files are merged.
_COMPACTED_AFTER = 100
_RETENTION_HOURS = 48


@dataclass(frozen=True)
class HumanLabel:
    """One row of HUMAN_LABELS. `label` is None if the person could not tell, `labelled_by` without a login."""

    id: str
    label: str | None
    labelled_by: str | None
    labelled_at: datetime
    model_label: str
    model_version: str


def append(lake: str, label: HumanLabel) -> None:
    """Append a label to the table, which is created first if it does not exist; several processes may append.

    Raises:
        LakeError: the table cannot be read or written; nothing was written.
    """
    try:
        try:
            delta = _append(lake, label)
        except CommitFailedError:  # another process has created the table in the meantime
            delta = _append(lake, label)
    except (DeltaError, OSError) as error:
        raise LakeError(
            f"{HUMAN_LABELS.path(lake)} cannot be written: {first_line(error)}: give the dashboard the permission to "
            "write this table"
        ) from error
    if delta.version() % _COMPACTED_AFTER == 0:
        _compact(delta)


def _append(lake: str, label: HumanLabel) -> DeltaTable:
    delta = open_table(lake, HUMAN_LABELS) or _create(*delta_location(lake, HUMAN_LABELS))
    write_deltalake(delta, pa.RecordBatch.from_pylist([vars(label)], pa.schema(delta.schema())), mode="append")
    return delta


def _create(path: str, options: dict[str, str] | None) -> DeltaTable:
    fields = [
        Field(column.name, PrimitiveType(column.type.lower()), metadata={"comment": column.comment})
        for column in HUMAN_LABELS.columns
    ]
    properties = {SCHEMA_VERSION_PROPERTY: str(tables.SCHEMA_VERSION)}
    return DeltaTable.create(
        path,
        Schema(fields),
        mode="ignore",
        description=HUMAN_LABELS.comment,
        configuration=properties,
        raise_if_key_not_exists=False,  # deltalake does not know the property
        storage_options=options,
    )


def _compact(delta: DeltaTable) -> None:
    """Merge the files of the table, and delete replaced files and old log entries after the retention."""
    try:
        delta.optimize.compact()
        delta.vacuum(_RETENTION_HOURS, dry_run=False, enforce_retention_duration=False)
        delta.create_checkpoint()
        delta.cleanup_metadata()
    except (DeltaError, OSError) as error:  # the label is written, and the next compaction merges these files too
        _log.warning("%s was not compacted: %s", delta.table_uri, first_line(error))
