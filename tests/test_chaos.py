"""Runs of all layers are killed while tweets land: no record is lost or written twice, and the aggregates are right.

`make test-slow` kills two runs at fixed points. `make chaos` kills 200 runs, or CHAOS_KILLS runs, at random instants.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from pyspark.sql import SparkSession
from typer.testing import Result

from spark_apps import storage
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from spark_apps.lake.status import read_status
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS, Table
from tests import process
from tests.exactness import check

MIX = Mix(duplicates=0.05, late=0.05, malformed=0.03)
# Seconds from the start of a run to its kill. A start takes about 8 s on two cores, the first batches 7 to 12 s more.
FIRST, LAST = 5.0, 24.0
# A kill at a fixed point must come within this time.
LIMIT = 200.0

# Returns whether to kill a run now, by its lake and the seconds since its start.
Moment = Callable[[str, float], bool]


def at(seconds: float) -> Moment:
    return lambda _, elapsed: elapsed >= seconds


def once_written(table: Table) -> Moment:
    """Return the moment of the first rows in `table`, while later layers still work on the batch."""

    def has_rows(lake: str, elapsed: float) -> bool:
        assert elapsed < LIMIT, f"no rows in {table.name} within {LIMIT:.0f} s"
        tables = read_status(lake, missing_ok=True).tables
        return table.name in tables and tables[table.name].totals.get("rows", 0) > 0

    return has_rows


def kill_runs(
    spark: SparkSession, command: Callable[..., Result], home: Path, moments: Sequence[Moment], seed: int
) -> None:
    """Kill a run at each of `moments` while tweets land, let a last run finish, and check every row."""
    random = Random(seed)
    generator = Generator(seed, mix=MIX)
    landing, lake = str(home / "landing"), str(home / "lake")
    (home / "landing").mkdir(parents=True)
    expected = Expected()
    for number, moment in enumerate(moments, start=1):
        run = process.Running(home / "log", "run", "--landing", landing, "--lake", lake, "--trigger", "0 seconds")
        started = time.monotonic()
        while not moment(lake, time.monotonic() - started):
            for file in generator.files(random.randint(1, 60)):
                storage.put(landing, file.name, file.data)
                expected += file.expected
            run.check_alive()
            time.sleep(random.uniform(0.1, 1.0))
        run.kill()
        assert "error:" not in run.output, run.output
        print(f"kill {number} of {len(moments)}: {expected.documents:,} documents landed", flush=True)
    done = command("run", "--landing", landing, "--lake", lake, "--once", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["tables"]["gold"] == expected.tweets
    check(spark, lake, expected)


@pytest.mark.slow
def test_two_kills_between_the_layers_lose_nothing(
    spark: SparkSession, command: Callable[..., Result], tmp_path: Path
) -> None:
    moments = [once_written(SILVER_TWEETS), once_written(GOLD_SENTIMENT)]
    kill_runs(spark, command, tmp_path / "home", moments, seed=1)


@pytest.mark.chaos
@pytest.mark.timeout(14_400)
def test_many_kills_at_random_instants_lose_nothing(
    spark: SparkSession, command: Callable[..., Result], tmp_path: Path
) -> None:
    kills = int(os.environ.get("CHAOS_KILLS", "200"))
    seed = int(os.environ.get("CHAOS_SEED", str(time.time_ns() % 10**6)))
    print(f"CHAOS_SEED={seed} CHAOS_KILLS={kills}", flush=True)
    random = Random(seed)
    moments = [at(random.uniform(FIRST, LAST)) for _ in range(kills)]
    kill_runs(spark, command, tmp_path / "home", moments, seed)
