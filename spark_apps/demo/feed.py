"""Made-up tweets → the landing, as a stream or a known number of them at once."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event

from spark_apps import storage
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected


def feed(landing: str, rate: float, on_landed: Callable[[Expected], None], stop: Event) -> None:
    """Land one file a second until `stop`, `rate` tweets a second; `on_landed` hears what must become of each file."""
    start = datetime.now(UTC)
    generator = Generator(int(start.timestamp()), start, Mix(rate=rate))
    due = time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        file = generator.tick(1)
        if file.expected.documents:
            storage.put(landing, file.name, file.data)
            on_landed(file.expected)
        due += 1


def land(landing: str, tweets: int, seed: int) -> Expected:
    """Land `tweets` records at once, the same for the same seed; return what must become of them."""
    total = Expected()
    # An id is made of its time: those of two seeds must not meet.
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=seed % 5000)
    for file in Generator(seed, start, Mix(duplicates=0.05, late=0.05, malformed=0.03)).files(tweets):
        storage.put(landing, f"seed-{seed}-{file.name}", file.data)
        total += file.expected
    return total
