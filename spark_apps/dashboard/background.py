"""Requests that a page does not wait for."""

import math
import threading
import time
from collections.abc import Callable

_INTERVAL_SECONDS = 20.0


class BackgroundRequests:
    """Runs requests in threads, each at most every 20 s, for all browsers together."""

    def __init__(self) -> None:
        self._started_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def start(self, name: str, request: Callable[[], None]) -> None:
        """Call `request` in the background, unless the last request of this name began less than 20 s ago."""
        with self._lock:
            now = time.monotonic()
            if now - self._started_at.get(name, -math.inf) < _INTERVAL_SECONDS:
                return
            self._started_at[name] = now
        threading.Thread(target=request, daemon=True).start()
