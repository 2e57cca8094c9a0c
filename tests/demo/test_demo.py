"""The demo as a user runs it: labels within a minute, Ctrl-C in the middle, a second start, a taken port."""

import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from spark_apps.lake.status import read_status
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT
from tests import process


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rows(home: Path, table: str) -> int:
    return read_status(str(home / "lake"), missing_ok=True).tables[table].totals.get("rows", 0)


def test_labels_ctrl_c_and_on_from_there(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    demo = process.Running(tmp_path / "log", "demo", "--home", home, "--port", str(port), "--no-browser")
    try:
        demo.wait_for("the first tweets are labelled")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
            assert answer.read() == b"ok"
        second = process.run("demo", "--home", home, "--port", str(free_port()), "--no-browser")
        assert second.returncode == 2 and "another demo (process" in second.stderr
        began = time.monotonic()
        assert demo.interrupt(15) == 0, demo.said
        assert time.monotonic() - began < 15
        assert "the same command goes on from here" in " ".join(demo.said.split())
    finally:
        demo.kill()
    before = rows(home, GOLD_SENTIMENT.name)
    assert before > 0
    # The dashboard went with it.
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()

    again = process.Running(tmp_path / "log2", "demo", "--home", home, "--port", str(port), "--no-browser")
    try:
        again.wait_for("the first tweets are labelled")
    finally:
        again.kill()
    assert rows(home, GOLD_SENTIMENT.name) > before
    assert rows(home, BRONZE_TWEETS.name) > 0
    # Killed outright, it leaves no dashboard behind either.
    deadline = time.monotonic() + 10
    while subprocess.run(["pgrep", "-f", f"dashboard.launch {port}"], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_taken_port_is_one_sentence_with_its_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = process.run("demo", "--home", tmp_path / "home", "--port", str(port), "--no-browser")
    told = " ".join(found.stderr.split())
    assert found.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in told and f"make run PORT={port + 1}" in told
