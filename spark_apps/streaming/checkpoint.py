"""What a stream keeps beside Spark's own checkpoint: its identity, and the error with which it ended."""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from spark_apps.lake import delta_tables, hadoop_fs
from spark_apps.lake.commits import LakeError
from spark_apps.tables import Table


def location(lake: str, stream: str) -> str:
    """Return the checkpoint of a stream."""
    return f"{lake}/checkpoints/{stream}"


def identity(spark: SparkSession, lake: str, stream: str, tables: Sequence[Table]) -> str:
    """Return the id of the checkpoint of a stream that reads and writes `tables`; refuse one made with others.

    A stream that goes on from such a checkpoint would pass over all that it has read for those other tables.
    """
    checkpoint = location(lake, stream)
    file = f"{checkpoint}/identity.json"
    ids = {table.name: delta_tables.table_id(spark, lake, table) for table in tables}
    text = hadoop_fs.read_text(spark, file)
    if not text:  # a kill may leave the file empty, before the query has read anything
        if hadoop_fs.exists(spark, f"{checkpoint}/offsets"):
            raise LakeError(f"{checkpoint} is a checkpoint of another program: choose another lake")
        made = uuid.uuid4().hex
        hadoop_fs.write_text(spark, file, json.dumps({"id": made, "tables": ids}))
        return made
    found = json.loads(text)
    other = sorted(name for name, its_id in ids.items() if found["tables"].get(name) != its_id)
    if other:
        raise LakeError(
            f"{checkpoint} belongs to other tables than those in {lake} ({', '.join(other)} made anew or moved): put "
            f"the tables back, or delete {checkpoint} to read all input again"
        )
    return str(found["id"])


def clear_unfinished(spark: SparkSession, lake: str, stream: str) -> None:
    """Remove what a process has left that was killed before the first batch of the stream was written down.

    Spark writes a file beside its place, hidden, and then renames it. It refuses a checkpoint in which it finds one of
    those and no batch.
    """
    system, folder = hadoop_fs.hadoop(spark, f"{location(lake, stream)}/offsets")
    left = [found.getPath() for found in system.listStatus(folder)] if system.exists(folder) else []
    if all(found.getName().startswith(".") for found in left):
        for found in left:
            system.delete(found, False)


def keep_error(spark: SparkSession, lake: str, stream: str, error: str) -> str:
    """Keep the error with which a stream ended; return the sentence that tells of it."""
    file = _error_file(lake, stream)
    record = {"stream": stream, "time": datetime.now(UTC).isoformat(), "error": error.strip()}
    hadoop_fs.write_text(spark, file, json.dumps(record, ensure_ascii=False))
    return f"stream {stream} failed: {_last_cause(error)} (all of it: {file})"


def last_error(spark: SparkSession, lake: str, streams: Sequence[str]) -> str | None:
    """Return the newest error that one of `streams` has left in the lake, with its time; None where there is none."""
    texts = [hadoop_fs.read_text(spark, _error_file(lake, stream)) for stream in streams]
    records = [json.loads(text) for text in texts if text]
    if not records:
        return None
    newest = max(records, key=lambda record: str(record["time"]))
    return f"{newest['time']} {newest['stream']}: {_last_cause(newest['error'])}"


def _error_file(lake: str, stream: str) -> str:
    return f"{location(lake, stream)}.error.json"


def _last_cause(text: str) -> str:
    """Return the line of a Spark error that says what happened."""
    frames = ("at ", "File ", "...")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith(frames)]
    causes = [line for line in lines if "Error" in line or "Exception" in line]
    return (causes or lines or ["no message"])[-1][:500]
