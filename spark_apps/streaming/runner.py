"""The only maker of streaming queries: names, checkpoints, triggers, one batch at a time, stopping, progress."""

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
from spark_apps.lake.writer import TableWriter
from spark_apps.settings import seconds
from spark_apps.streaming import checkpoint
from spark_apps.streaming.scheduler import Stopped, Turn
from spark_apps.streaming.stream import Batch, BatchReport, Stream
from spark_apps.tables import Table

_log = logging.getLogger(__name__)
# Spark ends a Python worker that was idle for 60 s, and with it the model that the worker has loaded.
_KEEP_ALIVE_SECONDS = 25.0
# A batch that takes longer to stop is broken off; it is done again, whole and once, at the next start.
_STOP_SECONDS = 10.0
# How often a batch in flight is asked whether tasks of it have ended.
_LOOK_SECONDS = 5.0
# How often a batch that waits for what it cannot do without looks for it.
_PREPARE_SECONDS = 2.0


class StreamError(UserError):
    """A streaming query that ended with an error; the text is for the person who runs it."""

    exit_code = 1


class Streams:
    """The streaming queries of one process."""

    def __init__(
        self,
        spark: SparkSession,
        lake: str,
        on_batch: Callable[[BatchReport], None],
        stop: threading.Event | None = None,
        on_wait: Callable[[str], None] = lambda _: None,
        on_task: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_batch` hears of each batch that had rows.

        `on_wait` hears the name of a stream that waits to begin a batch, `on_task` that of one of whose batch tasks
        have ended meanwhile: a batch that takes long is no batch that hangs.
        """
        self._spark = spark
        self._lake = lake
        self._on_batch = on_batch
        self._on_wait = on_wait
        self._on_task = on_task
        self._stop = stop or threading.Event()
        self._turn = Turn([], set(), self._stop)
        self._gave_up: set[str] = set()

    @property
    def stopping(self) -> threading.Event:
        """Set it, from a signal handler too, to end `run` after the batch in flight."""
        return self._stop

    def run(self, streams: Sequence[Stream], trigger: str | None) -> None:
        """Run `streams` until they are stopped or one fails; with `trigger` None, until all that is there is done.

        The first stream is triggered; the others follow as soon as there is something for them: with a trigger of a
        minute, a tweet passes all of them within that minute. A query that fails leaves its error in the lake
        (`checkpoints/<name>.error.json`) and raises `StreamError`; what keeps a stream from beginning does so under the
        name of the first. Tables that the streams write are made and evolved; for those that another process writes
        this waits, or without a trigger raises `LakeError`.
        """
        try:
            self._run(streams, trigger)
        except Exception as error:
            # Of a pod, nothing else is left a second later. Where the lake is the trouble, the lake cannot keep it.
            # Once a query has failed, which has left its error, or was asked to end, `_stop` is set.
            if not self._stop.is_set():
                with suppress(Exception):
                    checkpoint.keep_error(self._spark, self._lake, streams[0].name, str(error))
            raise

    def _run(self, streams: Sequence[Stream], trigger: str | None) -> None:
        written = {table.name: table for stream in streams for table in stream.writes}
        for table in written.values():
            delta_tables.ensure(self._spark, self._lake, table)
        for stream in streams:
            for table in stream.reads:
                if table.name not in written and not self._wait_for(table, stream.name, once=trigger is None):
                    return
        prompt = {stream.name for stream in streams if not seconds(stream.trigger)}
        self._turn = Turn([stream.name for stream in streams], prompt, self._stop)
        if trigger is None:
            # One after the other: each finds all that the one before has written.
            for stream in streams:
                if not self._stop.is_set():
                    self._watch([self._start(stream, None)])
        else:
            # An idle stream looks for news this often; each look reads the log of a table.
            polling = min(1000, max(100, seconds(trigger) * 1000 / 60))
            self._spark.conf.set("spark.sql.streaming.pollingDelay", f"{int(polling)}ms")
            self._watch(
                [self._start(stream, trigger if stream is streams[0] else stream.trigger) for stream in streams]
            )

    def _wait_for(self, table: Table, stream: str, once: bool) -> bool:
        """Wait for a table that another process writes; False when `stopping` was set meanwhile."""
        said = ""
        while reason := delta_tables.not_ready(self._spark, self._lake, table):
            if once:
                raise LakeError(f"{reason}: run the layer that writes it first")
            if reason != said:
                _log.warning("stream %s waits: %s", stream, reason)
            said = reason
            self._on_wait(stream)
            if self._stop.wait(_PREPARE_SECONDS):
                return False
        return True

    def _start(self, stream: Stream, trigger: str | None) -> StreamingQuery:
        identity = checkpoint.identity(self._spark, self._lake, stream.name, stream.reads + stream.writes)
        app_id = f"{stream.name}:{identity}"
        checkpoint.clear_unfinished(self._spark, self._lake, stream.name)
        writers = {table.name: TableWriter(self._lake, table, stream.name, app_id) for table in stream.writes}

        def process(rows: DataFrame, batch_id: int) -> None:
            try:
                while not stream.prepare():
                    self._on_wait(stream.name)
                    if self._stop.wait(_PREPARE_SECONDS):
                        raise Stopped
                with self._turn.take(stream.name):
                    work(rows, batch_id)
            except Stopped:
                self._gave_up.add(stream.name)
                raise

        def work(rows: DataFrame, batch_id: int) -> None:
            if self._stop.is_set():
                raise Stopped
            if all(writer.has(batch_id) for writer in writers.values()):
                return  # all was written before a kill; only the checkpoint had not heard of it
            began = time.monotonic()
            outcome = stream.process(Batch(rows, batch_id, writers))
            # Tables are rearranged by commits of their own, which come as batches without a row.
            if any(outcome.counts.values()):
                lag = None if outcome.landed is None else time.time() - outcome.landed
                self._on_batch(BatchReport(stream.name, batch_id, time.monotonic() - began, lag, outcome))

        writer = (
            stream.source()
            .writeStream.queryName(stream.name)
            .option("checkpointLocation", checkpoint.location(self._lake, stream.name))
            .foreachBatch(process)
        )
        writer = (
            writer.trigger(availableNow=True) if trigger is None else writer.trigger(processingTime=_spelled(trigger))
        )
        return writer.start()

    def _watch(self, queries: list[StreamingQuery]) -> None:
        touched = looked = time.monotonic()
        ended = _tasks_ended(self._spark)
        try:
            while any(query.isActive for query in queries):
                failed = next((query for query in queries if query.exception() is not None), None)
                if failed or self._stop.wait(0.2):
                    break
                if time.monotonic() - looked > _LOOK_SECONDS:
                    looked, before, ended = time.monotonic(), ended, _tasks_ended(self._spark)
                    if ended != before and (stream := self._turn.holder):
                        self._on_task(stream)
                if time.monotonic() - touched > _KEEP_ALIVE_SECONDS:
                    _touch_workers(self._spark)
                    touched = time.monotonic()
        finally:
            stopped = self._stop.is_set()
            self._stop.set()
            self._turn.wait_until_idle(_STOP_SECONDS)
            for query in queries:
                query.stop()
            if not stopped:
                self._stop.clear()
        for query in queries:
            error = query.exception()
            if error is not None and query.name not in self._gave_up:
                self._stop.set()
                name = str(query.name)
                raise StreamError(checkpoint.keep_error(self._spark, self._lake, name, str(error))) from error


def _tasks_ended(spark: SparkSession) -> dict[int, int]:
    """Count the tasks that have ended well, in each stage that is at work now."""
    tracker = spark.sparkContext.statusTracker()
    stages = {stage: tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()}
    return {stage: info.numCompletedTasks for stage, info in stages.items() if info is not None}


def _touch_workers(spark: SparkSession) -> None:
    def same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches

    spark.range(1, numPartitions=1).mapInArrow(same, "id LONG").collect()


def _spelled(trigger: str) -> str:
    """Return the trigger as Spark spells it."""
    return f"{int(seconds(trigger) * 1000)} milliseconds"
