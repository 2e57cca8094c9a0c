"""Runs the streaming queries of one process: the only module that starts queries."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_apps.errors import UserError
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import LakeError
from spark_apps.settings import seconds
from spark_apps.streaming import checkpoint
from spark_apps.streaming.batch_processor import BatchProcessor
from spark_apps.streaming.scheduler import BatchAbandoned, BatchScheduler
from spark_apps.streaming.stream import BatchReport, Process, Stream
from spark_apps.tables import Table

_log = logging.getLogger(__name__)
# Spark ends a Python worker after 60 s without work, and the worker's loaded model with it.
_KEEP_ALIVE_SECONDS = 25.0
# A stop interrupts a batch that takes longer. The next start repeats that batch; its rows are written once.
_STOP_SECONDS = 10.0
# Interval between checks for the progress of the running batch.
_TASK_POLL_SECONDS = 5.0
# A running batch is one of the newest SQL executions. Those that keep the workers alive are newer.
_EXECUTIONS = 50
# Spark waits 10 s for the Python process of a source. On a node where many pods start, its imports can take longer.
_SOURCE_RETRIES = 10
_SOURCE_POLL_SECONDS = 0.05
# Interval between checks for a missing table or model.
_WAIT_SECONDS = 2.0


class StreamError(UserError):
    """A streaming query has failed."""

    exit_code = 1


class StreamRunner:
    """Runs the streaming queries of one process, one micro-batch at a time."""

    def __init__(
        self,
        spark: SparkSession,
        lake: str,
        on_batch: Callable[[BatchReport], None],
        stop: threading.Event | None = None,
        on_wait: Callable[[str], None] = lambda _: None,
        on_task: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Create a runner.

        Args:
            spark: session that runs the queries.
            lake: folder or s3a:// URI of the Delta tables and checkpoints.
            on_batch: called after each micro-batch with input rows.
            stop: see `stopping`; a new event by default.
            on_wait: called with the name of a stream that waits for a table or a model.
            on_task: called with the name of a stream while the tasks of its running batch make progress. Otherwise
                the batch may hang.
        """
        self._spark = spark
        self._lake = lake
        self._on_batch = on_batch
        self._on_wait = on_wait
        self._on_task = on_task
        self._stop = stop or threading.Event()
        self._scheduler = BatchScheduler([], set(), self._stop)
        self._processors: dict[str, BatchProcessor] = {}
        self._abandoned: set[str] = set()

    @property
    def stopping(self) -> threading.Event:
        """Set this event to end `run`. The running batch gets 10 s to finish; the next start repeats a longer one."""
        return self._stop

    def run(self, streams: Sequence[Stream], trigger: str | None) -> None:
        """Run `streams` until they are stopped or one of them fails.

        The tables that the streams write are created, or evolved to the current schema. The runner waits for tables
        that another process writes.

        Args:
            streams: streams, in the order in which tweets pass through them.
            trigger: interval between micro-batches of the first stream. The other streams start a batch as soon as
                they have input: with a trigger of one minute, a tweet passes all streams within that minute. None
                processes all available input, one stream after the other, and returns.

        Raises:
            StreamError: a query has failed. Its error is in the lake, in `checkpoints/<name>.error.json`. An error
                outside of a query is recorded under the first stream's name.
            LakeError: the lake is not usable, or without a trigger a table to read does not exist.
        """
        try:
            self._run(streams, trigger)
        except Exception as error:
            # Save the error in the lake, because the pod and its log disappear when the process exits. Skip this if
            # `_stop` is set: a stop was requested, or a query has failed and its error is already saved.
            if not self._stop.is_set():
                with suppress(Exception):
                    checkpoint.save_error(self._spark, self._lake, streams[0].name, str(error))
            raise

    def _run(self, streams: Sequence[Stream], trigger: str | None) -> None:
        written = {table.name: table for stream in streams for table in stream.writes}
        for table in written.values():
            if self._stop.is_set():
                return
            delta_tables.create_or_evolve(self._spark, self._lake, table)
        for stream in streams:
            for table in stream.reads:
                if table.name not in written and not self._wait_for(table, stream.name, once=trigger is None):
                    return
        immediate = {stream.name for stream in streams if not seconds(stream.trigger)}
        self._scheduler = BatchScheduler([stream.name for stream in streams], immediate, self._stop)
        if trigger is None:
            # One after the other: each stream sees all rows that the stream before it has written.
            for stream in streams:
                if not self._stop.is_set():
                    self._watch([self._start(stream, None)])
        else:
            # An idle stream polls its source every 1/60 of the trigger, 100 ms to 1 s; a poll reads the log of a table.
            polling_ms = min(1000, max(100, seconds(trigger) * 1000 / 60))
            self._spark.conf.set("spark.sql.streaming.pollingDelay", f"{int(polling_ms)}ms")
            self._watch(
                [self._start(stream, trigger if stream is streams[0] else stream.trigger) for stream in streams]
            )

    def _wait_for(self, table: Table, stream: str, once: bool) -> bool:
        """Wait until a table that another process writes is readable; return False if a stop ends the wait."""
        logged_reason = ""
        while reason := delta_tables.why_not_readable(self._lake, table):
            if once:
                raise LakeError(f"{reason}: run the layer that writes the table first")
            if reason != logged_reason:
                _log.warning("stream %s waits: %s", stream, reason)
            logged_reason = reason
            self._on_wait(stream)
            if self._stop.wait(_WAIT_SECONDS):
                return False
        return True

    def _start(self, stream: Stream, trigger: str | None) -> StreamingQuery:
        processor = BatchProcessor(self._spark, self._lake, stream, self._on_batch)
        self._processors[stream.name] = processor
        checkpoint.remove_temporary_offsets(self._spark, self._lake, stream.name)

        def process_batch(rows: DataFrame, batch_id: int) -> None:
            try:
                process = self._prepare(stream)
                with self._scheduler.turn(stream.name):
                    if self._stop.is_set():
                        raise BatchAbandoned
                    processor.process(process, rows, batch_id)
            except BatchAbandoned:
                self._abandoned.add(stream.name)
                raise

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
        # The source of a table has no process.
        retries = 0 if stream.reads else _SOURCE_RETRIES
        for _ in range(retries):
            if not self._source_has_timed_out(query):
                break
            _log.warning(
                "stream %s: Spark has not waited for the process of its source; starting it again", stream.name
            )
            query = writer.start()
        return query

    def _source_has_timed_out(self, query: StreamingQuery) -> bool:
        """Wait until the source of a query is initialised; return whether its Python process was too slow."""
        while query.isActive and "Initializing" in query.status["message"]:
            if self._stop.wait(_SOURCE_POLL_SECONDS):
                return False
        error = query.exception()
        return error is not None and "failed to connect back" in str(error)

    def _prepare(self, stream: Stream) -> Process:
        """Wait until the stream can process a batch. The wait is outside a turn: other streams continue."""
        while (process := stream.prepare()) is None:
            self._on_wait(stream.name)
            if self._stop.wait(_WAIT_SECONDS):
                raise BatchAbandoned
        return process

    def _watch(self, queries: list[StreamingQuery]) -> None:
        """Wait until the queries have ended, or a stop or a failure ends all of them; raise the first failure."""
        kept_alive_at = polled_at = time.monotonic()
        progress = _task_progress(self._spark)
        try:
            while any(query.isActive for query in queries):
                failed = any(query.exception() is not None for query in queries)
                if failed or self._stop.wait(0.2):
                    break
                if time.monotonic() - polled_at > _TASK_POLL_SECONDS:
                    polled_at, progress_before, progress = time.monotonic(), progress, _task_progress(self._spark)
                    stream = self._scheduler.running
                    if stream and (progress != progress_before or self._processors[stream].is_isolating):
                        self._on_task(stream)
                if time.monotonic() - kept_alive_at > _KEEP_ALIVE_SECONDS:
                    _keep_workers_alive(self._spark)
                    kept_alive_at = time.monotonic()
        finally:
            stop_was_requested = self._stop.is_set()
            self._stop.set()
            self._scheduler.wait_until_idle(_STOP_SECONDS)
            for query in queries:
                query.stop()
            if not stop_was_requested:
                self._stop.clear()
        for query in queries:
            error = query.exception()
            if error is not None and query.name not in self._abandoned:
                self._stop.set()
                name = str(query.name)
                raise StreamError(checkpoint.save_error(self._spark, self._lake, name, str(error))) from error


def _task_progress(spark: SparkSession) -> object:
    """Return a value that changes while tasks finish, fail, or read and write rows.

    Executors report the rows and bytes of their running tasks every 10 s: a task of many minutes is seen to work.
    """
    tracker = spark.sparkContext.statusTracker()
    stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    tasks = [(info.stageId, info.numCompletedTasks, info.numFailedTasks) for info in stages if info is not None]
    store = spark._jsparkSession.sharedState().statusStore()
    newest = store.executionsList(max(0, store.executionsCount() - _EXECUTIONS), _EXECUTIONS)
    executions = [newest.apply(number) for number in range(newest.size())]
    running = [execution.executionId() for execution in executions if execution.completionTime().isEmpty()]
    return tasks, [(id_, store.executionMetrics(id_).toString()) for id_ in running]


def _keep_workers_alive(spark: SparkSession) -> None:
    """Run an empty Python task, so that Spark does not end the idle worker."""

    def identity(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches

    spark.range(1, numPartitions=1).mapInArrow(identity, "id LONG").collect()
