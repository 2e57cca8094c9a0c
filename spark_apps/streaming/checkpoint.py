"""Files of a stream beside Spark's checkpoint: its identity, its poison rows, its upkeep, and its last error."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from spark_apps import storage
from spark_apps.errors import first_line
from spark_apps.lake import delta_tables, hadoop_fs
from spark_apps.lake.cleanup import Position
from spark_apps.lake.commits import LakeError
from spark_apps.streaming.poison import PoisonRow
from spark_apps.tables import Table


def location(lake: str, stream: str) -> str:
    """Return the URI of the checkpoint of a stream."""
    return f"{lake}/checkpoints/{stream}"


def ensure_identity(spark: SparkSession, lake: str, stream: str, tables: Sequence[Table]) -> str:
    """Return the id of a stream's checkpoint; create the id for a new checkpoint.

    The identity file holds the checkpoint's id and Delta's ids of the tables. A checkpoint records the input that was
    read. With other tables, a stream would skip that input.

    Args:
        spark: session that reads the lake.
        lake: folder or s3a:// URI of the Delta tables.
        stream: name of the stream.
        tables: tables that the stream reads and writes; they must exist.

    Raises:
        LakeError: the checkpoint belongs to other tables, or to another program.
    """
    checkpoint = location(lake, stream)
    identity = _read_identity(spark, lake, stream)
    if identity is None:
        if hadoop_fs.exists(spark, f"{checkpoint}/offsets"):
            raise LakeError(
                f"{checkpoint} has no identity.json: if it is the checkpoint of another program, pass another --lake; "
                "otherwise delete the folder, and the stream continues where its tables end"
            )
        new_id = uuid.uuid4().hex
        write_identity(spark, lake, stream, new_id, tables)
        return new_id
    table_ids = _table_ids(lake, tables)
    changed = sorted(name for name, table_id in table_ids.items() if identity["tables"].get(name) != table_id)
    if changed:
        raise LakeError(
            f"{checkpoint} belongs to other tables than those in {lake} ({', '.join(changed)} recreated or moved): "
            f"restore the tables, or delete {checkpoint} and {' and '.join(table_ids)} to compute them again"
        )
    return str(identity["id"])


def identity(spark: SparkSession, lake: str, stream: str) -> str | None:
    """Return the id of a stream's checkpoint; None for a new checkpoint."""
    found = _read_identity(spark, lake, stream)
    return None if found is None else str(found["id"])


def write_identity(spark: SparkSession, lake: str, stream: str, id_: str, tables: Sequence[Table]) -> None:
    """Give a stream's checkpoint an id, and bind it to the tables that the stream reads and writes."""
    text = json.dumps({"id": id_, "tables": _table_ids(lake, tables)})
    hadoop_fs.write_text(spark, _identity_file(lake, stream), text)


def _read_identity(spark: SparkSession, lake: str, stream: str) -> Any:
    text = hadoop_fs.read_text(spark, _identity_file(lake, stream))
    return json.loads(text) if text else None  # a kill can leave an empty file, before the query has read any input


def _identity_file(lake: str, stream: str) -> str:
    return f"{location(lake, stream)}/identity.json"


def _table_ids(lake: str, tables: Sequence[Table]) -> dict[str, str]:
    return {table.name: delta_tables.table_id(lake, table) for table in tables}


def remove_temporary_offsets(spark: SparkSession, lake: str, stream: str) -> None:
    """Remove temporary files from a checkpoint without a batch; a kill during the first batch can leave them.

    Spark writes an offset file under a hidden name and then renames the file. Spark refuses a checkpoint that contains
    only hidden offset files.
    """
    file_system, folder = hadoop_fs.file_system(spark, f"{location(lake, stream)}/offsets")
    paths = [status.getPath() for status in file_system.listStatus(folder)] if file_system.exists(folder) else []
    if all(path.getName().startswith(".") for path in paths):
        for path in paths:
            file_system.delete(path, False)


def read_offset(spark: SparkSession, lake: str, stream: str, batch: int) -> Any:
    """Return the end offset of a batch of a stream with one source, as JSON; None if the batch is not planned."""
    text = hadoop_fs.read_text(spark, f"{location(lake, stream)}/offsets/{batch}")
    # The version of the format, metadata of the batch, and one line a source.
    return json.loads(text.splitlines()[2]) if text else None


def last_planned_batch(lake: str, stream: str) -> int:
    """Return the last batch in a stream's checkpoint, processed or not; -1 if there is none."""
    names = storage.names(f"{location(lake, stream)}/offsets")
    return max((int(name) for name in names if name.isdecimal()), default=-1)


def read_position(spark: SparkSession, lake: str, stream: str) -> Position | None:
    """Return the position of a stream in the table that it reads; None if it has not begun."""
    last = last_planned_batch(lake, stream)
    if last < 0:
        return None
    # The first batch has no batch before it, but its end has the version at which it began.
    start, end = (
        int(read_offset(spark, lake, stream, batch)["reservoirVersion"]) for batch in (max(last - 1, 0), last)
    )
    is_processed = str(last) in storage.names(f"{location(lake, stream)}/commits")
    return Position(end if is_processed else start, start)


