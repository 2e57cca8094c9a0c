"""`tweet-sentiment quarantine` shows why records were rejected, whatever the records contain."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from spark_apps.cli.main import app
from spark_apps.tables import QUARANTINE, REASONS, SILVER_TWEETS
from tests.lakes import put

FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)
# Clears a terminal, sets its title, moves its cursor, and reverses the writing direction.
HOSTILE = "a\x1b[2J\x1b]0;owned\x07\x9b1;1H\r\n\u202eb"
ESCAPED = r"a\x1b[2J\x1b]0;owned\x07\x9b1;1H\r\n\u202eb"


def put_rejects(lake: Path, day: int, rejects: Sequence[tuple[str, str | None, str, str | None]]) -> None:
    """Append rows of (reason, detail, file, raw) in one commit, a minute apart, on a day of January 2026."""
    frame = pd.DataFrame(rejects, columns=["reason", "detail", "source_file", "raw"])
    begin = FIRST + timedelta(days=day - 1)
    frame["ingested_at"] = [begin + timedelta(minutes=number) for number in range(len(frame))]
    frame["ingest_date"] = date(2026, 1, day)
    put(lake, QUARANTINE, frame, rejects=len(frame))


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    put_rejects(
        tmp_path,
        1,
        [
            ("not_json", "line 1", "s3a://tweets/a.json", "<html>"),
            ("cut_off", None, "s3a://tweets/b.json", '{"id": 1'),
            ("not_json", None, "s3a://tweets/c.json", "x" * 2000),
        ],
    )
    put_rejects(tmp_path, 2, [("binary", "256 bytes", "s3a://tweets/d.zip!/e", None)])
    put_rejects(tmp_path, 3, [("not_json", "the newest", "s3a://tweets/f.json", "rubbish")])
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["quarantine", *map(str, arguments)])


def run_json(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_reasons_are_listed_with_rows_newest_time_and_an_example(lake: Path) -> None:
    reasons = run_json("list", "--lake", lake)["reasons"]
    assert [(reason["reason"], reason["rows"]) for reason in reasons] == [
        ("not_json", 3),
        ("binary", 1),
        ("cut_off", 1),
    ]
    assert reasons[0] == {
        "reason": "not_json",
        "explanation": REASONS["not_json"],
        "rows": 3,
        "newest": "2026-01-03T12:00:00+00:00",
        "file": "s3a://tweets/f.json",
    }
    result = run("list", "--lake", lake)
    assert result.stdout.splitlines()[:2] == [
        "3 × not_json, the document is not JSON",
        "    newest 2026-01-03 12:00:00 UTC, from s3a://tweets/f.json",
    ]


def test_the_newest_rows_of_a_reason_are_shown_and_long_texts_are_shortened(lake: Path) -> None:
    rows = run_json("show", "--lake", lake, "--reason", "not_json", "--limit", 2)["rows"]
    assert [(row["file"], row["detail"], row["raw"], row["raw_characters"]) for row in rows] == [
        ("s3a://tweets/f.json", "the newest", "rubbish", 7),
        ("s3a://tweets/c.json", None, "x" * 500, 2000),
    ]
    assert len(run_json("show", "--lake", lake, "--reason", "not_json")["rows"]) == 3
    lines = run("show", "--lake", lake, "--reason", "binary").stdout.splitlines()
    assert lines == ["2026-01-02 12:00:00 UTC, s3a://tweets/d.zip!/e", "    detail: 256 bytes"]


def test_a_record_cannot_control_the_terminal(tmp_path: Path) -> None:
    put_rejects(tmp_path, 1, [("not_json", HOSTILE, f"file:/{HOSTILE}", HOSTILE)])
    for arguments, texts, lines in ((["list"], 1, 2), (["show", "--reason", "not_json"], 3, 3)):
        output = run(*arguments, "--lake", tmp_path).stdout
        assert (output.count(ESCAPED), len(output.splitlines())) == (texts, lines)
        assert all(character.isprintable() or character == "\n" for character in output)
        assert run(*arguments, "--lake", tmp_path, "--json").stdout.strip().isprintable()
    assert run_json("show", "--lake", tmp_path, "--reason", "not_json")["rows"][0]["raw"] == HOSTILE


def test_a_reason_cannot_change_the_query(lake: Path) -> None:
    assert run("show", "--lake", lake, "--reason", "' OR '1'='1").exit_code == 2


def test_a_reason_of_another_version_is_shown(tmp_path: Path) -> None:
    put_rejects(tmp_path, 1, [("new_reason", None, "file:/a", "{}")])
    assert run_json("list", "--lake", tmp_path)["reasons"][0]["explanation"] == "a reason of another version"
    assert len(run_json("show", "--lake", tmp_path, "--reason", "new_reason")["rows"]) == 1


def test_mistakes_are_named(lake: Path, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    for arguments in (["list"], ["show", "--reason", "not_json"]):
        result = run(*arguments, "--lake", absent)
        assert result.exit_code == 2
        assert f"lake {absent} does not exist: check --lake" in " ".join(result.stderr.split())
    result = run("show", "--lake", lake, "--reason", "not-json")
    assert result.exit_code == 2
    assert "unknown reason not-json: the reasons are bad_encoding, " in " ".join(result.stderr.split())
    assert run("show", "--lake", lake, "--reason", "not_json", "--limit", 0).exit_code == 2


def test_an_empty_quarantine_is_not_an_error(lake: Path, tmp_path: Path) -> None:
    result = run("show", "--lake", lake, "--reason", "bad_id")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no rows with the reason bad_id" in result.stderr
    new_lake = tmp_path / "new"
    put(new_lake, SILVER_TWEETS, pd.DataFrame({"id": ["1"]}), rows=1)
    assert run_json("list", "--lake", new_lake)["reasons"] == []
    assert run_json("show", "--lake", new_lake, "--reason", "bad_id")["rows"] == []
    assert "the quarantine is empty" in run("list", "--lake", new_lake).stderr


def test_large_texts_take_little_memory(tmp_path: Path) -> None:
    for day in range(1, 6):
        put_rejects(
            tmp_path, day, [("not_json", None, f"file:/{number}", f"{number:04}" * 250_000) for number in range(40)]
        )
    program = (
        "import sys; from pathlib import Path; from spark_apps.lake.quarantine import newest_rows\n"
        "print(len(newest_rows(sys.argv[1], 'not_json', 1000)))\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    output = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    rows, kilobytes = map(int, output.stdout.split())
    assert rows == 200 and kilobytes < 280_000
