"""How tests wait for what comes true by itself."""

import time
from collections.abc import Callable
from typing import Any


def until(true: Callable[[], Any], seconds: float, what: str, every: float = 0.2) -> float:
    """Wait until `true` says so, asked `every` so many seconds; return the seconds that it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:.0f} s"
        time.sleep(every)
    return time.monotonic() - began
