"""The time from the landing of a tweet to the commit that makes its label visible."""

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any
from unittest import mock

import numpy as np
import pyarrow.parquet as pq

from spark_apps import storage
from spark_apps.demo.generator import Generator, Mix
from spark_apps.lake.commits import batch_commits, open_existing_table
from spark_apps.run import run
from spark_apps.settings import Settings, load
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import GOLD_SENTIMENT
from tests.benchmarks.result import Line, Result
from tests.benchmarks.streams import lake_settings
from tests.s3_server import S3Server

# The tweets that land while Spark starts are a backlog, which takes a minute and a half to disappear.
PEAK_SECONDS, WARM_UP_SECONDS, MEASURED_SECONDS = 120, 90, 120
# Share of the peak at which latency is measured.
LOAD = 0.8
PEAK = "peak of the whole chain, {}"
AT_LOAD = f"landing → Gold at {LOAD:.0%} of the peak, {{}}"
SINGLE = "landing → Gold of single tweets, {}"
# Interval between the files that land.
FILE_SECONDS = 1.0
# Interval between single tweets, long enough for all streams to be idle again.
IDLE_SECONDS = 4.0


@dataclass(frozen=True)
class Latency:
    """Percentiles of the seconds from landing to commit, and the number of tweets."""

    p50: float
    p95: float
    p99: float
    tweets: int

    def line(self, name: str) -> Line:
        percentiles = f"95 % within {self.p95:.1f} s, 99 % within {self.p99:.1f} s, {self.tweets:,} tweets"
        return Line(name, f"median {self.p50:.1f} s", percentiles)


def latency() -> Result:
    """From the landing of a tweet to its commit in Gold: at 80 % of the peak and idle, in a folder and on S3."""
    lines: list[Line] = []
    figures: dict[str, Any] = {}
    for place in ("a folder", "S3"):
        # Spark gets other settings on S3, and a process has one Spark.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
            for line, figure in processes.submit(_measure, place).result():
                lines.append(line)
                figures[line.name] = figure
    return Result(lines, figures)


def _measure(place: str) -> list[tuple[Line, Any]]:
    """Return the lines and figures of one place."""
    settings = s3_settings if place == "S3" else lake_settings
    with settings() as loaded:
        peak = _peak(loaded)
    measured: list[tuple[Line, Any]] = [(Line(PEAK.format(place), f"{peak:,.0f} tweets/s"), peak)]
    for name, rate in ((AT_LOAD, LOAD * peak), (SINGLE, 0.0)):
        with settings() as loaded:
            waited = _latency(loaded, rate)
        measured.append((waited.line(name.format(place)), vars(waited)))
        print(f"{measured[-1][0].name}: {measured[-1][0].figure}", flush=True)
    return measured


@contextmanager
def s3_settings() -> Iterator[Settings]:
    """Settings for S3 in another process on this machine, which shares the processor with the streams."""
    context = multiprocessing.get_context("spawn")
    pipe, other_end = context.Pipe()
    server = context.Process(target=_serve_s3, args=(other_end,), daemon=True)
    server.start()
    with mock.patch.dict(os.environ, pipe.recv()):
        yield load(landing="s3a://lake/landing", lake="s3a://lake/lake", trigger="0 seconds")
    server.terminate()
    server.join()


def _serve_s3(pipe: Connection) -> None:
    pipe.send(S3Server().environment)
    threading.Event().wait()


def _peak(settings: Settings) -> float:
    """Return the tweets/s of all layers while input always waits."""
    stop = threading.Event()
    done: list[tuple[float, int]] = []
    for file in Generator(2).files(40_000, 2_000):
        storage.put(str(settings.landing), file.name, file.data)

    def count(report: BatchReport) -> None:
        if report.stream == "gold":
            done.append((time.monotonic(), report.counts["rows"]))

    threading.Timer(PEAK_SECONDS, stop.set).start()
    settings.max_files_per_batch = 2
    run([], settings, once=False, on_batch=count, stop=stop)
    (first, _), *_, (last, _) = done[1:]
    return sum(rows for _, rows in done[2:]) / (last - first)


def _latency(settings: Settings, rate: float) -> Latency:
    """Measure the latency at `rate` tweets/s, or with a rate of 0, of single tweets."""
    stop = threading.Event()
    feeder = threading.Thread(target=_feed, args=(str(settings.landing), rate, stop))
    feeder.start()
    threading.Timer(WARM_UP_SECONDS + MEASURED_SECONDS, stop.set).start()
    measured_from = time.time() + WARM_UP_SECONDS
    run([], settings, once=False, on_batch=lambda _: None, stop=stop)
    feeder.join()
    waited = _seconds_to_commit(str(settings.lake), measured_from)
    p50, p95, p99 = np.percentile(waited, (50, 95, 99))
    return Latency(float(p50), float(p95), float(p99), len(waited))


def _feed(landing: str, rate: float, stop: threading.Event) -> None:
    mix = Mix(rate=rate, burst_factor=1, retweets=0.3) if rate else Mix(retweets=0, duplicates=0, malformed=0)
    generator = Generator(3, datetime.now(UTC), mix)
    due = time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        file = generator.tick(FILE_SECONDS) if rate else next(iter(generator.files(1)))
        storage.put(landing, file.name, file.data)
        due += FILE_SECONDS if rate else IDLE_SECONDS


def _seconds_to_commit(lake: str, landed_from: float) -> list[float]:
    """Return the seconds from landing to commit for each row of gold/sentiment that landed after a Unix time."""
    seconds: list[float] = []
    path = GOLD_SENTIMENT.path(lake)
    for commit in batch_commits(open_existing_table(lake, GOLD_SENTIMENT)):
        entry = storage.read(f"{path}/_delta_log/{commit.version:020}.json")
        assert entry is not None
        for action in map(json.loads, entry.splitlines()):
            if "add" in action:
                with storage.open_binary(f"{path}/{action['add']['path']}") as file:
                    landed = pq.read_table(file, columns=["landed_at"])["landed_at"].to_pylist()
                seconds += [commit.at.timestamp() - at.timestamp() for at in landed if at.timestamp() > landed_from]
    return seconds