def add_batch(spark: SparkSession, lake: str, stream: str, batch: int, offset: Any, is_processed: bool) -> None:
    """Add a batch to a stream's checkpoint, as Spark does.

    Args:
        spark: session that will run the query.
        lake: folder or s3a:// URI of the Delta tables.
        stream: name of a stream with one source.
        batch: id of the batch, above those in the checkpoint.
        offset: end offset of the batch, as JSON.
        is_processed: whether the query continues after the batch, or repeats the batch.
    """
    folder = location(lake, stream)
    if "metadata" not in storage.names(folder):
        storage.put(folder, "metadata", json.dumps({"id": str(uuid.uuid4())}).encode())
    if is_processed:
        storage.put(f"{folder}/commits", str(batch), b'v1\n{"nextBatchWatermarkMs":0}')
    # Watermark and settings are for queries with state, but Spark needs the number of partitions.
    conf = {"spark.sql.shuffle.partitions": spark.conf.get("spark.sql.shuffle.partitions")}
    metadata = json.dumps({"batchWatermarkMs": 0, "batchTimestampMs": 0, "conf": conf})
    storage.put(f"{folder}/offsets", str(batch), f"v1\n{metadata}\n{json.dumps(offset)}".encode())


def save_poison(spark: SparkSession, lake: str, stream: str, batch: int, rows: Sequence[PoisonRow]) -> None:
    """Save the rows that a batch leaves out."""
    record = {"batch": batch, "rows": [[row.key, row.cause] for row in rows]}
    hadoop_fs.write_text(spark, _poison_file(lake, stream), json.dumps(record))


def read_poison(spark: SparkSession, lake: str, stream: str) -> tuple[int, tuple[PoisonRow, ...]]:
    """Return the last batch with rows that it leaves out, and these rows; -1 if there is none."""
    text = hadoop_fs.read_text(spark, _poison_file(lake, stream))
    if not text:  # a kill can leave an empty file, before the batch has left out a row
        return -1, ()
    record = json.loads(text)
    return record["batch"], tuple(PoisonRow(tuple(key), cause) for key, cause in record["rows"])


def _poison_file(lake: str, stream: str) -> str:
    return f"{location(lake, stream)}/poison.json"


def save_upkeep(spark: SparkSession, lake: str, stream: str, cleaned_at: Mapping[str, float]) -> None:
    """Save when each table of a stream was cleaned, in Unix seconds."""
    hadoop_fs.write_text(spark, _upkeep_file(lake, stream), json.dumps(cleaned_at))


def read_upkeep(spark: SparkSession, lake: str, stream: str) -> dict[str, float]:
    """Return when each table of a stream was cleaned; empty if none was, and after a kill that cut off the file."""
    try:
        return dict(json.loads(hadoop_fs.read_text(spark, _upkeep_file(lake, stream)) or "{}"))
    except ValueError:
        return {}


def _upkeep_file(lake: str, stream: str) -> str:
    return f"{location(lake, stream)}/upkeep.json"


def save_error(spark: SparkSession, lake: str, stream: str, error: str) -> str:
    """Write the error that ended a stream to the lake; return a message with its cause and the file.

    The lake may be full or out of reach: then the message says that the error was not saved.
    """
    file = _error_file(lake, stream)
    record = {"stream": stream, "time": datetime.now(UTC).isoformat(), "error": error.strip()}
    try:
        hadoop_fs.write_text(spark, file, json.dumps(record, ensure_ascii=False))
    except Exception as other:
        cause = first_line(getattr(other, "java_exception", None) or other)
        return f"stream {stream} failed: {_cause(error)} (the error was not saved to {file}: {cause})"
    return f"stream {stream} failed: {_cause(error)} (full error: {file})"


def last_error(spark: SparkSession, lake: str, streams: Sequence[str]) -> str | None:
    """Return the newest saved error of `streams` as "<time> <stream>: <cause>"; None if no error was saved."""
    texts = [hadoop_fs.read_text(spark, _error_file(lake, stream)) for stream in streams]
    records = [json.loads(text) for text in texts if text]
    if not records:
        return None
    newest = max(records, key=lambda record: str(record["time"]))
    return f"{newest['time']} {newest['stream']}: {_cause(newest['error'])}"


def _error_file(lake: str, stream: str) -> str:
    return f"{location(lake, stream)}.error.json"


def _cause(error: str) -> str:
    """Return the line of a Spark error that names the cause: the last one with an exception outside a stack trace.

    Without such a line, it is the first one: a description of the query follows.
    """
    frames = ("at ", "File ", "...")
    lines = [line.strip() for line in error.splitlines() if line.strip() and not line.strip().startswith(frames)]
    causes = [line for line in lines if "Error" in line or "Exception" in line]
    return (causes[-1:] or lines[:1] or ["no message"])[0][:500]
