"""The streaming source of Bronze: the documents of new files in the landing.

Spark's file source lists the whole landing for each batch and remembers every file forever. This source remembers only
recent files, and its work depends only on the new files (docs/decisions/0012-landing-source.md).
"""

import heapq
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.streaming.datasource import ReadLimit, SupportsTriggerAvailableNow
from pyspark.sql.types import StructType

from spark_apps.bronze.reader import ReadLimits, read_files
from spark_apps.landing.discovery import Discovery, ListDiscovery
from spark_apps.landing.landed_file import BEGINNING, LandedFile
from spark_apps.landing.listing import open_listing
from spark_apps.landing.log import LandingLog, LandingState
from spark_apps.landing.planner import LandingPlanner
from spark_apps.landing.queue import QueueDiscovery
from spark_apps.landing.spark_file_log import SparkFileLog
from spark_apps.landing.taken import TakenFiles
from spark_apps.streaming.planning_gate import wait_until_open
from spark_apps.tables import BRONZE_TWEETS, ddl

FORMAT = "landing"
Offset = dict[str, Any]
# Limits of a task. Smaller tasks report progress earlier, larger tasks write fewer files.
_TASK_FILES = 100
_TASK_BYTES = 64 << 20
# Time for which a poll waits until the batch could start; a stop of the query waits for it, too.
_GATE_SECONDS = 1.0
# Opening a file takes about as long as reading this many bytes.
_FILE_BYTES = 64 << 10


@dataclass(frozen=True)
class Options:
    """Options of the source, as `to_spark` passes them.

    Attributes:
        landing: folder or s3a:// URI.
        log: folder of the write-ahead log, in the checkpoint.
        queue: URL of the SQS queue with S3's notifications; empty to list the landing.
        max_files: number of files in a batch.
        max_bytes: sum of their sizes, unless a single file is larger.
        parallelism: number of tasks of a batch, if its files suffice.
        gate: path of the `PlanningGate`.
        limits: limits of a task.
    """

    landing: str
    log: str
    queue: str
    max_files: int
    max_bytes: int
    parallelism: int
    gate: str
    limits: ReadLimits

    def to_spark(self) -> dict[str, str]:
        return {name: str(value) for name, value in (vars(self) | asdict(self.limits)).items() if name != "limits"}

    @staticmethod
    def from_spark(options: Mapping[str, str]) -> "Options":
        return Options(
            landing=options["landing"],
            log=options["log"],
            queue=options["queue"],
            max_files=int(options["max_files"]),
            max_bytes=int(options["max_bytes"]),
            parallelism=int(options["parallelism"]),
            gate=options["gate"],
            limits=ReadLimits(*(int(options[name]) for name in ReadLimits.__match_args__)),
        )


class LandingSource(DataSource):
    """Yields rows of BRONZE_TWEETS without the partition column, for `spark.readStream.format("landing")`."""

    @classmethod
    def name(cls) -> str:
        return FORMAT

    def schema(self) -> str:
        return ddl(BRONZE_TWEETS.data_columns)

    def streamReader(self, schema: StructType) -> "LandingReader":  # noqa: N802 - Spark's name
        return LandingReader(Options.from_spark(self.options), to_arrow_schema(schema, timezone="UTC"))


class LandingReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Plans the batches in a process beside the driver, and reads their files in tasks.

    An offset is `{"batch": number of an entry in the log}`. The planner writes the entry before Spark writes the
    offset: after a kill in between, the next process returns the same number. In a recovered checkpoint, which has lost
    the log, the offset also has the partly read files of the batch, as `rest`. A checkpoint of Spark's file source has
    offsets `{"logOffset": number}`.
    """

    def __init__(self, options: Options, schema: pa.Schema) -> None:
        self._options = options
        self._schema = schema
        self._until: float | None = None
        # Only the process beside the driver makes a planner.
        self._planner: LandingPlanner | None = None

    def initialOffset(self) -> Offset:  # noqa: N802 - Spark's name
        return {"batch": 0}

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 - Spark's name
        self._until = time.time()

    def latestOffset(self, start: Offset, _limit: ReadLimit) -> Offset:  # noqa: N802 - Spark's name
        number = start.get("batch", 0)
        if not wait_until_open(self._options.gate, _GATE_SECONDS):
            return start
        if self._planner is None:
            self._planner = self._make_planner(start)
        planned = self._planner.plan(number, self._options.max_files, self._options.max_bytes, self._until)
        return start if planned == number else {"batch": planned}

    def partitions(self, start: Offset, end: Offset) -> Sequence[InputPartition]:
        files = batch_files(self._options.log, start, end)
        return [InputPartition(part) for part in split(files, self._options.parallelism)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        return read_files(partition.value, self._schema, self._options.limits)

    def commit(self, end: Offset) -> None:
        if "batch" in end:
            LandingLog(self._options.log).remove_before(end["batch"])

    def _make_planner(self, start: Offset) -> LandingPlanner:
        options = self._options
        log, listing = LandingLog(options.log), open_listing(options.landing)
        if options.queue:
            # Files that landed before the queue existed have no message: reconcile at once.
            discovery: Discovery = QueueDiscovery(options.queue, options.landing)
            first = LandingState()
        else:
            discovery = ListDiscovery(listing)
            first = LandingState(reconcile_requested_at=time.time())
        number = start.get("batch", 0)
        if number and not log.has(number):
            # The checkpoint was recovered without its log: a reconciliation finds the files that landed until now.
            first = LandingState(TakenFiles(time.time()))
        elif "logOffset" in start and not log.has(1):
            first = _spark_file_log(options.log).adopt(start["logOffset"], listing, log)
        return LandingPlanner(
            log, discovery, number, first, [LandedFile.from_json(file) for file in start.get("rest", ())]
        )


def batch_files(log: str, start: Offset, end: Offset) -> list[LandedFile]:
    """Return the files between two offsets; `log` is the folder of the write-ahead log."""
    if "logOffset" in end:
        return _spark_file_log(log).files(start.get("logOffset", -1), end["logOffset"])
    numbers = range(start.get("batch", 0) + 1, end["batch"] + 1)
    return [file for number in numbers for file in LandingLog(log).files(number)]


def _spark_file_log(log: str) -> SparkFileLog:
    return SparkFileLog(log.rpartition("/")[0])


def split(files: Sequence[LandedFile], parallelism: int) -> list[list[LandedFile]]:
    """Split the files of a batch into tasks.

    Partly read files get at most `parallelism` tasks of their own, which continue the oldest files first: new files do
    not wait for them. The other files fill `parallelism` tasks of about the same size, or more tasks if these would be
    too large.
    """
    partly_read = sorted(file for file in files if file.start != BEGINNING)
    tasks = [partly_read[task::parallelism] for task in range(min(parallelism, len(partly_read)))]
    return tasks + _split_by_size([file for file in files if file.start == BEGINNING], parallelism)


def _split_by_size(files: Sequence[LandedFile], parallelism: int) -> list[list[LandedFile]]:
    size = sum(min(file.size, _TASK_BYTES) for file in files)
    parts = max(min(parallelism, len(files)), -(-len(files) // _TASK_FILES), -(-size // _TASK_BYTES))
    heap: list[tuple[int, int, list[LandedFile]]] = [(0, part, []) for part in range(min(parts, len(files)))]
    for file in sorted(files, key=lambda file: file.size, reverse=True):
        filled, part, members = heap[0]
        members.append(file)
        heapq.heapreplace(heap, (filled + file.size + _FILE_BYTES, part, members))
    return [sorted(members) for _, _, members in sorted(heap)]
