"""Runs the queries of several streams together: they take turns, and end together."""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_apps.errors import first_line
from spark_apps.lake.failures import FailedBatch
from spark_apps.lake.table_log import OtherWriterError
from spark_apps.settings import seconds
from spark_apps.streaming import checkpoint, tasks
from spark_apps.streaming.batch_processor import BatchProcessor
from spark_apps.streaming.scheduler import BatchAbandoned, BatchScheduler
from spark_apps.streaming.stream import BatchReport, Process, Stream

_log = logging.getLogger(__name__)
# Spark ends a Python worker after 60 s without work, and the worker's loaded model with it.
_KEEP_ALIVE_SECONDS = 25.0
# A stop waits this long for the running batch, then interrupts the batch. The next start repeats the batch without
# writing its rows twice.
_STOP_SECONDS = 10.0
# Interval between checks for a stop, and for the end of a query.
_POLL_SECONDS = 0.2
# Interval between checks for the progress of the running batch.
_TASK_POLL_SECONDS = 5.0
# Length of the error that a failed batch reports to Spark.
_MAX_ERROR_CHARACTERS = 500
# Spark waits 10 s for the Python process of a source. On a node where many pods start, the imports of that process can
# take longer.
_SOURCE_RETRIES = 10
_SOURCE_POLL_SECONDS = 0.05
# Interval between checks for pending erasures and old rows. Each check reads the log of a table for each stream.
_MAINTENANCE_POLL_SECONDS = 20.0
# Interval between checks of whether a waiting stream can process a batch.
_WAIT_SECONDS = 2.0


class QueryError(Exception):
    """A streaming query has failed, in the micro-batch `batch` if that is known."""

    def __init__(self, stream: str, error: str, batch: FailedBatch | None = None) -> None:
        super().__init__(error)
        self.stream = stream
        self.batch = batch


@dataclass(frozen=True)
class Callbacks:
    """Functions that report what the streams do.

    Attributes:
        on_batch: called after each micro-batch with input rows.
        on_wait: called every few seconds while a stream waits, with the name of the stream and the reason.
        on_task: called with the name of the running stream every few seconds while its tasks make progress. A batch
            without these calls may hang.
    """

    on_batch: Callable[[BatchReport], None]
    on_wait: Callable[[str, str], None]
    on_task: Callable[[str], None]


