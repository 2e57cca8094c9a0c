"""The state of each stream for a person: from the lake and from the reports of Airflow, on the command line."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from spark_apps.cli.main import app
from spark_apps.lake.failures import FailedBatch, Failure, newest_failure, read_failures
from spark_apps.lake.status import read_status
from spark_apps.monitoring.stream_reports import read_reports
from spark_apps.monitoring.stream_states import StreamState, explained, stream_states
from tests.lakes import fill, put_failure, put_report

RUNBOOK = "https://example.com/operations.md"
NOW = datetime.now(UTC)
LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
SILVER_FAILED = Failure(
    "silver",
    LATER,
    "Traceback\nValueError: no closing bracket\n  at frame",
    FailedBatch(641, "document 2 of s3a://landing/a\x1b[31m.json"),
)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    fill(tmp_path / "lake", 30, timedelta(minutes=5))
    return tmp_path / "lake"


def states(lake: Path, reports: Path | None = None, now: datetime = NOW) -> dict[str, StreamState]:
    shown = stream_states(read_status(str(lake)), read_reports(reports), RUNBOOK, now)
    return {state.stream: state for state in shown}


def streams(lake: Path, *options: str, **env: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        app, ["streams", "--lake", str(lake), *options], env={"COLUMNS": "250", "TWEETS_RUNBOOK": RUNBOOK} | env
    )
    return result.exit_code, result.stdout


def test_a_failure_is_read_as_it_was_written(lake: Path) -> None:
    outside = Failure("gold", EARLIER, "no model")
    for failure in (SILVER_FAILED, outside):
        put_failure(lake, failure)
        assert Failure.from_json(failure.to_json()) == failure
    assert read_failures(str(lake), ["bronze", "silver", "gold"]) == {"silver": SILVER_FAILED, "gold": outside}
    assert newest_failure(str(lake), ["silver", "gold"]) == SILVER_FAILED
    assert newest_failure(str(lake), ["bronze"]) is None
    assert "silver, batch 641, document 2 of s3a://landing/a" in str(SILVER_FAILED)
    assert str(SILVER_FAILED).endswith(": ValueError: no closing bracket")


@pytest.mark.parametrize("content", ["", "null", "[]", '{"stream": "silver", "ti', '{"stream": "silver", "time": 7}'])
def test_a_truncated_failure_is_no_failure(lake: Path, content: str) -> None:
    put_failure(lake, SILVER_FAILED).write_text(content)
    assert read_failures(str(lake), ["silver"]) == {}


def test_a_failure_of_an_earlier_version_has_no_batch(lake: Path) -> None:
    put_failure(lake, SILVER_FAILED).write_text(json.dumps({"stream": "silver", "time": "2026-01-01", "error": "x"}))
    assert read_failures(str(lake), ["silver"])["silver"].batch is None


def test_without_airflow_a_stream_has_failed_until_it_finishes_a_batch(lake: Path) -> None:
    assert {name: (state.state, state.is_well) for name, state in states(lake).items()} == dict.fromkeys(
        ("bronze", "silver", "gold", "gold-aggregates"), ("no error", True)
    )
    put_failure(lake, SILVER_FAILED)
    silver = states(lake)["silver"]
    assert (silver.state, silver.is_well, silver.link) == ("failed", False, f"{RUNBOOK}#stream-failed")
    assert silver.waiting == "5 documents" and "batch 0" in silver.progress(NOW)
    put_failure(lake, Failure("silver", EARLIER, "an old error"))
    silver = states(lake)["silver"]
    assert silver.is_well and "an old error; it has finished batches since" in silver.details()["Last error"]


def test_the_report_of_airflow_decides_about_the_state(lake: Path, tmp_path: Path) -> None:
    put_failure(lake, SILVER_FAILED)
    reports = tmp_path / "status"
    hold = {"owner": "operate-stream", "reason": "disk is full (ann)", "since": NOW.isoformat(), "acknowledged": ""}
    put_report(reports, "bronze", NOW)
    put_report(reports, "silver", NOW, state="running", remedy="", reason="advancing")
    put_report(
        reports,
        "gold",
        NOW,
        state="held",
        hold=hold,
        reason="held by ann",
        actions=["03:00 suspend"],
        remedy="start it",
        link="x#y",
    )
    shown = states(lake, reports)
    # The driver runs again, and has not read any rows yet.
    assert shown["silver"].state == "running" and "no closing bracket" in shown["silver"].details()["Last error"]
    for name in ("gold", "gold-aggregates"):
        details = shown[name].details()
        assert (shown[name].state, shown[name].is_well, shown[name].link) == ("held", False, "x#y")
        assert details["Hold"].endswith("UTC: disk is full (ann)") and details["Done"] == "03:00 suspend"
        assert details["Now"] == "start it" and "Airflow" not in details
    # Both streams of the layer are explained at once.
    assert [*explained([*shown.values()])] == ["silver", "gold, gold-aggregates"]
    # Airflow is down.
    outdated = states(lake, reports, NOW + timedelta(minutes=16))["gold"]
    assert outdated.state == "unknown" and outdated.link == f"{RUNBOOK}#tweetsunwatched"
    assert "check Airflow" in outdated.remedy


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"stream": "gold", "at": "soon"}'])
def test_a_report_that_cannot_be_parsed_counts_as_missing(lake: Path, tmp_path: Path, content: str) -> None:
    put_report(tmp_path, "gold", NOW).write_text(content)
    assert read_reports(tmp_path) == {}
    assert states(lake, tmp_path)["gold"].state == "no error"


def test_an_unreadable_error_does_not_hide_the_rest(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("AccessDenied")

    monkeypatch.setattr("spark_apps.monitoring.stream_states.read_failures", refuse)
    gold = states(lake)["gold"]
    assert gold.is_well and "AccessDenied" in gold.details()["Last error"]


def test_the_command_shows_what_is_wrong_and_exits_with_1(lake: Path, tmp_path: Path) -> None:
    code, shown = streams(lake)
    assert code == 0 and "silver" in shown and "5 documents" in shown
    put_failure(lake, SILVER_FAILED)
    code, shown = streams(lake)
    assert code == 1
    # A file name cannot change the terminal.
    assert "silver, batch 641, document 2 of s3a://landing/a\\x1b[31m.json: ValueError: no closing bracket" in shown
    assert f"silver: See: {RUNBOOK}#stream-failed" in shown
    put_report(tmp_path, "silver", datetime.now(UTC), state="given up", reason="failed 7 times", remedy="fix it")
    code, shown = streams(lake, TWEETS_STREAM_STATUS=str(tmp_path))
    assert code == 1 and "given up" in shown and "failed 7 times" in shown and "fix it" in shown
    code, shown = streams(lake, "--json", TWEETS_STREAM_STATUS=str(tmp_path))
    (silver,) = [stream for stream in json.loads(shown)["streams"] if stream["stream"] == "silver"]
    assert code == 1 and silver["failure"]["batch"] == vars(SILVER_FAILED.batch)
    assert silver["report"]["state"] == "given up" and silver["last_batch"]["batch"] == 0


def test_a_missing_lake_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["streams", "--lake", str(tmp_path / "none")])
    assert result.exit_code == 2 and "does not exist" in result.output
