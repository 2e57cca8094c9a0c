"""A driver on S3 outlasts outages and failed requests, and its totals stay exact.

`make test-slow` takes a few seconds for each outage. `make chaos` takes a minute, or OUTAGE_SECONDS, and fails each
write of a batch in each way.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import boto3
import pytest

from tests import process
from tests.s3_server import Outage, S3Server
from tests.waiting import until

# Seconds from the end of an outage until all tweets are labelled.
_RECOVERY_SECONDS = 180.0
# A batch of Bronze, Silver and Gold writes fewer objects.
_WRITES_PER_ROUND = 60
# Number of failed requests, their status, and whether S3 executes them. Twelve are more than the clients try again.
_FAULTS = [(1, 500, True), (1, 500, False), (12, 503, False)]


class Driver:
    """A driver of all layers, with its landing and its lake on S3."""

    def __init__(self, log: Path) -> None:
        self._landed = 0
        where = ["--landing", "s3a://lake/landing", "--lake", "s3a://lake/tables"]
        self.process = process.Running(log, "run", *where, "--trigger", "0 seconds")

    def land(self, tweets: int = 3) -> None:
        """Land a file with `tweets` tweets, the last of them twice."""
        ids = [*range(self._landed + 1, self._landed + tweets + 1), self._landed + tweets]
        self._landed += tweets
        records = [{"id": id_, "full_text": f"text {id_}", "timestamp": "2026-01-01T00:00:00Z"} for id_ in ids]
        body = "\n".join(map(json.dumps, records)).encode()
        boto3.client("s3").put_object(Bucket="lake", Key=f"landing/{self._landed}.json", Body=body)

    def labelled(self) -> int:
        """Return the number of tweets that the driver has labelled since its start."""
        lines = [json.loads(line) for line in self.process.output.splitlines() if line.startswith("{")]
        return sum(line["rows"] for line in lines if line["stream"] == "gold")

    def wait(self) -> float:
        """Wait until all tweets are labelled; return the seconds that this took."""
        return until(self._all_are_labelled, _RECOVERY_SECONDS, f"{self._landed} labelled tweets", every=0.2)

    def _all_are_labelled(self) -> bool:
        self.process.check_alive()
        return self.labelled() >= self._landed

    def check_totals(self) -> None:
        """Check the totals of the tables once all tweets are labelled."""
        files = len(boto3.client("s3").list_objects_v2(Bucket="lake", Prefix="landing/")["Contents"])
        # deltalake holds the interpreter's lock while it reads, and this process runs the server.
        status = process.run("tables", "--lake", "s3a://lake/tables", "--json")
        tables = json.loads(status.stdout)["tables"]
        assert tables["bronze/tweets"]["rows"] == self._landed + files
        assert tables["silver/quarantine"]["rows"] == 0
        totals = tables["silver/tweets"]["totals"]
        assert totals["documents"] == self._landed + files
        assert (totals["rows"], totals["duplicates"]) == (self._landed, files)
        assert tables["silver/tweets"]["rows"] == tables["gold/sentiment"]["rows"] == self._landed


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    server = S3Server()
    for name, value in {**server.environment, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TWEETS_MONITOR_PORT", str(process.free_port()))
    yield server
    server.stop()


@pytest.fixture
def driver(server: S3Server, tmp_path: Path) -> Iterator[Driver]:
    """A driver that starts during an outage, and ends with exact totals."""
    with server.outage(Outage.THROTTLED):
        driver = Driver(tmp_path / "driver.log")
        driver.process.wait_for("waiting for the end of an outage")
    try:
        yield driver
    finally:
        driver.process.kill()
    driver.check_totals()


def outlast_outages(server: S3Server, driver: Driver, seconds: float) -> None:
    for kind in Outage:
        driver.land()
        driver.wait()
        driver.land()
        time.sleep(1)  # the outage interrupts a batch
        with server.outage(kind):
            time.sleep(seconds)
            driver.process.check_alive()
        driver.land()
        recovered = driver.wait()
        print(f"{seconds:.0f} s without S3 ({kind.value}): labelled {recovered:.0f} s later", flush=True)


def fail_writes(server: S3Server, driver: Driver, cases: Sequence[tuple[int, int, int, bool]]) -> None:
    """Land a file for each case, and fail a write of its batches, as `S3Server.fail_writes` does."""
    for number, (skipped, times, status, is_stored) in enumerate(cases, 1):
        driver.land()
        server.fail_writes(skipped, times, status, is_stored=is_stored)
        recovered = driver.wait()
        case = f"{times} × {status} after {skipped} writes, {'' if is_stored else 'not '}stored"
        print(f"case {number} of {len(cases)}: {case}: labelled {recovered:.0f} s later", flush=True)


@pytest.mark.slow
def test_a_driver_outlasts_outages_and_failed_writes(server: S3Server, driver: Driver) -> None:
    outlast_outages(server, driver, 4)
    fail_writes(server, driver, [(skipped, *fault) for skipped, fault in zip((2, 9, 17), _FAULTS, strict=True)])


@pytest.mark.chaos
@pytest.mark.timeout(14_400)
def test_a_driver_outlasts_long_outages(server: S3Server, driver: Driver) -> None:
    outlast_outages(server, driver, float(os.environ.get("OUTAGE_SECONDS", "60")))


@pytest.mark.chaos
@pytest.mark.timeout(14_400)
def test_a_driver_outlasts_a_failure_of_each_write(server: S3Server, driver: Driver) -> None:
    fail_writes(server, driver, [(skipped, *fault) for skipped in range(_WRITES_PER_ROUND) for fault in _FAULTS])
