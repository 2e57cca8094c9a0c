"""Tracks the progress of each streaming query of a process, from Spark's events and from the queries' batches."""

import threading
import time
from collections.abc import Mapping, Sequence
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
from spark_apps.streaming.stream import BatchReport


@dataclass
class _Query:
    """State of a streaming query; times are `time.monotonic()`. `batch` is -1 before the first batch."""

    progress_at: float
    batch: int = -1
    waiting_since: float | None = None
    # What the query waits for; empty if it does not wait.
    waits_for: str = ""


class Progress:
    """The progress of the queries of `layers`; thread-safe.

    A query makes progress when it finishes a batch, when tasks of its running batch make progress, when it finds no new
    data, and while it waits for a table, a model or the end of an outage. `Listener` and the callbacks `on_batch`,
    `on_wait` and `record` report progress; the monitoring server reads it.

    Attributes:
        layers: names of the layers in this process.
        error: the error that ended a query of this process or, before that, of the previous one; None without an error.
        spark_ui: URL of Spark's UI; None until Spark has started.
        metrics: the Prometheus metrics.
    """

    def __init__(self, layers: Sequence[str]) -> None:
        self.layers = layers
        self.error: str | None = None
        self.spark_ui: str | None = None
        self.metrics = Metrics(layers)
        self._lock = threading.Lock()
        self._started = time.monotonic()
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
            if batch is not None:
                query.batch = batch
                self.metrics.set_batch(stream, batch)

    def on_start(self, stream: str) -> None:
        """Record the start of a query. A query that waited for the end of an outage may still wait."""
        with self._lock:
            self._query(stream).progress_at = time.monotonic()

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
            return time.monotonic() - self._queries[stream].progress_at

    def seconds_since_progress(self) -> float:
        """Return the seconds since the last progress of the slowest query; before the first query, since the start."""
        with self._lock:
            times = [query.progress_at for query in self._queries.values()] or [self._started]
        return time.monotonic() - min(times)

    def to_dict(self) -> Mapping[str, Any]:
        """Return the response of `/progress`."""
        now = time.monotonic()
        with self._lock:
            streams = {
                name: {
                    "batch": query.batch,
                    "seconds_since_progress": round(now - query.progress_at, 1),
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
