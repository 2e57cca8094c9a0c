"""Tracks the progress of each streaming query of a process, from Spark's events and from the queries' batches."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from spark_apps.errors import cause_line
from spark_apps.monitoring.metrics import Metrics
from spark_apps.monitoring.stream_reports import StreamReport
from spark_apps.streaming.stream import BatchReport


@dataclass
class _Query:
    """State of a streaming query; times are `time.monotonic()`. `batch` is -1 before the first batch."""

    progress_at: float
    # Whether the query has started: a query that waits for a table, or for the end of an outage, has not.
    started: bool = False
    batch: int = -1
    waiting_since: float | None = None
    # What the query waits for; empty if it does not wait.
    waits_for: str = ""


class Progress:
    """The progress of the queries of `layers`; thread-safe.

    Until the first query has started, the process is starting, which has a limit of its own. A query makes progress
    when it finishes a batch, when tasks of its running batch make progress, when it finds no new data, and while it
    waits for a table, a model or the end of an outage. `Listener` and the callbacks `on_batch`, `on_wait` and `record`
    report progress; the monitoring server reads it.

    Attributes:
        layers: names of the layers in this process.
        error: the error that ended a query of this process or, before that, of the previous one; None without an error.
        spark_ui: URL of Spark's UI; None until Spark has started.
        metrics: the Prometheus metrics.
    """

    def __init__(self, layers: Sequence[str], read_reports: Callable[[], Mapping[str, StreamReport]] = dict) -> None:
        """Start the clocks of the process; see `ReportMetrics` for `read_reports`."""
        self.layers = layers
        self.error: str | None = None
        self.spark_ui: str | None = None
        self.metrics = Metrics(layers, lambda: time.monotonic() - self._asked_at, read_reports)
        self._lock = threading.Lock()
        self._started = self._asked_at = time.monotonic()
        self._queries: dict[str, _Query] = {}

    def on_batch(self, report: BatchReport) -> None:
        """Record a finished micro-batch with input rows."""
        self.metrics.on_batch(report)
        self.record(report.stream)

    def on_wait(self, stream: str, waits_for: str) -> None:
        """Record that a stream waits, which counts as progress: the stream is healthy."""
        with self._lock:
            query = self._query(stream)
            query.progress_at = time.monotonic()
            query.waiting_since = query.waiting_since or query.progress_at
            query.waits_for = waits_for

    def record(self, stream: str, batch: int | None = None) -> None:
        """Record progress of a stream, and the end of its micro-batch with the id `batch` if given."""
        with self._lock:
            query = self._query(stream)
            query.progress_at, query.waiting_since, query.waits_for = time.monotonic(), None, ""
            query.started = True
            if batch is not None:
                query.batch = batch
                self.metrics.set_batch(stream, batch)

    def on_start(self, stream: str) -> None:
        """Record the start of a query. A query that waited for the end of an outage may still wait."""
        with self._lock:
            query = self._query(stream)
            query.progress_at, query.started = time.monotonic(), True

    def on_asked(self) -> None:
        """Record that somebody has asked for the progress: on a cluster, the DAG `keep_streams_running`."""
        self._asked_at = time.monotonic()

    def _query(self, stream: str) -> _Query:
        if stream not in self._queries:
            self._queries[stream] = _Query(time.monotonic())
            self.metrics.add_stream(stream, lambda: self._progress_age(stream), lambda: self._seconds_waiting(stream))
        return self._queries[stream]

    def _seconds_waiting(self, stream: str) -> float:
        with self._lock:
            since = self._queries[stream].waiting_since
        return 0.0 if since is None else time.monotonic() - since

    def _progress_age(self, stream: str) -> float:
        with self._lock:
            return self._age(self._queries[stream])

    def _age(self, query: _Query) -> float:
        """Return the seconds since the last progress of a query; 0 before its start, which has its own limit."""
        return time.monotonic() - query.progress_at if query.started else 0.0

    def why_unhealthy(self, startup_seconds: float, stuck_seconds: float) -> str:
        """Return why this process should be replaced; empty while it is healthy.

        Args:
            startup_seconds: limit for the time until the first query starts. While a query waits, it does not count.
            stuck_seconds: limit for the time without progress of a query that has started.
        """
        now = time.monotonic()
        with self._lock:
            ages = {name: self._age(query) for name, query in self._queries.items()}
            if not any(query.started for query in self._queries.values()):
                starting = now - max([self._started, *(query.progress_at for query in self._queries.values())])
                return f"no query has started for {starting:.0f} s" if starting > startup_seconds else ""
        stuck = [f"{name} for {age:.0f} s" for name, age in ages.items() if age > stuck_seconds]
        return f"without progress: {', '.join(stuck)}" if stuck else ""

    def to_dict(self) -> Mapping[str, Any]:
        """Return the response of `/progress`."""
        with self._lock:
            streams = {
                name: {
                    "batch": query.batch,
                    "seconds_since_progress": round(self._age(query), 1),
                    "waits_for": query.waits_for,
                }
                for name, query in self._queries.items()
            }
        return {"layer": "+".join(self.layers), "streams": streams, "error": self.error}


class Listener(StreamingQueryListener):
    """Reports Spark's events of streaming queries to `Progress`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        # Names of the queries by run id: the event of an idle query contains only the id.
        self._names: dict[object, str] = {}

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's name
        self._names[event.runId] = str(event.name)
        self._progress.on_start(str(event.name))

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802
        self._progress.record(str(event.progress.name), event.progress.batchId)

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802
        if event.runId in self._names:
            self._progress.record(self._names[event.runId])

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802
        if event.exception:
            self._progress.error = cause_line(event.exception)
