"""Runs the streams of one process, once their tables exist."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from pyspark.sql import SparkSession

from spark_apps import spark_context
from spark_apps.errors import UserError
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import LakeError
from spark_apps.lake.erasures import newest_position
from spark_apps.lake.failures import Failure
from spark_apps.lake.schema_version import check_schema_versions
from spark_apps.settings import seconds
from spark_apps.streaming import checkpoint
from spark_apps.streaming.outage import outlast
from spark_apps.streaming.query_group import Callbacks, QueryError, QueryGroup
from spark_apps.streaming.stream import BatchReport, Stream
from spark_apps.tables import Table

_log = logging.getLogger(__name__)
# Interval between checks for a missing table.
_WAIT_SECONDS = 2.0


class StreamError(UserError):
    """A streaming query has failed; its error is saved in the lake."""

    exit_code = 1


class StreamRunner:
    """Runs the streams of one process, one micro-batch at a time."""

    def __init__(
        self,
        spark: SparkSession,
        lake: str,
        retention: float,
        on_batch: Callable[[BatchReport], None],
        stop: threading.Event | None = None,
        on_wait: Callable[[str, str], None] = lambda *_: None,
        on_task: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Create a runner.

        Args:
            spark: session that runs the queries.
            lake: folder or s3a:// URI of the Delta tables and checkpoints.
            retention: seconds for which replaced files and old versions of a table are kept.
            on_batch: see `Callbacks`.
            stop: see `stopping`; a new event by default.
            on_wait: see `Callbacks`.
            on_task: see `Callbacks`.
        """
        self._spark = spark
        self._lake = lake
        self._on_batch = on_batch
        self._batches = 0
        self._callbacks = Callbacks(self._count_batch, on_wait, on_task)
        self._stop = stop or threading.Event()
        self._retention = retention

    @property
    def stopping(self) -> threading.Event:
        """Set this event to end `run`. The running batch gets 10 s to finish; the next start repeats a longer one."""
        return self._stop

    def run(self, streams: Sequence[Stream], trigger: str | None) -> None:
        """Run `streams` until a stop is requested or a stream fails.

        First create the tables that the streams write, or evolve them to the current schema, and wait for the tables
        that another process writes. With a trigger, an outage of the storage does not end the streams: the queries are
        started again until the storage responds.

        Args:
            streams: streams, in the order in which tweets pass through them.
            trigger: interval between micro-batches of the first stream. The other streams start a batch as soon as
                they have input: with a trigger of one minute, a tweet passes all streams within that minute. None
                processes all available input, one stream after the other, and returns.

        Raises:
            StreamError: a query has failed. Its error is saved in `checkpoints/<name>.error.json` of the lake. An error
                outside of a query is saved under the first stream's name.
            LakeError: the lake is not usable, a newer version of this program has written one of the tables, or
                `trigger` is None and a table to read does not exist.
        """
        try:
            if trigger is None:
                self._run(streams, None)
            else:
                start, on_outage = partial(self._start, streams, trigger), partial(self._on_outage, streams)
                outlast(start, on_outage, self._stop, lambda: self._batches)
        except QueryError as error:
            failure = Failure(error.stream, datetime.now(UTC), str(error).strip(), error.batch)
            saved = checkpoint.save_failure(self._spark, self._lake, failure)
            raise StreamError(f"stream {failure.place} failed: {failure.cause} ({saved})") from error
        except Exception as error:
            # Save the error in the lake, because the pod and its log disappear when the process exits.
            if not self._stop.is_set():
                failure = Failure(streams[0].name, datetime.now(UTC), str(error).strip())
                checkpoint.save_failure(self._spark, self._lake, failure)
            raise

    def _start(self, streams: Sequence[Stream], trigger: str) -> None:
        try:
            self._run(streams, trigger)
        except Exception:
            if not spark_context.is_alive(self._spark):
                # The refused connection to the JVM looks like an outage, but does not end.
                raise StreamError("the JVM of the driver has ended: see its output above for the reason") from None
            raise

    def _count_batch(self, report: BatchReport) -> None:
        self._batches += 1
        self._on_batch(report)

    def _on_outage(self, streams: Sequence[Stream], outage: str) -> None:
        for stream in streams:
            self._callbacks.on_wait(stream.name, outage)

    def maintain(self, streams: Sequence[Stream]) -> None:
        """Apply the pending erasures to the tables of streams that do not run, and delete old rows.

        Raises:
            LakeError: another process has written a table.
        """
        if newest_position(self._lake) is not None or any(stream.expire for stream in streams):
            self._group(streams).maintain()

    def _run(self, streams: Sequence[Stream], trigger: str | None) -> None:
        written = {table.name: table for stream in streams for table in stream.writes}
        read = [table for stream in streams for table in stream.reads]
        check_schema_versions(self._lake, [*written.values(), *read])
        for table in written.values():
            if self._stop.is_set():
                return
            delta_tables.create_or_evolve(self._spark, self._lake, table, self._retention)
        for stream in streams:
            for table in stream.reads:
                if table.name not in written and not self._wait_for(table, stream.name, once=trigger is None):
                    return
        if trigger is None:
            # Run one stream after the other, so that each stream reads all rows that the streams before it wrote.
            for stream in streams:
                if not self._stop.is_set():
                    self._run_queries([stream], [None])
            if not self._stop.is_set():
                self.maintain(streams)
        else:
            # Each poll of an idle stream reads the log of a table: a long trigger allows a long interval between polls.
            polling_ms = min(1000, max(100, seconds(trigger) * 1000 / 60))
            self._spark.conf.set("spark.sql.streaming.pollingDelay", f"{int(polling_ms)}ms")
            self._run_queries(streams, [trigger, *(stream.trigger for stream in streams[1:])])

    def _run_queries(self, streams: Sequence[Stream], triggers: Sequence[str | None]) -> None:
        self._group(streams).run(triggers)

    def _group(self, streams: Sequence[Stream]) -> QueryGroup:
        return QueryGroup(self._spark, self._lake, streams, self._callbacks, self._stop, self._retention)

    def _wait_for(self, table: Table, stream: str, once: bool) -> bool:
        """Wait until a table that another process writes is readable; return False if a stop was requested before."""
        logged_reason = ""
        while reason := delta_tables.why_not_readable(self._lake, table):
            if once:
                raise LakeError(f"{reason}: run the layer that writes the table first")
            if reason != logged_reason:
                _log.warning("stream %s waits: %s", stream, reason)
            logged_reason = reason
            self._callbacks.on_wait(stream, reason)
            if self._stop.wait(_WAIT_SECONDS):
                return False
        return True
