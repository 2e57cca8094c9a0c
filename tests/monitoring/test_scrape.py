"""A scrape of running streams: the values for known tweets, and the metrics that alerts and dashboards query."""

import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from spark_apps.cli.main import app
from spark_apps.demo.feed import land
from spark_apps.demo.malformed import Expected
from spark_apps.session import ensure_jars
from tests.lakes import put_report
from tests.monitoring.promql_queries import Query, queries
from tests.process import Running, free_port
from tests.waiting import until

pytestmark = pytest.mark.slow

# Labels that Prometheus adds to each sample, through the chart's PodMonitor.
TARGET_LABELS = {"namespace", "pod"}
STREAMS = {"bronze", "silver", "gold", "gold-aggregates"}

SUBMITTED = "--master local[2] --driver-memory 2g --conf spark.sql.shuffle.partitions=2"

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Scrape:
    """The samples of a driver and its executors, by name and labels: `{"name": {{("stream", "gold")}: 3}}`."""

    samples: Mapping[str, Mapping[Labels, float]]

    @classmethod
    def of(cls, port: int) -> "Scrape":
        text = ""
        for path in ("/metrics", "/metrics/executors"):
            # The driver does not answer at once, and has executor metrics only after Spark has started.
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                text += response.read().decode()
        samples: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
        return cls(samples)

    def value(self, name: str, **labels: str) -> float:
        return self.samples.get(f"tweet_sentiment_{name}", {}).get(frozenset(labels.items()), -1)

    def by(self, name: str, label: str) -> dict[str, float]:
        return {dict(labels)[label]: value for labels, value in self.samples[f"tweet_sentiment_{name}"].items()}


@dataclass(frozen=True)
class Run:
    """Streams that have processed `expected`: their output and a scrape at that time, and a scrape 12 s later."""

    home: Path
    expected: Expected
    output: str
    done: Scrape
    later: Scrape


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    home = tmp_path_factory.mktemp("scrape")
    (home / "landing").mkdir()
    expected = land(str(home / "landing"), 300, seed=2)
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWEETS_MONITOR_PORT", str(port))
        # Airflow reports a hold on another driver.
        hold = {"owner": "operate-stream", "reason": "x", "since": datetime.now(UTC).isoformat()}
        put_report(home / "status", "bronze", datetime.now(UTC), state="held", hold=hold)
        patch.setenv("TWEETS_STREAM_STATUS", str(home / "status"))
        # Start Spark like the image: the UI, which has the executor metrics, is on only with PYSPARK_SUBMIT_ARGS.
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYSPARK_SUBMIT_ARGS", f"{SUBMITTED} --driver-class-path {ensure_jars(s3=False)} pyspark-shell")
        places = ("--landing", home / "landing", "--lake", home / "lake")
        streams = Running(home / "log", "run", *places, "--trigger", "0 seconds")
    try:

        def all_tweets_are_aggregated() -> bool:
            rows = Scrape.of(port).value("rows_total", stream="gold-aggregates", kind="rows")
            return rows == expected.tweets

        until(all_tweets_are_aggregated, 400, "all tweets in the aggregates")
        done = Scrape.of(port)
        time.sleep(12)
        yield Run(home, expected, streams.output, done, Scrape.of(port))
    finally:
        streams.kill()


def test_the_counts_match_the_landed_files(run: Run) -> None:
    expected, done = run.expected, run.done
    assert done.value("rows_total", stream="bronze", kind="rows") == expected.documents
    assert done.value("read_total", stream="silver") == expected.documents
    assert done.value("rows_total", stream="silver", kind="rows") == expected.tweets
    assert done.value("rows_total", stream="silver", kind="duplicates") == expected.duplicates
    assert done.by("quarantined_total", "reason") == expected.quarantine
    for stream in ("gold", "gold-aggregates"):
        assert done.value("read_total", stream=stream) == expected.tweets
        assert done.value("rows_total", stream=stream, kind="rows") == expected.tweets


def test_the_metrics_have_the_lag_the_duration_and_the_model(run: Run) -> None:
    for stream in STREAMS:
        assert 0 < run.done.value("lag_seconds", stream=stream) < 150
        assert run.done.value("batch_seconds_count", stream=stream) >= 1
        assert run.done.value("read_per_second", stream=stream) > 0
    (version,) = run.done.by("model_info", "version")
    assert version.startswith("bundled-")
    # A third of the generator's tweets are retweets.
    assert 0 < run.done.value("cache_hits_total", stream="gold") < run.expected.tweets


def test_an_idle_stream_makes_progress(run: Run) -> None:
    ages = run.later.by("seconds_since_progress", "stream")
    assert ages.keys() == STREAMS
    assert max(ages[stream] for stream in STREAMS - {"gold-aggregates"}) < 12


def test_each_batch_is_logged_as_one_json_object(run: Run) -> None:
    lines = [json.loads(line) for line in run.output.splitlines() if line.startswith("{")]
    assert {line["stream"] for line in lines} == STREAMS
    gold = [line for line in lines if line["stream"] == "gold"]
    assert sum(line["rows"] for line in gold) == run.expected.tweets
    assert all(line["lag"] > 0 and line["seconds"] > 0 and line["model_version"] for line in gold)
    assert [line["batch"] for line in gold] == sorted({line["batch"] for line in gold})
    reasons = [line["quarantine_reasons"] for line in lines if line["stream"] == "silver"]
    assert sum(map(Counter, reasons), Counter()) == run.expected.quarantine


# Prefixes of the metrics that kube-state-metrics and the kubelet export. A driver does not serve them.
CLUSTER_METRICS = ("kube_", "kubelet_")
DRIVER_QUERIES = [
    query for query in queries() if not all(name.startswith(CLUSTER_METRICS) for name in query.selectors())
]


@pytest.mark.parametrize("query", DRIVER_QUERIES, ids=str)
def test_the_metrics_and_labels_of_a_query_are_scraped(run: Run, query: Query) -> None:
    scraped = dict[str, set[str]]()
    for name, labels in query.selectors().items():
        assert name in run.done.samples, f"{name} is not scraped"
        scraped[name] = {label for sample in run.done.samples[name] for label, _ in sample} | TARGET_LABELS
        assert labels <= scraped[name], f"{name} has no {labels - scraped[name]}"
    assert scraped
    assert query.groups() <= set.intersection(*scraped.values())


def test_the_smoke_test_passes(run: Run) -> None:
    arguments = ["--landing", str(run.home / "landing"), "--lake", str(run.home / "lake"), "--seconds", "120"]
    done = CliRunner().invoke(app, ["follow", *arguments])
    assert done.exit_code == 0, done.output
    assert re.fullmatch(r"tweet \d+ is in gold/sentiment after \d+ s: positive, \d+%\n", done.stdout)
