"""How far each streaming query of this process is, as Spark tells it and as its batches report it."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from spark_apps.stream import BatchReport

_SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)


@dataclass
class _Query:
    touched: float
    batch: int = -1


@dataclass
class Progress:
    """The state of the queries of `layers`, fed by `Listener` and `on_batch`, read by the server.

    A query advances when Spark has finished a batch of it, or has looked for news and found none.
    """

    layers: Sequence[str]
    error: str | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._queries: dict[str, _Query] = {}
        self._rows = Counter(
            "tweet_sentiment_rows",
            "What the batches counted: rows written, duplicates dropped, rejects by reason.",
            ["stream", "kind"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tweet_sentiment_batch_seconds",
            "Time of the micro-batches that had rows.",
            ["stream"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batch = Gauge(
            "tweet_sentiment_batch", "Id of the last finished micro-batch.", ["stream"], registry=self.registry
        )
        self._age = Gauge(
            "tweet_sentiment_seconds_since_progress",
            "Seconds since a query finished a batch or found no news.",
            ["stream"],
            registry=self.registry,
        )

    def on_batch(self, report: BatchReport) -> None:
        for kind, count in report.counts.items():
            self._rows.labels(report.stream, kind).inc(count)
        self._seconds.labels(report.stream).observe(report.seconds)
        self.touch(report.stream)

    def touch(self, stream: str, batch: int | None = None) -> None:
        """Note that the query `stream` advances; `batch` is the id of the one it has finished."""
        with self._lock:
            if stream not in self._queries:
                self._age.labels(stream).set_function(lambda: self._seconds_since(stream))
            query = self._queries.setdefault(stream, _Query(0.0))
            query.touched = time.monotonic()
            if batch is not None:
                query.batch = batch
                self._batch.labels(stream).set(batch)

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
