"""Waiting for a condition."""

import time
import urllib.request
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float, description: str, every: float = 0.2) -> float:
    """Wait until `condition` returns a true value; return the seconds that this took.

    Args:
        condition: called once per interval.
        seconds: time limit; the test fails after it.
        description: what the test waits for, for the message of the failure.
        every: interval in seconds.
    """
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"{description}: not within {seconds:.0f} s"
        time.sleep(every)
    return time.monotonic() - began


def answers(url: str) -> bool:
    """Return whether a server answers a GET of `url` without an error."""
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except OSError:
        return False
    return True
