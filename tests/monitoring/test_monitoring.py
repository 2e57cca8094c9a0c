"""The HTTP responses and the log lines of a driver after given batches."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from spark_apps.monitoring.log import batch_line
from spark_apps.monitoring.progress import Progress
from spark_apps.monitoring.server import serve
from spark_apps.settings import SettingsError
from spark_apps.streaming.stream import BatchReport, BatchResult


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def report(stream: str, **fields: Any) -> BatchReport:
    return BatchReport(stream, 3, 2.0, 4.5, BatchResult({"rows": 7}, 8, **fields))


def metric(port: int, name: str, **labels: str) -> float | None:
    """Return the value of one sample of a scrape; None if there is no such sample."""
    families = text_string_to_metric_families(get(port, "/metrics")[1])
    samples = [sample for family in families for sample in family.samples]
    values = [
        sample.value for sample in samples if sample.name == f"tweet_sentiment_{name}" and sample.labels == labels
    ]
    return values[0] if values else None


@pytest.fixture
def progress() -> Progress:
    return Progress(["bronze"])


@pytest.fixture
def port(progress: Progress) -> Iterator[int]:
    with serve(progress, 0, stuck_seconds=0.3) as port:
        yield port


def test_a_stream_without_progress_is_unhealthy_until_it_makes_progress(progress: Progress, port: int) -> None:
    progress.record("bronze")
    assert get(port, "/healthz")[0] == 200
    time.sleep(0.4)
    progress.record("silver")
    assert get(port, "/healthz")[0] == 503
    progress.on_batch(report("bronze"))
    assert get(port, "/healthz")[0] == 200


def test_a_process_is_unhealthy_if_its_streams_never_start(port: int) -> None:
    assert get(port, "/healthz")[0] == 200
    time.sleep(0.4)
    assert get(port, "/healthz")[0] == 503


def test_an_unknown_path_is_answered_with_the_known_paths(port: int) -> None:
    code, text = get(port, "/")
    assert (code, "/progress" in text) == (404, True)


def test_without_a_spark_ui_there_are_no_executor_metrics(progress: Progress, port: int) -> None:
    assert get(port, "/metrics/executors")[0] == 503
    with socket.create_server(("127.0.0.1", 0)) as unused:
        progress.spark_ui = f"http://gold-driver:{unused.getsockname()[1]}"
    assert get(port, "/metrics/executors")[0] == 503


def test_a_port_in_use_is_refused(progress: Progress) -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as taken,
        pytest.raises(SettingsError, match="TWEETS_MONITOR_PORT"),
        serve(progress, taken.getsockname()[1], 1),
    ):
        pass


def test_a_batch_updates_the_metrics(progress: Progress, port: int) -> None:
    progress.on_batch(report("gold", cached=2, model_version="4"))
    assert metric(port, "read_total", stream="gold") == 8
    assert metric(port, "read_per_second", stream="gold") == 4
    assert metric(port, "rows_total", stream="gold", kind="rows") == 7
    assert metric(port, "lag_seconds", stream="gold") == 4.5
    assert metric(port, "cache_hits_total", stream="gold") == 2
    assert metric(port, "batch_seconds_sum", stream="gold") == 2
    assert metric(port, "model_info", stream="gold", version="4") == 1


def test_model_info_has_only_the_last_model_version(progress: Progress, port: int) -> None:
    for version in ("4", "5"):
        progress.on_batch(report("gold", cached=0, model_version=version))
    assert metric(port, "model_info", stream="gold", version="4") is None
    assert metric(port, "model_info", stream="gold", version="5") == 1


def test_model_stale_is_1_while_the_version_in_production_is_not_available(progress: Progress, port: int) -> None:
    for problem, stale in (("", 0), ("the registry does not answer", 1), ("", 0)):
        progress.on_batch(report("gold", model_version="4", model_problem=problem))
        assert metric(port, "model_stale", stream="gold") == stale


def test_the_metrics_have_the_number_of_findings(progress: Progress, port: int) -> None:
    for findings in (2, 0):
        progress.on_batch(report("gold", findings=findings))
        assert metric(port, "findings", stream="gold") == findings


def test_the_metrics_have_the_start_time(port: int) -> None:
    started = metric(port, "started_timestamp_seconds", layer="bronze")
    assert started is not None and 0 <= time.time() - started < 10


def test_a_waiting_stream_is_healthy_and_reports_its_waiting_time(progress: Progress, port: int) -> None:
    progress.on_wait("gold", "a model")
    time.sleep(0.4)
    progress.on_wait("gold", "a model")
    assert get(port, "/healthz")[0] == 200
    waiting = metric(port, "waiting_seconds", stream="gold")
    assert waiting is not None and waiting >= 0.4
    progress.on_batch(report("gold"))
    assert metric(port, "waiting_seconds", stream="gold") == 0


def test_a_batch_is_logged_as_one_json_object() -> None:
    fields = {"cached": 2, "model_version": "4", "rejected": {"not_json": 1}}
    line = json.loads(batch_line(report("gold", **fields)))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "event": "batch",
        "stream": "gold",
        "batch": 3,
        "read": 8,
        "rows": 7,
        "quarantine_reasons": {"not_json": 1},
        "seconds": 2.0,
        "lag": 4.5,
        "cached": 2,
        "model_version": "4",
        "model_problem": "",
    }
