"""What a stream is, and what its micro-batches are given and have done; `streams.py` runs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.lake.writer import TableWriter
from spark_apps.tables import Table


@dataclass(frozen=True)
class Batch:
    """One micro-batch: its rows, its id, and a writer for each table by name."""

    rows: DataFrame
    id: int
    writers: Mapping[str, TableWriter]


@dataclass(frozen=True)
class Outcome:
    """What a micro-batch has done, as far as its layer knows.

    `counts` are what a person wants to see, and `read` is what came in: files, documents or tweets. `landed` is when
    the newest of it landed (Unix seconds), `rejected` are the rejects by reason, `cached` the tweets for which the
    model was not asked, `model_version` is the one that was, and `model_problem` why it is not the one in production.
    `findings` is how many of the stream wait for somebody to look at them.
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
class Stream:
    """One streaming query: what it reads, which tables it writes and how a micro-batch is carried over.

    `prepare` tells whether all is there that a batch cannot do without; until then the batch waits, and other streams
    go on. `trigger` is that of a stream which follows others in one process.
    """

    name: str
    source: Callable[[], DataFrame]
    reads: tuple[Table, ...]
    writes: tuple[Table, ...]
    process: Callable[[Batch], Outcome]
    prepare: Callable[[], bool] = lambda: True
    trigger: str = "0 seconds"


@dataclass(frozen=True)
class BatchReport:
    """What became of one micro-batch: it took `seconds`, and was written `lag` seconds after its newest row landed."""

    stream: str
    batch: int
    seconds: float
    lag: float | None
    outcome: Outcome

    @property
    def counts(self) -> Mapping[str, int]:
        return self.outcome.counts

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items() if count)
        return f"{self.stream} batch {self.batch}: {counts or 'nothing new'} in {self.seconds:.1f} s"


def newest(column: str) -> Column:
    """Return the aggregate that is the latest time of `column` in Unix seconds, null where there is none."""
    return F.unix_micros(F.max(column)) / 1e6
