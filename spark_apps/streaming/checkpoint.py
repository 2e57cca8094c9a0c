"""The checkpoint of a stream: Spark's offsets, and files for the identity, poison rows, upkeep and last error."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pyspark.sql import SparkSession

from spark_apps import storage
from spark_apps.errors import first_line
from spark_apps.lake import delta_tables, hadoop_fs
from spark_apps.lake.cleanup import Position
from spark_apps.lake.commits import LakeError
from spark_apps.lake.failures import Failure, failure_file
from spark_apps.lake.source_version import version_read
from spark_apps.streaming.poison import PoisonRow
from spark_apps.streaming.stream import Stream
from spark_apps.tables import Table


def location(lake: str, stream: str) -> str:
    """Return the URI of the checkpoint of a stream."""
    return f"{lake}/checkpoints/{stream}"


def ensure_identity(spark: SparkSession, lake: str, stream: Stream) -> str:
    """Return the id of a stream's checkpoint; create the id for a new checkpoint.

    The identity file holds the checkpoint's id and Delta's ids of the tables that the stream reads and writes. If a
    table was replaced, the positions in the checkpoint are wrong: the stream would skip rows.

    Args:
        spark: session that reads the lake.
        lake: folder or s3a:// URI of the Delta tables.
        stream: stream of the checkpoint; its tables must exist.

    Raises:
        LakeError: the checkpoint belongs to other tables, or to another program.
    """
    checkpoint = location(lake, stream.name)
    identity = _read_identity(spark, lake, stream.name)
    if identity is None:
        if hadoop_fs.exists(spark, f"{checkpoint}/offsets"):
            raise LakeError(
                f"{checkpoint} has no identity.json: if it is the checkpoint of another program, pass another --lake; "
                "otherwise delete the folder, and the stream continues where its tables end"
            )
        new_id = uuid.uuid4().hex
        write_identity(spark, lake, stream, new_id)
        return new_id
    table_ids, known = _table_ids(lake, stream), identity["tables"]
    changed = sorted(name for name, table_id in table_ids.items() if known.get(name, table_id) != table_id)
    if changed:
        written = " and ".join(table.name for table in stream.writes)
        raise LakeError(
            f"{checkpoint} belongs to other tables than those in {lake} ({', '.join(changed)} recreated or moved): "
            f"restore the tables, or delete {checkpoint} and {written} to compute them again"
        )
    if known.keys() != table_ids.keys():  # an earlier version of the program did not have all of these tables
        write_identity(spark, lake, stream, identity["id"])
    return str(identity["id"])


def read_id(spark: SparkSession, lake: str, stream: str) -> str | None:
    """Return the id of a stream's checkpoint; None for a new checkpoint."""
    identity = _read_identity(spark, lake, stream)
    return None if identity is None else str(identity["id"])


def write_identity(spark: SparkSession, lake: str, stream: Stream, id_: str) -> None:
    """Give a stream's checkpoint an id, and bind the checkpoint to the tables that the stream reads and writes."""
    text = json.dumps({"id": id_, "tables": _table_ids(lake, stream)})
    hadoop_fs.write_text(spark, _identity_file(lake, stream.name), text)


def _read_identity(spark: SparkSession, lake: str, stream: str) -> Any:
    return _read_json(spark, _identity_file(lake, stream))


def _identity_file(lake: str, stream: str) -> str:
    return f"{location(lake, stream)}/identity.json"


def _table_ids(lake: str, stream: Stream) -> dict[str, str]:
    return {table.name: delta_tables.table_id(lake, table) for table in stream.reads + stream.writes}


def remove_temporary_offsets(spark: SparkSession, lake: str, stream: str) -> None:
    """Remove hidden offset files from a checkpoint that has no other offset file.

    Spark writes an offset file under a hidden name, then renames it. A kill during the first batch can leave only the
    hidden file; Spark refuses to start from such a checkpoint.
    """
    file_system, folder = hadoop_fs.file_system(spark, f"{location(lake, stream)}/offsets")
    paths = [status.getPath() for status in file_system.listStatus(folder)] if file_system.exists(folder) else []
    if all(path.getName().startswith(".") for path in paths):
        for path in paths:
            file_system.delete(path, False)


def read_offset(spark: SparkSession, lake: str, stream: str, batch: int) -> Any:
    """Return the end offset of a batch as JSON, for a stream with one source; None if the batch is not planned yet."""
    text = hadoop_fs.read_text(spark, f"{location(lake, stream)}/offsets/{batch}")
    # Line 1 has the version of the format, line 2 the metadata of the batch, line 3 the offset of the first source.
    return json.loads(text.splitlines()[2]) if text else None


def last_planned_batch(lake: str, stream: str) -> int:
    """Return the id of the last batch that Spark has planned, processed or not; -1 before the first batch."""
    names = storage.names(f"{location(lake, stream)}/offsets")
    return max((int(name) for name in names if name.isdecimal()), default=-1)


