"""Kills at random instants over all three layers: nothing lost, nothing twice, aggregates as recomputed.

The short version runs with every test; `make chaos` runs 200 kills, or as many as CHAOS_KILLS says.
"""

import json
import os
import time
from pathlib import Path
from random import Random

import pytest
from pyspark.sql import SparkSession

from spark_apps import storage
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from tests import process
from tests.exactness import check

MIX = Mix(duplicates=0.05, late=0.05, malformed=0.03)
# A start takes about 8 seconds on two cores, and the first batches end after 15 to 20.
FIRST, LAST = 5.0, 24.0


def strike(spark: SparkSession, home: Path, kills: int, seed: int) -> None:
    """Kill `kills` runs while tweets go on landing, let a last one finish, and check every row."""
    random = Random(seed)
    generator = Generator(seed, mix=MIX)
    landing, lake = str(home / "landing"), str(home / "lake")
    (home / "landing").mkdir(parents=True)
    expected = Expected()
    for kill in range(kills):
        run = process.Running(home / "log", "run", "--landing", landing, "--lake", lake, "--trigger", "0 seconds")
        ends = time.monotonic() + random.uniform(FIRST, LAST)
        while time.monotonic() < ends:
            for file in generator.files(random.randint(1, 60)):
                storage.put(landing, file.name, file.data)
                expected += file.expected
            time.sleep(random.uniform(0.1, 1.0))
        run.kill()
        assert "error:" not in run.said, run.said
        print(f"kill {kill + 1} of {kills}: {expected.documents:,} documents landed", flush=True)
    done = process.run("run", "--landing", landing, "--lake", lake, "--once", "--json", seconds=900)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["tables"]["gold"] == expected.tweets
    check(spark, lake, expected)


def test_a_few_kills(spark: SparkSession, tmp_path: Path) -> None:
    strike(spark, tmp_path / "home", kills=3, seed=1)


@pytest.mark.chaos
@pytest.mark.timeout(14_400)
def test_many_kills(spark: SparkSession, tmp_path: Path) -> None:
    kills = int(os.environ.get("CHAOS_KILLS", "200"))
    seed = int(os.environ.get("CHAOS_SEED", str(time.time_ns() % 10**6)))
    print(f"CHAOS_SEED={seed} CHAOS_KILLS={kills}", flush=True)
    strike(spark, tmp_path / "home", kills, seed)
