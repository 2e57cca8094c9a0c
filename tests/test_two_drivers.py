"""A driver is stopped until another one has taken over, and then continues: nothing is written twice.

`make test-slow` stops one driver. `make chaos` stops 50 drivers, or CHAOS_TAKEOVERS drivers, at random instants.
"""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from pyspark.sql import SparkSession
from typer.testing import Result

from spark_apps import storage
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from spark_apps.lake.status import read_status
from spark_apps.tables import GOLD_SENTIMENT
from tests import process
from tests.exactness import check

MIX = Mix(duplicates=0.05, late=0.05, malformed=0.03)
# Seconds in which a driver must start and label tweets, and in which a refused driver must exit.
LIMIT = 240.0


class Lake:
    """A lake, its landing, and the drivers that share both."""

    def __init__(self, home: Path, seed: int) -> None:
        self.landing, self.path = str(home / "landing"), str(home / "lake")
        self.expected = Expected()
        self._home = home
        self._random = Random(seed)
        self._generator = Generator(seed, mix=MIX)
        (home / "landing").mkdir(parents=True)

    def start_driver(self, number: int) -> process.Running:
        where = ["--landing", self.landing, "--lake", self.path, "--trigger", "0 seconds"]
        return process.Running(self._home / f"driver-{number}.log", "run", *where)

    def land_until(self, *conditions: Callable[[], bool]) -> None:
        """Land files until one of `conditions` holds."""
        deadline = time.monotonic() + LIMIT
        while not any(condition() for condition in conditions):
            assert time.monotonic() < deadline, f"nothing happened within {LIMIT:.0f} s"
            for file in self._generator.files(self._random.randint(1, 60)):
                storage.put(self.landing, file.name, file.data)
                self.expected += file.expected
            time.sleep(self._random.uniform(0.1, 1.0))

    def run_driver(self, number: int, driver: process.Running, pause: float) -> process.Running:
        """Return a driver that has labelled tweets, and has run for `pause` seconds since: `driver`, or a new one.

        `driver` may have exited: the driver that continued in the last takeover can have planned the same batch.
        """
        while True:
            self.land_until(driver.has_exited, self.more_labels())
            self.land_until(driver.has_exited, seconds_later(pause))
            if not driver.has_exited():
                return driver
            driver = self.start_driver(number)

    def more_labels(self) -> Callable[[], bool]:
        """Return a condition: more tweets are labelled than now."""
        before = self.labelled()
        return lambda: self.labelled() > before

    def labelled(self) -> int:
        tables = read_status(self.path, missing_ok=True).tables
        return tables[GOLD_SENTIMENT.name].totals.get("rows", 0) if GOLD_SENTIMENT.name in tables else 0


def seconds_later(seconds: float) -> Callable[[], bool]:
    """Return a condition: `seconds` have passed."""
    moment = time.monotonic() + seconds
    return lambda: time.monotonic() >= moment


def take_over(
    spark: SparkSession, command: Callable[..., Result], home: Path, pauses: list[float], seed: int
) -> list[str]:
    """Stop a driver, let a second one label tweets, and continue the first one; return the output of each.

    Args:
        spark: session that checks the lake at the end.
        command: runs the last batches.
        home: folder of the landing and the lake.
        pauses: for each driver to stop, the seconds between its first labels and the stop.
        seed: seed of the tweets.
    """
    lake = Lake(home, seed)
    outputs = []
    driver = lake.start_driver(0)
    for number, pause in enumerate(pauses, 1):
        driver = lake.run_driver(number, driver, pause)
        driver.pause()
        more_labels = lake.more_labels()
        successor = lake.start_driver(number)
        lake.land_until(more_labels)
        driver.resume()
        # The driver that commits second is refused and exits.
        lake.land_until(driver.has_exited, successor.has_exited)
        outputs.append(driver.output + successor.output)
        driver.kill()
        driver = successor
        errors = [line for line in outputs[-1].splitlines() if line.startswith("error:")]
        print(f"takeover {number} of {len(pauses)}: {lake.expected.documents:,} documents landed; {errors}", flush=True)
    driver.kill()
    done = command("run", "--landing", lake.landing, "--lake", lake.path, "--once", "--json")
    assert done.exit_code == 0, done.output
    check(spark, lake.path, lake.expected)
    return outputs


@pytest.mark.slow
def test_a_driver_that_was_replaced_while_it_was_stopped_writes_nothing(
    spark: SparkSession, command: Callable[..., Result], tmp_path: Path
) -> None:
    (output,) = take_over(spark, command, tmp_path / "home", [1.0], seed=1)
    # Spark itself notices if both drivers plan the same batch at the same time.
    assert re.search("was written by another process|CONCURRENT_STREAM_LOG_UPDATE", output), output


@pytest.mark.chaos
@pytest.mark.timeout(14_400)
def test_many_drivers_that_are_stopped_at_random_instants_write_nothing_twice(
    spark: SparkSession, command: Callable[..., Result], tmp_path: Path
) -> None:
    takeovers = int(os.environ.get("CHAOS_TAKEOVERS", "50"))
    seed = int(os.environ.get("CHAOS_SEED", str(time.time_ns() % 10**6)))
    print(f"CHAOS_SEED={seed} CHAOS_TAKEOVERS={takeovers}", flush=True)
    random = Random(seed)
    take_over(spark, command, tmp_path / "home", [random.uniform(0, 10) for _ in range(takeovers)], seed)
