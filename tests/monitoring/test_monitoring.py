"""The HTTP responses and the log lines of a driver after given batches."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from spark_apps.lake.failures import FailedBatch, Failure
from spark_apps.monitoring.log import batch_line
from spark_apps.monitoring.progress import Progress
from spark_apps.monitoring.server import serve
from spark_apps.monitoring.stream_reports import read_reports
from spark_apps.run import run
from spark_apps.settings import LAYERS, Settings, SettingsError
from spark_apps.streaming.stream import BatchReport, BatchResult
from tests.lakes import put_failure, put_report
from tests.process import free_port


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
    with serve(progress, 0, startup_seconds=1.2, stuck_seconds=lambda: 0.3) as port:
        yield port


def test_a_stream_without_progress_is_unhealthy_until_it_makes_progress(progress: Progress, port: int) -> None:
    progress.record("bronze")
    assert get(port, "/healthz") == (200, '{"unhealthy": ""}')
    time.sleep(0.4)
    progress.record("silver")
    code, body = get(port, "/healthz")
    assert code == 503 and "bronze for 0 s" in body and "silver" not in body
    progress.on_batch(report("bronze"))
    assert get(port, "/healthz")[0] == 200


def test_a_process_that_starts_has_a_limit_of_its_own(progress: Progress, port: int) -> None:
    """The limit for streams without progress counts from the start of the first query."""
    time.sleep(0.6)
    assert get(port, "/healthz")[0] == 200
    progress.on_start("bronze")
    assert get(port, "/healthz")[0] == 200
    time.sleep(0.4)
    assert get(port, "/healthz")[0] == 503


def test_a_process_that_never_starts_a_query_is_unhealthy(port: int, caplog: pytest.LogCaptureFixture) -> None:
    time.sleep(1.3)
    code, body = get(port, "/healthz")
    assert code == 503 and "no query has started for 1 s" in body
    assert "no query has started for 1 s" in caplog.text


def test_a_process_that_waits_may_take_the_whole_time_to_start_afterwards(progress: Progress, port: int) -> None:
    """Before Spark starts, a driver waits for the end of an outage of its storage."""
    for _ in range(3):
        progress.on_wait("bronze", "an outage")
        time.sleep(0.5)
        assert get(port, "/healthz")[0] == 200
    # The wait has ended, and no query has started: to the reconciler, the stream is not stuck.
    stream = json.loads(get(port, "/progress")[1])["streams"]["bronze"]
    assert (stream["batch"], stream["seconds_since_progress"]) == (-1, 0)
    assert metric(port, "seconds_since_progress", stream="bronze") == 0
    time.sleep(0.8)
    assert get(port, "/healthz")[0] == 503


def test_a_changed_limit_needs_no_restart(progress: Progress, tmp_path: Path) -> None:
    limit = tmp_path / "stuckSeconds"
    settings = Settings(stuck_seconds=0.1, stuck_seconds_file=limit)
    with serve(progress, 0, 60, settings.current_stuck_seconds) as port:
        progress.on_start("bronze")
        time.sleep(0.3)
        assert get(port, "/healthz")[0] == 503  # without the file
        for text, code in (("60", 200), ("0.2", 503), ("much", 503), ("60", 200)):
            limit.write_text(text)
            assert get(port, "/healthz")[0] == code, text


def test_the_metrics_tell_how_long_nobody_has_asked_for_the_progress(port: int) -> None:
    time.sleep(0.2)
    assert (metric(port, "unwatched_seconds", layer="bronze") or 0) >= 0.2
    get(port, "/progress")
    assert (metric(port, "unwatched_seconds", layer="bronze") or 1) < 0.2


def test_the_metrics_tell_which_layers_are_held_and_need_a_person(tmp_path: Path) -> None:
    """A layer that is down cannot export it: the drivers of the other layers do."""
    now = datetime.now(UTC)
    hold = {"owner": "ann", "reason": "x", "since": (now - timedelta(hours=1)).isoformat(), "acknowledged": ""}
    put_report(tmp_path, "bronze", now)
    put_report(tmp_path, "silver", now, state="held", hold=hold)
    put_report(tmp_path, "gold", now, state="needs action")
    with serve(Progress(["bronze"], partial(read_reports, tmp_path)), 0, 60, lambda: 60) as port:
        held = partial(metric, port, "held_seconds", owner="ann")
        assert 3600 <= (held(layer="silver", acknowledged="false") or 0) < 3700
        assert held(layer="silver", acknowledged="true") is None and held(layer="bronze", acknowledged="false") is None
        assert [metric(port, "needs_action", layer=layer) for layer in LAYERS] == [0, 0, 1]
        put_report(tmp_path, "silver", now, state="held", hold=hold | {"acknowledged": "ann knows", "since": "soon"})
        assert held(layer="silver", acknowledged="false") is None and held(layer="silver", acknowledged="true")


def test_without_reports_nothing_is_held(port: int) -> None:
    assert "held_seconds{" not in get(port, "/metrics")[1] and "needs_action{" not in get(port, "/metrics")[1]


def test_a_driver_reports_the_error_of_the_driver_before_it_before_spark_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that fails during each start is given up: the reason must be known by then."""
    failure = Failure("gold-aggregates", datetime.now(UTC), "ValueError: no room", FailedBatch(7, "tweets 8"))
    put_failure(tmp_path, failure)
    put_failure(tmp_path, replace(failure, stream="bronze"))
    settings = Settings(lake=str(tmp_path), monitor_port=free_port())
    asked: list[str] = []

    def ask(_: Settings) -> None:
        """Ask for the progress instead of starting Spark."""
        asked.append(json.loads(get(settings.monitor_port or 0, "/progress")[1])["error"])
        raise ZeroDivisionError

    monkeypatch.setattr("spark_apps.run.make_session", ask)
    with pytest.raises(ZeroDivisionError):
        run(["gold"], settings, once=False, on_batch=lambda _: None)
    assert asked == [str(failure)] and "gold-aggregates, batch 7, tweets 8: ValueError: no room" in asked[0]

    def refuse(*_: object) -> None:
        raise PermissionError("refused")

    monkeypatch.setattr("spark_apps.run.newest_failure", refuse)
    with pytest.raises(ZeroDivisionError):
        run(["gold"], settings, once=False, on_batch=lambda _: None)
    assert asked[1] == "the last error is not readable: refused"


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
        serve(progress, taken.getsockname()[1], 1, lambda: 1),
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
