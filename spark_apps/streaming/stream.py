"""The definition of a stream, and the input and result of its micro-batches; `runner.py` runs the streams."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.lake.erasures import Pending
from spark_apps.lake.writer import TableWriter
from spark_apps.streaming.planning_gate import PlanningGate
from spark_apps.streaming.poison import PoisonRow
from spark_apps.tables import Table


@dataclass(frozen=True)
class Batch:
    """One micro-batch.

    Attributes:
        rows: input rows.
        id: id of the batch in the checkpoint.
        writers: one writer per table, by the table's name.
        poison: rows that end their task, found after a task has failed. The batch records these rows without reading
            their content.
    """

    rows: DataFrame
    id: int
    writers: Mapping[str, TableWriter]
    poison: Sequence[PoisonRow] = ()


@dataclass(frozen=True)
class BatchResult:
    """The result of one micro-batch.

    Attributes:
        counts: number of rows per outcome, such as `rows` and `duplicates`; logged and summed over all batches.
        read: number of input rows: files (Bronze), documents (Silver) or tweets (Gold).
        landed: when the newest input row landed, in Unix seconds; None if unknown.
        rejected: number of quarantined records by reason.
        cached: number of tweets with a cached score; None if the stream does not score.
        model_version: version of the model that scored the batch; None if the stream does not score.
        model_problem: why the model version in production was not used; empty if it was.
        findings: number of findings of the quality check that nobody has acknowledged; None if the stream does not
            score.
    """

    counts: Mapping[str, int]
    read: int
    landed: float | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    cached: int | None = None
    model_version: str | None = None
    model_problem: str = ""
    findings: int | None = None


@dataclass(frozen=True)
class Process:
    """The function that processes a micro-batch.

    Attributes:
        run: writes the tables of the batch and returns what was written.
        find_poison: returns the rows of the batch that end their task; called after `run` has failed. None if the
            content of a row cannot end a task.
        describe_input: returns where the poison rows of the batch come from or, without any, what the batch reads;
            called for the report of a failure. None if the batch cannot tell.
    """

    run: Callable[[Batch], BatchResult]
    find_poison: Callable[[Batch], Sequence[PoisonRow]] | None = None
    describe_input: Callable[[Batch], str] | None = None


@dataclass(frozen=True)
class Stream:
    """One streaming query.

    Attributes:
        name: name of the query and of its checkpoint.
        source: returns the streaming DataFrame to read.
        reads: tables of the lake that `source` reads.
        writes: tables that the micro-batches write. A batch with input commits to at least one of these tables.
        prepare: returns the `Process` of the next micro-batch, or None while the batch has to wait, for example for a
            model. Other streams continue meanwhile.
        trigger: interval between micro-batches. The first stream of a run has the trigger of the run instead.
        position: converts the end offset of a batch to the offset that the commits of the batch store, where a
            recovered checkpoint continues.
        erase: for each table with tweets, the function that applies erasures to it, between micro-batches.
        expire: for each table with an age limit, the function that returns the first day to keep. The stream needs no
            rows of earlier days to recognise its input.
        gate: keeps `source` from planning a batch; None if it cannot.
        erase_after: tables to which an erasure is applied before it is applied to the tables of this stream.
    """

    name: str
    source: Callable[[], DataFrame]
    reads: tuple[Table, ...]
    writes: tuple[Table, ...]
    prepare: Callable[[], Process | None]
    trigger: str = "0 seconds"
    position: Callable[[Any], Any] = lambda offset: offset
    erase: Mapping[str, Callable[[Pending, TableWriter], None]] = field(default_factory=dict)
    expire: Mapping[str, Callable[[], date]] = field(default_factory=dict)
    erase_after: tuple[Table, ...] = ()
    gate: PlanningGate | None = None


def always_ready(
    run: Callable[[Batch], BatchResult],
    find_poison: Callable[[Batch], Sequence[PoisonRow]] | None = None,
    describe_input: Callable[[Batch], str] | None = None,
) -> Callable[[], Process]:
    """Return a `Stream.prepare` for micro-batches that never have to wait."""
    return lambda: Process(run, find_poison, describe_input)


def shorten(names: Sequence[str], most: int = 3) -> str:
    """Return up to `most` names, and the number of the others."""
    others = len(names) - most
    return ", ".join(names[:most]) + (f" and {others:,} more" if others > 0 else "")


@dataclass(frozen=True)
class BatchReport:
    """A finished micro-batch.

    Attributes:
        stream: name of the stream.
        batch: id of the micro-batch.
        seconds: time that the batch took, without waiting.
        lag: seconds from the landing of the newest input row to the end of the batch; None if unknown.
        result: what the batch read and wrote.
    """

    stream: str
    batch: int
    seconds: float
    lag: float | None
    result: BatchResult

    @property
    def counts(self) -> Mapping[str, int]:
        return self.result.counts

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items() if count)
        return f"{self.stream} batch {self.batch}: {counts or 'no new rows'} in {self.seconds:.1f} s"


def newest(column: str) -> Column:
    """Return an aggregate: the latest time in `column` in Unix seconds, null if all values are null."""
    return F.unix_micros(F.max(column)) / 1e6
