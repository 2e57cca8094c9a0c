"""How far each streaming query of this process is, as Spark tells it and as its batches report it."""

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

from spark_apps.monitoring.metrics import Metrics
from spark_apps.streaming.stream import BatchReport


@dataclass
class _Query:
    touched: float
    batch: int = -1
    waiting_since: float | None = None


class Progress:
    """The state of the queries of `layers`, fed by `Listener`, `on_batch` and `on_wait`, read by the server.

    A query advances when Spark has finished a batch of it or tasks of one, or has looked for news and found none.
    """

    def __init__(self, layers: Sequence[str]) -> None:
        self.layers = layers
        self.error: str | None = None
        # Where Spark's own UI is, once Spark has started.
        self.ui: str | None = None
        self.metrics = Metrics(layers)
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._queries: dict[str, _Query] = {}

    def on_batch(self, report: BatchReport) -> None:
        self.metrics.on_batch(report)
        self.touch(report.stream)

    def on_wait(self, stream: str) -> None:
        """Note that `stream` waits for what it cannot do without: nothing is wrong with the stream itself."""
        with self._lock:
            query = self._query(stream)
            query.touched = time.monotonic()
            query.waiting_since = query.waiting_since or query.touched

    def touch(self, stream: str, batch: int | None = None) -> None:
        """Note that the query `stream` advances; `batch` is the id of the one it has finished."""
        with self._lock:
            query = self._query(stream)
            query.touched, query.waiting_since = time.monotonic(), None
            if batch is not None:
                query.batch = batch
                self.metrics.finished(stream, batch)

    def _query(self, stream: str) -> _Query:
        if stream not in self._queries:
            self._queries[stream] = _Query(time.monotonic())
            self.metrics.ask(stream, lambda: self._seconds_since(stream), lambda: self._seconds_waiting(stream))
        return self._queries[stream]

    def _seconds_waiting(self, stream: str) -> float:
        with self._lock:
            since = self._queries[stream].waiting_since
        return 0.0 if since is None else time.monotonic() - since

    def _seconds_since(self, stream: str) -> float:
        with self._lock:
            return time.monotonic() - self._queries[stream].touched

    def oldest(self) -> float:
        """Return the seconds since the query that is furthest behind has advanced."""
        with self._lock:
            touched = [query.touched for query in self._queries.values()] or [self._started]
        return time.monotonic() - min(touched)

    def to_dict(self) -> Mapping[str, Any]:
        now = time.monotonic()
        with self._lock:
            streams = {
                name: {"batch": query.batch, "seconds_since_progress": round(now - query.touched, 1)}
                for name, query in self._queries.items()
            }
        return {"layer": "+".join(self.layers), "streams": streams, "error": self.error}


class Listener(StreamingQueryListener):
    """Hands what Spark says of its queries to `Progress`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        # Spark names a query in the events of its start and its batches only.
        self._names: dict[object, str] = {}

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's name
        self._names[event.runId] = str(event.name)
        self._progress.touch(str(event.name))

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802
        self._progress.touch(str(event.progress.name), event.progress.batchId)

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802
        if event.runId in self._names:
            self._progress.touch(self._names[event.runId])

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802
        if event.exception:
            self._progress.error = event.exception.strip().splitlines()[0]
