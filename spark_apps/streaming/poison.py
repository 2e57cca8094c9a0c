"""Finds the rows of a micro-batch that end the task which reads them: by a crash, an exception, or too much CPU time.

A task that dies does not tell which row it was reading. Therefore each task reads its rows once more, one by one, in a
child process that announces each row before it reads the row. The last announced row is the suspect. It is poison if it
also ends a child that reads no other row.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from spark_apps import cpu_limit
from spark_apps.storage import is_storage_error

# The function of a `mapInArrow`.
ArrowFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

_CAUSE_CHARACTERS = 500
# A child must share the state of the worker: a pickled function could crash before its first row.
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class PoisonRow:
    """A row that ends the task which reads it: its values in the key columns of the batch, and how the task ended."""

    key: tuple[str | int, ...]
    cause: str


class IsolationError(Exception):
    """A task ends before it reads a row: no row is at fault."""


def find_poison_rows(
    rows: DataFrame, key: Sequence[str], function: ArrowFunction, warm_up: Callable[[], object] = lambda: None
) -> list[PoisonRow]:
    """Return the rows with which `function` ends its process or raises an exception.

    A row is not at fault if the storage does not answer.

    Args:
        rows: rows to read.
        key: columns that identify a row.
        function: function of a `mapInArrow`, without side effects.
        warm_up: called in each child before its first row. If it fails, no row is at fault, and this job fails.
    """

    def poison(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number, cause in _poison_rows(batch, function, warm_up):
                values = [batch.column(name).slice(number, 1) for name in key]
                yield pa.RecordBatch.from_arrays([*values, pa.array([cause])], names=[*key, "cause"])

    schema = StructType([*rows.select(*key).schema]).add("cause", "string")
    return [PoisonRow(tuple(row)[:-1], row["cause"]) for row in rows.mapInArrow(poison, schema).collect()]


def to_frame(spark: SparkSession, rows: Sequence[PoisonRow], schema: str) -> DataFrame:
    """Return poison rows as a small DataFrame, to join with their batch: the key columns in `schema`, and `cause`."""
    return F.broadcast(spark.createDataFrame([(*row.key, row.cause) for row in rows], f"{schema}, cause STRING"))


def _poison_rows(
    batch: pa.RecordBatch, function: ArrowFunction, warm_up: Callable[[], object]
) -> Iterator[tuple[int, str]]:
    """Yield the number and the cause of each poison row of `batch`."""
    start = 0
    while start < batch.num_rows:
        end = _run_child(batch.slice(start), function, warm_up)
        if end is None:
            return
        suspect = start + end[0]
        # The memory that the rows before it took, or a passing fault, may have ended the child.
        alone = _run_child(batch.slice(suspect, 1), function, warm_up)
        if alone is not None:
            yield suspect, alone[1]
        start = suspect + 1


def _run_child(rows: pa.RecordBatch, function: ArrowFunction, warm_up: Callable[[], object]) -> tuple[int, str] | None:
    """Pass `rows` to `function` in a child process.

    Returns:
        The number of the row that ended the child, and how it ended; None if the child has read all rows.

    Raises:
        IsolationError: the child ended before its first row.
    """
    receiver, sender = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=_read_rows, args=(sender, rows, function, warm_up))
    child.start()
    sender.close()
    row, cause = -1, ""
    with receiver, suppress(EOFError):
        while True:
            row, cause = receiver.recv()
    child.join()
    if child.exitcode == 0 and not cause:
        return None
    cause = cause or _describe(child.exitcode or 0)
    if row < 0:
        raise IsolationError(f"a task of this stream cannot begin: {cause}")
    return row, cause


def _describe(exit_code: int) -> str:
    if exit_code == -cpu_limit.SIGNAL:
        return f"it took more than {cpu_limit.RECORD_SECONDS:.0f} seconds of CPU time"
    if exit_code < 0:
        return f"the process was ended by {signal.Signals(-exit_code).name}"
    return f"the process exited with {exit_code}"


def _read_rows(
    sender: Connection, rows: pa.RecordBatch, function: ArrowFunction, warm_up: Callable[[], object]
) -> None:
    """Run in the child: send the number of each row before reading it, and an exception if there is one."""
    with suppress(OSError):  # Linux only: if memory runs out, end the child before the worker
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    row = -1
    try:
        warm_up()
        for row in range(rows.num_rows):
            sender.send((row, ""))
            try:
                deque(function(iter([rows.slice(row, 1)])), maxlen=0)
            except Exception as error:
                if not is_storage_error(error):
                    raise
    except BaseException as error:
        sender.send((row, f"{type(error).__name__}: {error}"[:_CAUSE_CHARACTERS]))
