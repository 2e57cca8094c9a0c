"""Bronze's batches and memory with a thousand and with a million landed files."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from spark_apps import storage
from spark_apps.bronze import app as bronze
from spark_apps.landing.log import LandingLog, LandingState
from spark_apps.landing.taken import TakenFiles
from spark_apps.session import make_session
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport
from tests.benchmarks.result import Line, Result
from tests.benchmarks.streams import lake_settings

_SIZES = (1_000, 1_000_000)
_FILES_PER_FOLDER = 3_600  # an hour with a file a second
_WARM_UP, _BATCHES = 20, 100


def landing() -> Result:
    """A Bronze batch of one file, with 10³ and with 10⁶ files in the landing, in folders of 3,600."""
    measured = {}
    for size in _SIZES:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.landing", str(size)], stdout=subprocess.PIPE, text=True, check=True
        )
        measured[size] = json.loads(done.stdout.splitlines()[-1])
    few, many = measured.values()
    ratio = f"{many['p95'] / few['p95']:.2f} and {many['memory_mb'] / few['memory_mb']:.2f} ×"
    lines = [
        Line(
            f"a batch of one file, {size:,} files landed",
            f"95th percentile {figures['p95']:.2f} s, memory {figures['memory_mb']:.0f} MB",
            "" if figures is few else ratio,
        )
        for size, figures in measured.items()
    ]
    return Result(lines, {str(size): figures for size, figures in measured.items()})


def _measure(size: int) -> dict[str, Any]:
    with lake_settings() as settings:
        folder = Path(str(settings.landing))
        for number in range(size):
            hour = folder / f"{number // _FILES_PER_FOLDER:05}"
            if not number % _FILES_PER_FOLDER:
                hour.mkdir()
            (hour / f"{number}.json").touch()
        # In a landing of several years, nearly all files were read long ago.
        log = LandingLog(f"{settings.lake}/checkpoints/bronze/landing")
        log.append(1, [], LandingState(TakenFiles(time.time()), time.time()))
        spark = make_session(settings)
        stop = threading.Event()
        reports: list[BatchReport] = []
        thread = threading.Thread(target=_feed, args=(str(folder), reports, stop))
        thread.start()
        runner = StreamRunner(spark, str(settings.lake), settings.retention_seconds, reports.append, stop)
        runner.run(bronze.streams(spark, settings), "0 seconds")
        thread.join()
        memory = _memory_mb(os.getpid())
        spark.stop()
        lags = [report.lag for report in reports[_WARM_UP:] if report.lag is not None]
        return {"p50": float(np.median(lags)), "p95": float(np.percentile(lags, 95)), "memory_mb": memory}


def _feed(folder: str, reports: list[BatchReport], stop: threading.Event) -> None:
    """Land a file after each batch."""
    for number in range(_WARM_UP + _BATCHES):
        storage.put(folder, f"now/{number}.json", b'{"id": 1}\n')
        while len(reports) <= number and not stop.wait(0.01):
            pass
    stop.set()


def _memory_mb(process: int) -> float:
    """Return the resident memory of a process and its descendants."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        status = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0  # the process has ended
    # A zombie has no memory.
    resident = next((int(line.split()[1]) for line in status if "VmRSS" in line), 0)
    return resident / 1024 + sum(_memory_mb(int(child)) for child in children)


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]))))
