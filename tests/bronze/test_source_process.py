"""The process that plans Bronze's batches: Spark waits 10 s for its start, which may take longer on a busy node."""

import os
import signal
from pathlib import Path

import pytest

from spark_apps.lake.status import read_status
from tests.process import Running
from tests.waiting import until


def source_processes(group: int) -> list[int]:
    """Return the ids of the processes in a group that run Python sources."""
    processes = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"python_streaming_source_runner" in (folder / "cmdline").read_bytes():
                processes.append(int(folder.name))
        except OSError:  # the process has ended
            continue
    return [process for process in processes if os.getpgid(process) == group]


def rows(lake: Path) -> int:
    return read_status(str(lake), missing_ok=True).tables["bronze/tweets"].totals.get("rows", 0)


@pytest.mark.slow
def test_a_slow_process_of_the_source_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing/a.json").write_text('{"id": 1}')
    lake = tmp_path / "lake"
    running = Running(tmp_path / "log", "run", "bronze", "--landing", tmp_path / "landing", "--lake", lake)
    try:
        until(lambda: source_processes(running.group), 200, "the process of the source", every=0.01)
        os.kill(source_processes(running.group)[0], signal.SIGSTOP)
        running.wait_for("starting it again")
        until(lambda: rows(lake) == 1, 200, "the document in Bronze")
    finally:
        running.kill()