def read_position(spark: SparkSession, lake: str, stream: str) -> Position | None:
    """Return the position of a stream in the table that it reads; None before its first batch."""
    last = last_planned_batch(lake, stream)
    if last < 0:
        return None
    # A batch starts at the end offset of the batch before it. The first batch reads the snapshot before its own end
    # offset; if the versions from this offset on are kept, the snapshot stays readable.
    start, end = (
        int(read_offset(spark, lake, stream, batch)["reservoirVersion"]) for batch in (max(last - 1, 0), last)
    )
    is_processed = str(last) in storage.names(f"{location(lake, stream)}/commits")
    return Position(end if is_processed else start, start)


def read_processed_offset(spark: SparkSession, lake: str, stream: str) -> Any:
    """Return the end offset of the last batch that a stream has processed, as JSON; None before the first."""
    last = last_planned_batch(lake, stream)
    is_processed = str(last) in storage.names(f"{location(lake, stream)}/commits")
    return read_offset(spark, lake, stream, last if is_processed else last - 1)


def read_version(spark: SparkSession, lake: str, stream: str, table: Table) -> int | None:
    """Return the version of a table that a stream has read, as `version_read` does; 0 before its first batch.

    If a stream has no batch after it has read all input, the table had no rows: version 0 is its creation.
    """
    last = last_planned_batch(lake, stream)
    return 0 if last < 0 else version_read(lake, table, read_offset(spark, lake, stream, last))


def position_reader(spark: SparkSession, lake: str, table: Table) -> Callable[[], Position | None] | None:
    """Return a function that calls `read_position` for the stream that reads a table; None if no stream reads it."""
    return partial(read_position, spark, lake, table.reader) if table.reader else None


def add_batch(spark: SparkSession, lake: str, stream: str, batch: int, offset: Any, is_processed: bool) -> None:
    """Add a batch to a stream's checkpoint, in the files that Spark would write.

    Args:
        spark: session that will run the query.
        lake: folder or s3a:// URI of the Delta tables.
        stream: name of a stream with one source.
        batch: id of the batch, higher than all ids in the checkpoint.
        offset: end offset of the batch, as JSON.
        is_processed: true to continue after the batch, false to process the batch again.
    """
    folder = location(lake, stream)
    if "metadata" not in storage.names(folder):
        storage.put(folder, "metadata", json.dumps({"id": str(uuid.uuid4())}).encode())
    if is_processed:
        storage.put(f"{folder}/commits", str(batch), b'v1\n{"nextBatchWatermarkMs":0}')
    # Only stateful queries use the watermark and the settings, but Spark requires the number of partitions.
    conf = {"spark.sql.shuffle.partitions": spark.conf.get("spark.sql.shuffle.partitions")}
    metadata = json.dumps({"batchWatermarkMs": 0, "batchTimestampMs": 0, "conf": conf})
    storage.put(f"{folder}/offsets", str(batch), f"v1\n{metadata}\n{json.dumps(offset)}".encode())


def save_poison(spark: SparkSession, lake: str, stream: str, batch: int, rows: Sequence[PoisonRow]) -> None:
    """Save the rows that a batch leaves out."""
    record = {"batch": batch, "rows": [[row.key, row.cause] for row in rows]}
    hadoop_fs.write_text(spark, _poison_file(lake, stream), json.dumps(record))


def read_poison(spark: SparkSession, lake: str, stream: str) -> tuple[int, tuple[PoisonRow, ...]]:
    """Return the id of the last batch with poison rows, and these rows; -1 and no rows if no batch had any."""
    record = _read_json(spark, _poison_file(lake, stream))
    if record is None:
        return -1, ()
    return record["batch"], tuple(PoisonRow(tuple(key), cause) for key, cause in record["rows"])


def _poison_file(lake: str, stream: str) -> str:
    return f"{location(lake, stream)}/poison.json"


def save_upkeep(spark: SparkSession, lake: str, stream: str, cleaned_at: Mapping[str, float]) -> None:
    """Save the time of the last cleaning of each table of a stream, in Unix seconds."""
    hadoop_fs.write_text(spark, _upkeep_file(lake, stream), json.dumps(cleaned_at))


def read_upkeep(spark: SparkSession, lake: str, stream: str) -> dict[str, float]:
    """Return the time of the last cleaning of each table, in Unix seconds; empty without a cleaning."""
    return dict(_read_json(spark, _upkeep_file(lake, stream)) or {})


def _upkeep_file(lake: str, stream: str) -> str:
    return f"{location(lake, stream)}/upkeep.json"


def save_failure(spark: SparkSession, lake: str, failure: Failure) -> str:
    """Save a failure in the lake; return the path of the file, or why the failure was not saved.

    The lake may be full or unreachable.
    """
    file = failure_file(lake, failure.stream)
    try:
        hadoop_fs.write_text(spark, file, failure.to_json())
    except Exception as other:
        return f"the error was not saved to {file}: {first_line(getattr(other, 'java_exception', None) or other)}"
    return f"full error: {file}"


def _read_json(spark: SparkSession, file: str) -> Any:
    """Return the content of a JSON file; None if the file does not exist or is truncated.

    A kill or a full volume can truncate a file while it is written. The stream depends on a file only after the write.
    """
    try:
        return json.loads(hadoop_fs.read_text(spark, file) or "null")
    except ValueError:
        return None
