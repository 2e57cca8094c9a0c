"""Delays the planning of a source that runs in a process beside the driver, until its batch can start.

Spark plans the next batch of a stream as soon as it has ended the one before, and the batch then waits for its turn.
The first stream waits for a batch of every other stream: input that lands meanwhile would wait for the round after.
"""

import os
import tempfile
import time
from pathlib import Path

_POLL_SECONDS = 0.01
_FOREVER_SECONDS = 365 * 24 * 3600.0


class PlanningGate:
    """A gate that is open or closed for a time, and that other processes on this machine can see.

    It is the modification time of a temporary file: the gate is closed until then.
    """

    def __init__(self) -> None:
        """Create an open gate."""
        self._file = tempfile.NamedTemporaryFile(prefix="tweet-sentiment-gate-")  # noqa: SIM115 - until the process ends
        self.path = self._file.name
        self.open()

    def open(self) -> None:
        os.utime(self.path, (0, 0))

    def close(self, seconds: float = _FOREVER_SECONDS) -> None:
        """Close the gate; it opens after `seconds`, or when `open` is called."""
        until = time.time() + seconds
        os.utime(self.path, (until, until))


def wait_until_open(gate: str, seconds: float) -> bool:
    """Wait until the gate with the path `gate` is open, up to `seconds`; return whether it is."""
    deadline = time.monotonic() + seconds
    while _is_closed(gate):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _is_closed(gate: str) -> bool:
    try:
        return Path(gate).stat().st_mtime > time.time()
    except FileNotFoundError:
        return False
