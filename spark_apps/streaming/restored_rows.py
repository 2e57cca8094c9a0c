"""Leaves out the rows that a RESTORE has put back into the table that a stream reads: the stream has read them."""

import logging
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.lake.commits import LakeError
from spark_apps.lake.restored_files import restored_files
from spark_apps.streaming import checkpoint
from spark_apps.streaming.stream import Stream

_log = logging.getLogger(__name__)


def without_restored(rows: DataFrame, lake: str, stream: Stream, start: Any, end: Any) -> DataFrame:
    """Return the rows of a micro-batch without those that the stream has read before.

    Args:
        rows: rows of the batch, as the source returns them.
        lake: folder or s3a:// URI of the Delta tables and checkpoints.
        stream: stream of the batch, with one table as its source.
        start: offset in the table at which the batch begins, as JSON; None for the first batch.
        end: offset at which the batch ends.

    Raises:
        LakeError: a RESTORE came while the stream read the table for the first time. Which of its files the stream has
            read is not known.
    """
    (table,) = stream.reads
    if start is None or end is None or end["isStartingVersion"]:
        return rows  # files of one version of the table
    # The first reading begins with the files of one version, whatever its commit has done.
    first = int(start["reservoirVersion"]) + start["isStartingVersion"]
    versions = range(first, int(end["reservoirVersion"]) + (end["index"] >= 0))
    restored = restored_files(lake, table, versions)
    if not restored:
        return rows
    if start["isStartingVersion"]:
        folder, written = checkpoint.location(lake, stream.name), [written.path(lake) for written in stream.writes]
        raise LakeError(
            f"RESTORE has added files to {table.path(lake)} while {stream.name} read it for the first time: delete "
            f"{folder} and {' and '.join(written)} to compute them again"
        )
    _log.warning("%s: left out the rows of %d files that RESTORE has put back", stream.name, len(restored.read_before))
    name = F.element_at(F.split(F.input_file_name(), "/"), -1)
    # The batch has the rows of `added_too` twice. Rows of a table are unique.
    return rows.where(~name.isin(list(restored.read_before))).distinct()
