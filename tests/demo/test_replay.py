"""A replay lands files unchanged and in order, or at the pace of the tweets' timestamps."""

import gzip
import json
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from spark_apps.demo.replay import replay
from spark_apps.settings import Settings, SettingsError, load


def tweet(number: int, second: int) -> dict[str, object]:
    return {"id": number, "full_text": f"tweet {number}", "timestamp": f"2026-01-01T00:00:{second:02}Z", "user_id": 1}


def settings(folder: Path, **more: Any) -> Settings:
    return load(landing=str(folder / "landing"), **more)


def landed(landing: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(landing.iterdir())]


def test_without_a_speed_files_land_unchanged(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json.gz"
    first.write_bytes(b'{"id": 1}\n')
    second.write_bytes(gzip.compress(b'{"id": 2}\n'))
    reports: list[tuple[str, int]] = []
    count = replay([first, second], settings(tmp_path), None, lambda *file: reports.append(file), Event())
    assert count == 2 == len(reports)
    assert landed(tmp_path / "landing") == [first.read_bytes(), second.read_bytes()]


def test_with_a_speed_tweets_land_at_the_pace_of_their_timestamps(tmp_path: Path) -> None:
    file = tmp_path / "recorded.json"
    printed = json.dumps(tweet(3, 20), indent=2)
    file.write_text("\n".join([json.dumps(tweet(1, 0)), json.dumps(tweet(2, 0)), printed, json.dumps(tweet(4, 0))]))
    began = time.monotonic()
    assert replay([file], settings(tmp_path), 20, lambda *_: None, Event()) == 2
    assert 0.9 < time.monotonic() - began < 3
    slices = [[json.loads(line)["id"] for line in data.splitlines()] for data in landed(tmp_path / "landing")]
    assert slices == [[1, 2], [3, 4]]


def test_an_unreadable_file_lands_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "binary.json"
    file.write_bytes(bytes(range(256)))
    replay([file], settings(tmp_path), 10, lambda *_: None, Event())
    assert landed(tmp_path / "landing") == [file.read_bytes()]


def test_all_missing_files_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"(?s)one\.json is not a file.*two\.json is not a file"):
        replay([tmp_path / "one.json", tmp_path / "two.json"], settings(tmp_path), None, lambda *_: None, Event())


def test_tweets_in_a_declared_format_have_a_pace(tmp_path: Path) -> None:
    formats = tmp_path / "formats.yaml"
    formats.write_text("post: {marks: [key], id: [key], text: [body], time: [at]}")
    posts = [{"key": f"{second + 1}", "body": "b", "at": f"2026-01-01T00:00:{second:02}Z"} for second in (0, 20)]
    file = tmp_path / "posts.json"
    file.write_text("\n".join(map(json.dumps, posts)))
    assert replay([file], settings(tmp_path, formats=formats), 20, lambda *_: None, Event()) == 2


def test_the_limit_of_a_document_is_that_of_the_streams(tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    large = json.dumps(tweet(1, 0) | {"note": "x" * (2 << 20)}) + "\n" + json.dumps(tweet(2, 20))
    file.write_text(large)
    for megabytes, files in ((1, 1), (4, 2)):
        place = tmp_path / str(megabytes)
        loaded = settings(place, max_document_mb=megabytes)
        assert replay([file], loaded, 20, lambda *_: None, Event()) == files
