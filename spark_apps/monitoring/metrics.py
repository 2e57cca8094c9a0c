"""The Prometheus metrics of a driver; docs/operations.md explains how to use each of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from spark_apps.monitoring.stream_reports import ReportedState, StreamReport
from spark_apps.streaming.stream import BatchReport

# Upper bounds of the buckets of `batch_seconds`.
_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)
# Prefix of all metric names.
_PREFIX = "tweet_sentiment"


class ReportMetrics(Collector):
    """What Airflow has reported about all layers. A layer that is down has no driver that could export it itself."""

    def __init__(self, read_reports: Callable[[], Mapping[str, StreamReport]]) -> None:
        """Create the collector; `read_reports` returns the reports by layer, and is called at each scrape."""
        self._read_reports = read_reports

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics of the layers that somebody holds, and of those that need a person."""
        held = GaugeMetricFamily(
            f"{_PREFIX}_held_seconds",
            "Time since somebody, or keep_streams_running, has stopped the layer.",
            labels=["layer", "owner", "acknowledged"],
        )
        needs_action = GaugeMetricFamily(
            f"{_PREFIX}_needs_action", "1 while the layer does not recover before a person acts.", labels=["layer"]
        )
        for layer, report in self._read_reports().items():
            if hold := report.hold:
                seconds = (datetime.now(UTC) - (hold.since or report.at)).total_seconds()
                held.add_metric([layer, hold.owner, str(bool(hold.acknowledged)).lower()], max(seconds, 1))
            needs_action.add_metric([layer], report.state is ReportedState.NEEDS_ACTION)
        yield from (held, needs_action)


class Metrics:
    """The metrics of the streams of one process, labelled by stream."""

    def __init__(
        self,
        layers: Sequence[str],
        since_asked: Callable[[], float],
        read_reports: Callable[[], Mapping[str, StreamReport]] = dict,
    ) -> None:
        """Register the metrics, and set the start time of each of `layers` to now.

        Args:
            layers: names of the layers in this process.
            since_asked: returns the seconds since the last request for `/progress`.
            read_reports: see `ReportMetrics`.
        """
        self.registry = CollectorRegistry()
        self.registry.register(ReportMetrics(read_reports))
        self._version: str | None = None
        self._read = self._counter(
            "read", "Input rows: files (Bronze), documents (Silver), tweets (Gold and its aggregates)."
        )
        self._rows = self._counter(
            "rows", "Output by kind, such as rows written, duplicates, and tweets without a label.", "kind"
        )
        self._quarantined = self._counter("quarantined", "Quarantined records by reason.", "reason")
        self._cache_hits = self._counter("cache_hits", "Tweets labelled from the cache of scored texts.")
        self._seconds = Histogram(
            f"{_PREFIX}_batch_seconds",
            "Duration of the micro-batches with input rows.",
            ["stream"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._batch = self._gauge("batch", "Id of the last finished micro-batch.")
        self._lag = self._gauge(
            "lag_seconds", "Time from the newest landing in the last micro-batch until that batch was written."
        )
        self._speed = self._gauge("read_per_second", "Input rows per second during the last micro-batch.")
        self._model = self._gauge("model_info", "1 for the model version that scored last.", "version")
        self._stale = self._gauge(
            "model_stale", "1 while an older model version scores, because the version in production is not available."
        )
        self._findings = self._gauge("findings", "Unacknowledged findings of the quality check of the stream.")
        self._progress_age = self._gauge(
            "seconds_since_progress", "Time since the stream finished a micro-batch or found no new data."
        )
        self._waiting = self._gauge(
            "waiting_seconds",
            "Time that the stream has been waiting for a table, a model or the end of an outage; otherwise 0.",
        )
        started = Gauge(
            f"{_PREFIX}_started_timestamp_seconds",
            "Start time of this driver; each restart changes it.",
            ["layer"],
            registry=self.registry,
        )
        unwatched = Gauge(
            f"{_PREFIX}_unwatched_seconds",
            "Time since keep_streams_running last asked this driver for its progress.",
            ["layer"],
            registry=self.registry,
        )
        for layer in layers:
            started.labels(layer).set_to_current_time()
            unwatched.labels(layer).set_function(since_asked)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", help_text, ["stream", *labels], registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", help_text, ["stream", *labels], registry=self.registry)

    def on_batch(self, report: BatchReport) -> None:
        """Update the metrics with a finished micro-batch that had input rows."""
        stream, result = report.stream, report.result
        self._read.labels(stream).inc(result.read)
        for kind, count in result.counts.items():
            self._rows.labels(stream, kind).inc(count)
        for reason, count in result.rejected.items():
            self._quarantined.labels(stream, reason).inc(count)
        self._seconds.labels(stream).observe(report.seconds)
        self._speed.labels(stream).set(result.read / report.seconds)
        if report.lag is not None:
            self._lag.labels(stream).set(report.lag)
        if result.cached is not None:
            self._cache_hits.labels(stream).inc(result.cached)
        if result.model_version is not None:
            self._stale.labels(stream).set(bool(result.model_problem))
        if result.findings is not None:
            self._findings.labels(stream).set(result.findings)
        if result.model_version not in {None, self._version}:
            self._version = result.model_version
            self._model.clear()
            self._model.labels(stream, self._version).set(1)

    def set_batch(self, stream: str, batch: int) -> None:
        """Set the id of the last finished micro-batch, with or without input rows."""
        self._batch.labels(stream).set(batch)

    def add_stream(self, stream: str, progress_age: Callable[[], float], waiting: Callable[[], float]) -> None:
        """Register a stream with two functions, which each scrape calls.

        Args:
            stream: name of the stream.
            progress_age: returns the seconds since the last progress.
            waiting: returns the seconds for which the stream has been waiting, else 0.
        """
        self._progress_age.labels(stream).set_function(progress_age)
        self._waiting.labels(stream).set_function(waiting)
