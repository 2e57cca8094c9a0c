"""The Prometheus metrics of a driver; docs/operations.md says what each is for."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from spark_apps.streaming.stream import BatchReport

_SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)
# Each name begins so.
_PREFIX = "tweet_sentiment"


class Metrics:
    """What the batches of the streams of `layers` say of themselves; labels are the stream, and what is named below."""

    def __init__(self, layers: Sequence[str]) -> None:
        self.registry = CollectorRegistry()
        self._version: str | None = None
        self._read = self._counter("read", "Rows that came in: files of Bronze, documents of Silver, tweets of Gold.")
        self._rows = self._counter(
            "rows", "What became of them: rows written, duplicates dropped, records in quarantine.", "kind"
        )
        self._quarantined = self._counter("quarantined", "Records in quarantine, by reason.", "reason")
        self._cache_hits = self._counter("cache_hits", "Tweets for which the model was not asked.")
        self._seconds = Histogram(
            f"{_PREFIX}_batch_seconds",
            "Time of the micro-batches that had rows.",
            ["stream"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batch = self._gauge("batch", "Id of the last finished micro-batch.")
        self._lag = self._gauge(
            "lag_seconds", "From the newest landing in the last batch until that batch was written."
        )
        self._speed = self._gauge("read_per_second", "Rows that the last batch read a second, while it worked.")
        self._model = self._gauge("model_info", "1 for the version of the model that scored last.", "version")
        self._stale = self._gauge(
            "model_stale", "1 while the version in production cannot be had, and the one before scores."
        )
        self._findings = self._gauge(
            "findings", "What watch_quality has found in the stream and nobody has acknowledged."
        )
        self._age = self._gauge("seconds_since_progress", "Since a query finished a batch or found no news.")
        self._waiting = self._gauge(
            "waiting_seconds", "For how long a stream has waited for a table or a model that is not there."
        )
        started = Gauge(
            f"{_PREFIX}_started_timestamp_seconds",
            "When this driver started: it changes with each restart.",
            ["layer"],
            registry=self.registry,
        )
        for layer in layers:
            started.labels(layer).set_to_current_time()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, ["stream", *labels], registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, ["stream", *labels], registry=self.registry)

    def on_batch(self, report: BatchReport) -> None:
        stream, outcome = report.stream, report.result
        self._read.labels(stream).inc(outcome.read)
        for kind, count in outcome.counts.items():
            self._rows.labels(stream, kind).inc(count)
        for reason, count in outcome.rejected.items():
            self._quarantined.labels(stream, reason).inc(count)
        self._seconds.labels(stream).observe(report.seconds)
        self._speed.labels(stream).set(outcome.read / report.seconds)
        if report.lag is not None:
            self._lag.labels(stream).set(report.lag)
        if outcome.cached is not None:
            self._cache_hits.labels(stream).inc(outcome.cached)
        if outcome.model_version is not None:
            self._stale.labels(stream).set(bool(outcome.model_problem))
        if outcome.findings is not None:
            self._findings.labels(stream).set(outcome.findings)
        if outcome.model_version not in {None, self._version}:
            self._version = outcome.model_version
            self._model.clear()
            self._model.labels(stream, self._version).set(1)

    def finished(self, stream: str, batch: int) -> None:
        self._batch.labels(stream).set(batch)

    def ask(self, stream: str, age: Callable[[], float], waiting: Callable[[], float]) -> None:
        """Have these functions tell, at each scrape, the seconds since progress and those of waiting."""
        self._age.labels(stream).set_function(age)
        self._waiting.labels(stream).set_function(waiting)
