"""A replay lands files unchanged and in order, or at the pace of the tweets' timestamps."""

import gzip
import json
import time
from pathlib import Path
from threading import Event

import pytest

from spark_apps.demo.replay import replay
from spark_apps.settings import SettingsError


def tweet(number: int, second: int) -> dict[str, object]:
    return {"id": number, "full_text": f"tweet {number}", "timestamp": f"2026-01-01T00:00:{second:02}Z", "user_id": 1}


def landed(landing: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(landing.iterdir())]


def test_without_a_speed_files_land_unchanged(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json.gz"
    first.write_bytes(b'{"id": 1}\n')
    second.write_bytes(gzip.compress(b'{"id": 2}\n'))
    reports: list[tuple[str, int]] = []
    count = replay([first, second], str(tmp_path / "landing"), None, lambda *file: reports.append(file), Event())
    assert count == 2 == len(reports)
    assert landed(tmp_path / "landing") == [first.read_bytes(), second.read_bytes()]


def test_with_a_speed_tweets_land_at_the_pace_of_their_timestamps(tmp_path: Path) -> None:
    file = tmp_path / "recorded.json"
    printed = json.dumps(tweet(3, 20), indent=2)
    file.write_text("\n".join([json.dumps(tweet(1, 0)), json.dumps(tweet(2, 0)), printed, json.dumps(tweet(4, 0))]))
    began = time.monotonic()
    assert replay([file], str(tmp_path / "landing"), 20, lambda *_: None, Event()) == 2
    assert 0.9 < time.monotonic() - began < 3
    slices = [[json.loads(line)["id"] for line in data.splitlines()] for data in landed(tmp_path / "landing")]
    assert slices == [[1, 2], [3, 4]]


def test_an_unreadable_file_lands_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "binary.json"
    file.write_bytes(bytes(range(256)))
    replay([file], str(tmp_path / "landing"), 10, lambda *_: None, Event())
    assert landed(tmp_path / "landing") == [file.read_bytes()]


def test_all_missing_files_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"(?s)one\.json is not a file.*two\.json is not a file"):
        replay([tmp_path / "one.json", tmp_path / "two.json"], str(tmp_path), None, lambda *_: None, Event())
