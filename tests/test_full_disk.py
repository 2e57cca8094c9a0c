"""A driver on a full disk waits, and goes on by itself once the disk has space: no file is torn, no tweet is lost."""

import errno
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from typer.testing import Result

from spark_apps import storage
from spark_apps.lake.status import read_status
from tests import process
from tests.waiting import until

_MEGABYTES = 200
# Space that is left on the disk, in kB: the first writes of a batch succeed, and a later one fails.
_LEFT = (0, 40, 150)
_RECOVERY_SECONDS = 180.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("this system has no mount")
    if done.returncode:
        pytest.skip(f"this user may not mount a file system: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Write a file that leaves `left` kB on the disk."""
    ballast = disk / "ballast"
    while True:
        status = os.statvfs(disk)
        try:
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - (left << 10))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            ballast.unlink()  # the driver has written meanwhile
        else:
            return ballast


class Driver:
    """A driver of all layers, and the tweets that have landed."""

    def __init__(self, landing: Path, lake: Path, log: Path) -> None:
        self.landed = 0
        self._landing = landing
        landing.mkdir()
        where = ["--landing", str(landing), "--lake", str(lake)]
        self.process = process.Running(log, "run", *where, "--trigger", "0 seconds")

    def land(self, tweets: int = 20) -> None:
        ids = range(self.landed + 1, self.landed + tweets + 1)
        records = [{"id": id_, "full_text": f"text {id_}", "timestamp": "2026-01-01T00:00:00Z"} for id_ in ids]
        self.landed += tweets
        storage.put(str(self._landing), f"{self.landed}.json", "\n".join(map(json.dumps, records)).encode())

    def wait(self) -> float:
        """Wait until all tweets are labelled; return the seconds that this took."""
        return until(self._is_done, _RECOVERY_SECONDS, f"{self.landed} labelled tweets", every=0.2)

    def _is_done(self) -> bool:
        self.process.check_alive()
        lines = [json.loads(line) for line in self.process.output.splitlines() if line.startswith("{")]
        labelled: int = sum(line["rows"] for line in lines if line["stream"] == "gold")
        return labelled >= self.landed

    def waits(self) -> int:
        """Return how often the driver has begun to wait."""
        return self.process.output.count("waiting for the end of an outage")

    def waits_again(self, known: int) -> bool:
        """Land another file; return whether the driver has begun to wait more often than `known` times."""
        self.process.check_alive()
        self.land()
        return self.waits() > known


def check(lake: Path, landed: int) -> None:
    tables = read_status(str(lake)).tables
    for name in ("bronze/tweets", "silver/tweets", "gold/sentiment"):
        assert tables[name].rows == tables[name].totals["rows"] == landed, name
    assert tables["silver/tweets"].totals["duplicates"] == 0


@pytest.mark.slow
def test_a_driver_outlasts_a_full_disk(
    disk: Path, command: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWEETS_MONITOR_PORT", str(process.free_port()))
    lake, log = disk / "lake", tmp_path / "driver.log"
    driver = Driver(tmp_path / "landing", lake, log)
    try:
        driver.land()
        driver.wait()
        for left in _LEFT:
            known = driver.waits()
            ballast = fill(disk, left)
            until(partial(driver.waits_again, known), 120, "a driver that waits", every=2)
            driver.land()
            time.sleep(5)
            driver.process.check_alive()
            ballast.unlink()
            recovered = driver.wait()
            print(f"{left} kB left: labelled {recovered:.0f} s after the disk had space", flush=True)
        log_text = " ".join(driver.process.output.split())  # long lines are wrapped
        assert "No space left on device: delete files, or enlarge the volume" in log_text
    finally:
        driver.process.kill()
    check(lake, driver.landed)
    # The rebuilds read all files, and find nothing to correct.
    silver, gold = (command("rebuild", name, "--lake", lake, "--json") for name in ("silver", "gold"))
    assert (silver.exit_code, gold.exit_code) == (0, 0), silver.output + gold.output
    assert not any(json.loads(silver.stdout.splitlines()[-1])["corrections"].values())
    corrected = json.loads(gold.stdout.splitlines()[-1])
    assert (corrected["tweets"], corrected["moved"], corrected["deleted"]) == (0, 0, 0)
    check(lake, driver.landed)