class QueryGroup:
    """The queries of streams that start together, take turns, and end together."""

    def __init__(
        self,
        spark: SparkSession,
        lake: str,
        streams: Sequence[Stream],
        callbacks: Callbacks,
        stop: threading.Event,
        retention: float,
    ) -> None:
        """Create a group.

        Args:
            spark: session that runs the queries.
            lake: folder or s3a:// URI of the Delta tables and checkpoints.
            streams: streams, in the order in which tweets pass through them; their tables must exist.
            callbacks: functions to call.
            stop: event that ends the queries.
            retention: seconds for which replaced files and old versions of a table are kept.
        """
        self._spark = spark
        self._lake = lake
        self._streams = streams
        self._callbacks = callbacks
        self._stop = stop
        self._retention = retention
        # Set once a stop is requested or a query fails: batches that wait for their turn are then abandoned.
        self._ending = threading.Event()
        immediate = {stream.name for stream in streams if not seconds(stream.trigger)}
        self._scheduler = BatchScheduler([stream.name for stream in streams], immediate, self._ending)
        self._processors: dict[str, BatchProcessor] = {}
        self._abandoned: set[str] = set()
        # The errors of failed batches: Spark gets only a short text of them.
        self._errors: dict[str, Exception] = {}
        self._maintenance_error: OtherWriterError | None = None

    def run(self, triggers: Sequence[str | None]) -> None:
        """Run the queries until all have ended, one fails, or a stop is requested.

        Args:
            triggers: interval between the micro-batches of each stream; None processes all available input.

        Raises:
            QueryError: a query has failed.
            LakeError: the checkpoint of a stream does not match its tables, or another process has written a table.
        """
        queries: list[StreamingQuery] = []
        maintenance = threading.Thread(target=self._maintain_between_batches, daemon=True)
        first, gate = triggers[0], self._streams[0].gate
        # A source that may not plan would miss its interval, or end the query that processes all available input.
        if gate and first is not None and not seconds(first) and len(self._streams) > 1:
            self._scheduler.gate = gate
        try:
            for stream, trigger in zip(self._streams, triggers, strict=True):
                queries.append(self._start(stream, trigger))
            if any(trigger is not None for trigger in triggers):
                maintenance.start()
            self._watch(queries)
        finally:
            self._ending.set()
            if gate:
                gate.open()
            self._scheduler.wait_until_idle(_STOP_SECONDS)
            for query in queries:
                query.stop()
        if self._maintenance_error is not None:
            raise self._maintenance_error
        for query in queries:
            error, name = query.exception(), str(query.name)
            if error is not None and name not in self._abandoned:
                cause = self._errors.get(name, error)
                text = "".join(traceback.format_exception(cause))
                raise QueryError(name, text, self._processors[name].failed) from cause

    def maintain(self) -> None:
        """Apply the pending erasures to all tables of the streams, which must not run, and delete old rows.

        Raises:
            LakeError: another process has written a table, or silver/erasures is not readable.
        """
        for stream in self._erase_order():
            processor = self._processor(stream)
            processor.maintain(processor.due_maintenance())

    def _erase_order(self) -> list[Stream]:
        """Return the streams in the order in which erasures apply: see `Stream.erase_after`."""
        return list(reversed(self._streams))

    def _maintain_between_batches(self) -> None:
        """Apply erasures and delete old rows until the queries end. Micro-batches and maintenance take turns."""
        while not self._ending.wait(_MAINTENANCE_POLL_SECONDS):
            try:
                for stream in self._erase_order():
                    processor = self._processors[stream.name]
                    if due := processor.due_maintenance():
                        with self._scheduler.turn(stream.name):
                            processor.maintain(due)
            except BatchAbandoned:
                return
            except OtherWriterError as error:
                self._maintenance_error = error
                return
            except Exception as error:
                _log.warning("the check for erasures and old rows failed and is repeated: %s", first_line(error))

    def _processor(self, stream: Stream) -> BatchProcessor:
        on_batch = self._callbacks.on_batch
        return BatchProcessor(self._spark, self._lake, stream, on_batch, self._ending, self._retention)

    def _start(self, stream: Stream, trigger: str | None) -> StreamingQuery:
        processor = self._processors[stream.name] = self._processor(stream)
        checkpoint.remove_temporary_offsets(self._spark, self._lake, stream.name)

        def process_batch(rows: DataFrame, batch_id: int) -> None:
            try:
                process = self._prepare(stream)
                with self._scheduler.turn(stream.name) as turn:
                    if self._ending.is_set():
                        raise BatchAbandoned
                    processor.process(process, rows, batch_id)
                    turn.is_behind = self._is_behind(stream, batch_id)
            except BatchAbandoned:
                self._abandoned.add(stream.name)
                raise
            except Exception as error:
                self._errors[stream.name] = error
                # Spark matches the text of the error with a regular expression that recurses for each character: a long
                # text overflows the stack of the query, which then ends without an error.
                raise RuntimeError(first_line(error)[:_MAX_ERROR_CHARACTERS]) from None

        writer = (
            stream.source()
            .writeStream.queryName(stream.name)
            .option("checkpointLocation", checkpoint.location(self._lake, stream.name))
            .foreachBatch(process_batch)
        )
        if trigger is None:
            writer = writer.trigger(availableNow=True)
        else:
            writer = writer.trigger(processingTime=f"{int(seconds(trigger) * 1000)} milliseconds")
        query = writer.start()
        # Only the landing is read by a Python process; Spark reads tables itself.
        retries = 0 if stream.reads else _SOURCE_RETRIES
        for _ in range(retries):
            if not self._source_timed_out(query):
                break
            _log.warning("stream %s: the process of its source started too slowly; starting it again", stream.name)
            query = writer.start()
        return query

    def _source_timed_out(self, query: StreamingQuery) -> bool:
        """Wait until the source of a query is initialised; return whether its Python process started too slowly."""
        while query.isActive and "Initializing" in query.status["message"]:
            if self._stop.wait(_SOURCE_POLL_SECONDS):
                return False
        error = query.exception()
        return error is not None and "failed to connect back" in str(error)

    def _is_behind(self, stream: Stream, batch: int) -> bool:
        """Return whether another stream of the group has written a version that no batch of `stream` has read.

        False for a stream with its own trigger interval, which is never next: the check reads the log of a table.
        """
        return not seconds(stream.trigger) and any(
            self._processors[stream.name].is_behind(batch, self._processors[other.name].version(table))
            for other in self._streams
            for table in other.writes
            if table in stream.reads
        )

    def _prepare(self, stream: Stream) -> Process:
        """Wait until the stream can process a batch. The stream waits before its turn, so other streams continue."""
        while (process := stream.prepare()) is None:
            self._callbacks.on_wait(stream.name, "a model in production")
            if self._ending.wait(_WAIT_SECONDS):
                raise BatchAbandoned
        return process

    def _watch(self, queries: Sequence[StreamingQuery]) -> None:
        """Return once all queries have ended, a query has failed, or a stop is requested."""
        kept_alive_at = polled_at = time.monotonic()
        progress = tasks.progress(self._spark)
        while any(query.isActive for query in queries):
            has_failed = self._maintenance_error or any(query.exception() is not None for query in queries)
            if has_failed or self._stop.wait(_POLL_SECONDS):
                return
            if time.monotonic() - polled_at > _TASK_POLL_SECONDS:
                polled_at, progress_before, progress = time.monotonic(), progress, tasks.progress(self._spark)
                stream = self._scheduler.running
                if stream and (progress != progress_before or self._processors[stream].progress_is_hidden):
                    self._callbacks.on_task(stream)
            if time.monotonic() - kept_alive_at > _KEEP_ALIVE_SECONDS:
                tasks.keep_workers_alive(self._spark)
                kept_alive_at = time.monotonic()
