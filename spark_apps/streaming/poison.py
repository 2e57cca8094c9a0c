"""Finds the rows of a micro-batch that end the task which reads them: by a crash, an exception, or time.

A task that dies does not tell which row it was reading. Therefore each task reads its rows once more, one by one, in a
child process that announces each row before it reads the row. The last announced row is the suspect. It is poison if it
also ends a child that reads no other row.
"""

import faulthandler
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

# The function of a `mapInArrow`.
ArrowFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

# A row may take this long for each record batch of its results.
ROW_SECONDS = 60.0
# Loading a model may take this long, on a busy machine.
_WARM_UP_SECONDS = 240.0
_CAUSE_CHARACTERS = 500
_STDERR = 2
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
    rows: DataFrame,
    key: Sequence[str],
    function: ArrowFunction,
    warm_up: Callable[[], object] = lambda: None,
    row_seconds: float = ROW_SECONDS,
) -> list[PoisonRow]:
    """Return the rows with which `function` ends its process, raises an exception, or takes too long.

    Args:
        rows: rows to read.
        key: columns that identify a row.
        function: function of a `mapInArrow`, without side effects.
        warm_up: called in each child before its first row. If it fails, no row is at fault, and this job fails.
        row_seconds: time limit for each record batch that `function` yields.
    """

    def poison(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number, cause in _poison_rows(batch, function, warm_up, row_seconds):
                values = [batch.column(name).slice(number, 1) for name in key]
                yield pa.RecordBatch.from_arrays([*values, pa.array([cause])], names=[*key, "cause"])

    schema = StructType([*rows.select(*key).schema]).add("cause", "string")
    return [PoisonRow(tuple(row)[:-1], row["cause"]) for row in rows.mapInArrow(poison, schema).collect()]


def to_frame(spark: SparkSession, rows: Sequence[PoisonRow], schema: str) -> DataFrame:
    """Return poison rows as a small DataFrame, to join with their batch: the key columns in `schema`, and `cause`."""
    return F.broadcast(spark.createDataFrame([(*row.key, row.cause) for row in rows], f"{schema}, cause STRING"))


def _poison_rows(
    batch: pa.RecordBatch, function: ArrowFunction, warm_up: Callable[[], object], row_seconds: float
) -> Iterator[tuple[int, str]]:
    """Yield the number and the cause of each poison row of `batch`."""
    start = 0
    while start < batch.num_rows:
        end = _run_child(batch.slice(start), function, warm_up, row_seconds)
        if end is None:
            return
        suspect = start + end[0]
        # The memory that the rows before it took, or a passing fault, may have ended the child.
        alone = _run_child(batch.slice(suspect, 1), function, warm_up, row_seconds)
        if alone is not None:
            yield suspect, alone[1]
        start = suspect + 1


def _run_child(
    rows: pa.RecordBatch, function: ArrowFunction, warm_up: Callable[[], object], row_seconds: float
) -> tuple[int, str] | None:
    """Pass `rows` to `function` in a child process.

    Returns:
        The number of the row that ended the child, and how it ended; None if the child has read all rows.

    Raises:
        IsolationError: the child ended before its first row.
    """
    receiver, sender = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=_read_rows, args=(sender, rows, function, warm_up, row_seconds))
    child.start()
    sender.close()
    row, cause = -1, ""
    with receiver, suppress(EOFError):
        while True:
            row, cause = receiver.recv()
    child.join()
    if child.exitcode == 0 and not cause:
        return None
    cause = cause or _describe(child.exitcode or 0, row_seconds)
    if row < 0:
        raise IsolationError(f"a task of this stream cannot begin: {cause}")
    return row, cause


def _describe(exit_code: int, row_seconds: float) -> str:
    if exit_code < 0:
        return f"the process was ended by {signal.Signals(-exit_code).name}"
    return f"no result within {row_seconds:.0f} seconds" if exit_code == 1 else f"the process exited with {exit_code}"


def _read_rows(
    sender: Connection,
    rows: pa.RecordBatch,
    function: ArrowFunction,
    warm_up: Callable[[], object],
    row_seconds: float,
) -> None:
    """Run in the child: send the number of each row before reading it, and an exception if there is one."""
    with suppress(OSError):  # Linux only: if memory runs out, end the child before the worker
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    row = -1
    _limit_time(_WARM_UP_SECONDS)
    try:
        warm_up()
        for row in range(rows.num_rows):
            _limit_time(row_seconds)
            sender.send((row, ""))
            for _ in function(iter([rows.slice(row, 1)])):
                _limit_time(row_seconds)
    except BaseException as error:
        sender.send((row, f"{type(error).__name__}: {error}"[:_CAUSE_CHARACTERS]))


def _limit_time(seconds: float) -> None:
    """End this process with exit code 1 and a stack trace on stderr, unless the next call comes within `seconds`.

    The timer runs in a thread of C: it also ends a process that hangs in native code. The child thus ends in time even
    if the worker has gone.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=_STDERR)
