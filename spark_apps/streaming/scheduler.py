"""Whose micro-batch is next, where several streams share one process."""

import threading
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager

# How long the next stream may take to see what the one before it has written, and to plan its batch.
_HANDOVER_SECONDS = 0.4


class Stopped(Exception):  # noqa: N818 - no error: the batch is done again at the next start
    """Raised by a batch that gave up waiting since `stopping` was set; nothing of it was written."""


class Turn:
    """Lets one micro-batch at a time work, so that what one has written flows through all the others at once.

    Batches that share the cores of one machine only delay each other. And a stream plans its batch before it waits
    for its turn, so the turn goes to the next stream of the flow, which is given a moment to plan with what has just
    been written; then to what else was planned, from the end of the flow; and to the first stream only when all
    others have nothing left to do. In another order each tweet would wait a whole round at every layer.
    """

    def __init__(self, order: Sequence[str], prompt: Set[str], stopping: threading.Event) -> None:
        """`order` names the streams as tweets flow through them; `prompt` are those without a pause of their own."""
        self._order = order
        # A stream that has a pause of its own is not waited for: most turns, it has nothing to do.
        self._prompt = prompt
        self._stopping = stopping
        self._condition = threading.Condition()
        self._waiting: list[str] = []
        # The stream whose batch is in flight; empty, when none is.
        self.holder = ""
        self._next = ""
        self._freed = time.monotonic()

    @contextmanager
    def take(self, name: str) -> Iterator[None]:
        """Wait for the turn of the stream `name`, and hand it on to the stream after it.

        Raises `Stopped` as soon as `stopping` is set: Spark cannot stop a query whose batch waits here.
        """
        with self._condition:
            self._waiting.append(name)
            try:
                while not self._is_due(name):
                    self._condition.wait(_HANDOVER_SECONDS / 4)
                    if self._stopping.is_set():
                        raise Stopped
            finally:
                self._waiting.remove(name)
            self.holder = name
        try:
            yield
        finally:
            with self._condition:
                self.holder = ""
                following = next(iter(self._order[self._order.index(name) + 1 :]), "")
                self._next = following if following in self._prompt else ""
                self._freed = time.monotonic()
                self._condition.notify_all()

    def wait_until_idle(self, timeout: float) -> None:
        """Wait at most `timeout` seconds for the batch in flight."""
        with self._condition:
            self._condition.wait_for(lambda: not self.holder, timeout)

    def _is_due(self, name: str) -> bool:
        if self.holder:
            return False
        if self._next in self._waiting:
            return name == self._next
        is_over = time.monotonic() - self._freed > _HANDOVER_SECONDS
        return (is_over or not self._next) and name == max(self._waiting, key=self._order.index)
