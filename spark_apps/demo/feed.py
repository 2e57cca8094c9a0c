"""Lands generated tweets: as an endless stream, or a given number at once."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event

from spark_apps import storage
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from spark_apps.streaming.outage import outlast

# If the first file is not labelled within this time, something is wrong: land the other files without waiting.
_FIRST_SECONDS = 60.0


def feed(
    landing: str, rate: float, on_landed: Callable[[Expected], None], stop: Event, labelled: Event | None = None
) -> None:
    """Land one file per second until `stop`. An outage of the storage interrupts the stream, but does not end it.

    Args:
        landing: folder or s3a://bucket/prefix.
        rate: tweets per second.
        on_landed: called with the expected result of each file.
        stop: event that ends the stream.
        labelled: if given, the feed lands one file and waits up to a minute for this event before the next. The first
            tweets then reach Gold sooner, because no other batch competes with theirs.
    """
    if labelled is not None:
        _land_file(_generator(rate), landing, on_landed, stop)
        deadline = time.monotonic() + _FIRST_SECONDS
        while not labelled.wait(0.2) and not stop.is_set() and time.monotonic() < deadline:
            pass
    generator = _generator(rate)
    due = time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        _land_file(generator, landing, on_landed, stop)
        # After an outage, do not land the files of all its seconds at once.
        due = max(due + 1, time.monotonic())


def land(landing: str, tweets: int, seed: int) -> Expected:
    """Land `tweets` records at once and return their expected result; the same seed lands the same tweets."""
    total = Expected()
    # Ids contain the time of the tweet: with a different start for each seed, the ids of two seeds do not collide.
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=seed % 5000)
    for file in Generator(seed, start, Mix(duplicates=0.05, late=0.05, malformed=0.03)).files(tweets):
        storage.put(landing, f"seed-{seed}-{file.name}", file.data)
        total += file.expected
    return total


def _generator(rate: float) -> Generator:
    now = datetime.now(UTC)
    return Generator(int(now.timestamp()), now, Mix(rate=rate))


def _land_file(generator: Generator, landing: str, on_landed: Callable[[Expected], None], stop: Event) -> None:
    """Land the next second of the stream, unless it is empty, in the folder of the current hour."""
    file = generator.tick(1)
    if not file.expected.documents:
        return
    name = f"{datetime.now(UTC):%Y-%m-%d/%H}/{file.name}"
    # The name stays: a repeated write replaces the same file.
    if outlast(lambda: storage.put(landing, name, file.data), lambda _: None, stop):
        on_landed(file.expected)
