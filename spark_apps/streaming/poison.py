"""Finds poison rows: rows of a micro-batch that end the task which reads them.

A poison row crashes the task, raises an exception, or takes too much CPU time or memory. A task that dies does not tell
which row it was reading. Therefore each task reads its rows once more, one by one, in a child process that announces
each row before it reads the row. The last announced row is the suspect. The suspect is poison if it also ends a child
that reads no other row.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from spark_apps import cpu_limit
from spark_apps.map_in_arrow import ArrowFunction
from spark_apps.memory_limit import limit_memory
from spark_apps.storage import is_storage_error

_CAUSE_CHARACTERS = 500
# A forked child shares the imports and the function of the worker. A spawned child would load both again, and could
# crash before its first row.
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class PoisonRow:
    """A row that ends the task which reads it: the values of its key columns, and how the task ended."""

    key: tuple[str | int, ...]
    cause: str


class IsolationError(Exception):
    """A child ended before it read a row: no row is at fault."""


class _ChildEnd(NamedTuple):
    """The last row that a child announced, by its number, and how the child ended."""

    row: int
    cause: str


def find_poison_rows(
    rows: DataFrame, key: Sequence[str], function: ArrowFunction, warm_up: Callable[[], object] = lambda: None
) -> list[PoisonRow]:
    """Return the rows that make `function` end its process or raise an exception.

    A row is not poison if the exception is a storage error.

    Args:
        rows: rows to read.
        key: columns that identify a row.
        function: the function that failed in `mapInArrow`; it must have no side effects.
        warm_up: called in each child before its first row.

    Returns:
        The poison rows, with the values of `key` in their order.

    Raises:
        PythonException: a child ended before its first row (`IsolationError`), for example in `warm_up`.
    """

    def poison(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number, cause in _poison_rows(batch, function, warm_up):
                values = [batch.column(name).slice(number, 1) for name in key]
                yield pa.RecordBatch.from_arrays([*values, pa.array([cause])], names=[*key, "cause"])

    schema = StructType([*rows.select(*key).schema]).add("cause", "string")
    return [PoisonRow(tuple(row)[:-1], row["cause"]) for row in rows.mapInArrow(poison, schema).collect()]


def to_frame(spark: SparkSession, rows: Sequence[PoisonRow], schema: str) -> DataFrame:
    """Return poison rows as a DataFrame to join with their batch: the key columns of `schema`, and `cause`."""
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
        suspect = start + end.row
        # A transient fault, or the memory that earlier rows took, may have ended the child: read the suspect alone.
        end_alone = _run_child(batch.slice(suspect, 1), function, warm_up)
        if end_alone is not None:
            yield suspect, end_alone.cause
        start = suspect + 1


def _run_child(rows: pa.RecordBatch, function: ArrowFunction, warm_up: Callable[[], object]) -> _ChildEnd | None:
    """Pass `rows` to `function` in a child process; return how the child ended, None if it has read all rows.

    Raises:
        IsolationError: the child ended before its first row.
    """
    receiver, sender = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=_read_in_child, args=(sender, rows, function, warm_up))
    child.start()
    sender.close()
    row, cause = -1, ""  # the last message of the child; see `_read_in_child`
    with receiver, suppress(EOFError):
        while True:
            row, cause = receiver.recv()
    child.join()
    if child.exitcode == 0 and not cause:
        return None
    cause = cause or _describe(child.exitcode or 0)
    if row < 0:
        raise IsolationError(f"a task of this stream cannot begin: {cause}")
    return _ChildEnd(row, cause)


def _describe(exit_code: int) -> str:
    if exit_code == -cpu_limit.SIGNAL:
        return f"it took more than {cpu_limit.RECORD_SECONDS:.0f} seconds of CPU time"
    if exit_code < 0:
        return f"the process was ended by {signal.Signals(-exit_code).name}"
    return f"the process exited with {exit_code}"


def _read_in_child(
    sender: Connection, rows: pa.RecordBatch, function: ArrowFunction, warm_up: Callable[[], object]
) -> None:
    """Read rows one by one. Send (number, "") before each row, and (number, cause) after an exception."""
    with suppress(OSError):  # only Linux has this file: if memory runs out, the kernel ends the child before the worker
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    row = -1
    try:
        warm_up()
        limit_memory()
        for row in range(rows.num_rows):
            sender.send((row, ""))
            try:
                deque(function(iter([rows.slice(row, 1)])), maxlen=0)
            except Exception as error:
                if not is_storage_error(error):
                    raise
    except BaseException as error:
        sender.send((row, f"{type(error).__name__}: {error}"[:_CAUSE_CHARACTERS]))
