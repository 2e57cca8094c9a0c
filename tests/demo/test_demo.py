"""The demo as a user runs it: labelled tweets, Ctrl-C, a second start, a kill, and a port in use."""

import socket
import subprocess
import time
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from spark_apps.cli.main import app
from spark_apps.dashboard.startup import Startup
from spark_apps.demo.terminal import TerminalView
from spark_apps.lake.status import read_status
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT
from tests import process
from tests.lakes import gold_rows, put
from tests.process import free_port
from tests.waiting import until


def run_demo(home: Path, port: int) -> Result:
    """Run a demo that must not start, in this process."""
    return CliRunner().invoke(app, ["demo", "--home", str(home), "--port", str(port), "--no-browser"])


def rows(home: Path, table: str) -> int:
    return read_status(str(home / "lake"), missing_ok=True).tables[table].totals.get("rows", 0)


def test_the_last_line_counts_tweets_that_were_labelled_just_before_ctrl_c(tmp_path: Path) -> None:
    view = TerminalView(str(tmp_path), "http://127.0.0.1:1", Startup(), Console())
    assert view.farewell().startswith("stopped before the first tweets were labelled")
    put(tmp_path, GOLD_SENTIMENT, gold_rows(3, timedelta(hours=1)), rows=3)
    assert view.farewell() == f"stopped: 3 labelled tweets are in {tmp_path}; the same command continues from here"


@pytest.mark.slow
def test_a_second_start_continues_after_ctrl_c(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    demo = process.Running(tmp_path / "log", "demo", "--home", home, "--port", str(port), "--no-browser")
    try:
        demo.wait_for("the first tweets are labelled")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
            assert answer.read() == b"ok"
        second = run_demo(home, free_port())
        assert second.exit_code == 2 and "another demo (process" in second.stderr
        began = time.monotonic()
        assert demo.interrupt(15) == 0, demo.output
        assert time.monotonic() - began < 15
        assert "the same command continues from here" in " ".join(demo.output.split())
    finally:
        demo.kill()
    before = rows(home, GOLD_SENTIMENT.name)
    assert before > 0
    # The dashboard has stopped too.
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()

    again = process.Running(tmp_path / "log2", "demo", "--home", home, "--port", str(port), "--no-browser")
    try:
        again.wait_for("the first tweets are labelled")
    finally:
        again.kill()
    assert rows(home, GOLD_SENTIMENT.name) > before
    assert rows(home, BRONZE_TWEETS.name) > 0
    # After a kill, the dashboard stops too.
    search = ["pgrep", "-f", f"dashboard.launch {port}"]
    until(lambda: not subprocess.run(search, capture_output=True, check=False).stdout, 10, "the end of the dashboard")


def test_a_port_in_use_is_reported_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run_demo(tmp_path / "home", port)
    error = " ".join(refused.stderr.split())
    assert refused.exit_code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in error and f"make run PORT={port + 1}" in error


@pytest.mark.parametrize("step", ["dashboard:", "create the Delta tables"])
def test_a_stop_during_the_start_ends_in_one_line(tmp_path: Path, step: str) -> None:
    arguments = ("demo", "--home", tmp_path / "home", "--port", str(free_port()), "--no-browser")
    demo = process.Running(tmp_path / "log", *arguments)
    try:
        demo.wait_for(step)
        assert demo.interrupt(60) == 0, demo.output
    finally:
        demo.kill()
    *progress, last = " ".join(demo.output.split()).partition("stopped before")[::2]
    assert last == " the first tweets were labelled; start again with the same command"
    assert not any(word in progress[0] for word in ("Exception", "Traceback", "WARNING", "org.apache", "mlflow"))
