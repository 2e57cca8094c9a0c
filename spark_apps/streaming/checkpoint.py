"""Files of a stream beside Spark's checkpoint: its identity, its poison rows, and the error that ended the stream."""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from spark_apps.lake import delta_tables, hadoop_fs
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
    file = f"{checkpoint}/identity.json"
    table_ids = {table.name: delta_tables.table_id(lake, table) for table in tables}
    text = hadoop_fs.read_text(spark, file)
    if not text:  # a kill can leave an empty file, before the query has read any input
        if hadoop_fs.exists(spark, f"{checkpoint}/offsets"):
            raise LakeError(f"{checkpoint} is the checkpoint of another program: pass another --lake")
        new_id = uuid.uuid4().hex
        hadoop_fs.write_text(spark, file, json.dumps({"id": new_id, "tables": table_ids}))
        return new_id
    identity = json.loads(text)
    changed = sorted(name for name, table_id in table_ids.items() if identity["tables"].get(name) != table_id)
    if changed:
        raise LakeError(
            f"{checkpoint} belongs to other tables than those in {lake} ({', '.join(changed)} recreated or moved): "
            f"restore the tables, or delete {checkpoint} to read all input again"
        )
    return str(identity["id"])


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


def read_offsets(spark: SparkSession, lake: str, stream: str, batch: int) -> Any:
    """Return the end offset of a batch of a stream with one source, as JSON; None if the batch is not planned."""
    text = hadoop_fs.read_text(spark, f"{location(lake, stream)}/offsets/{batch}")
    # The version of the format, metadata of the batch, and one line a source.
    return json.loads(text.splitlines()[2]) if text else None


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


def save_error(spark: SparkSession, lake: str, stream: str, error: str) -> str:
    """Write the error that ended a stream to the lake; return a message with its cause and the file."""
    file = _error_file(lake, stream)
    record = {"stream": stream, "time": datetime.now(UTC).isoformat(), "error": error.strip()}
    hadoop_fs.write_text(spark, file, json.dumps(record, ensure_ascii=False))
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
    """Return the line of a Spark error that names the cause: the last one with an exception outside a stack trace."""
    frames = ("at ", "File ", "...")
    lines = [line.strip() for line in error.splitlines() if line.strip() and not line.strip().startswith(frames)]
    causes = [line for line in lines if "Error" in line or "Exception" in line]
    return (causes or lines or ["no message"])[-1][:500]
