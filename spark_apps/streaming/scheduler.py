"""Schedules the micro-batches of several streams in one process."""

import threading
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager

# Time for the next stream to discover newly written rows and to plan its batch.
_HANDOVER_SECONDS = 0.4


class BatchAbandoned(Exception):  # noqa: N818 - not an error: the next start repeats the batch
    """A micro-batch ended before it wrote anything, because the process is stopping."""


class BatchScheduler:
    """Runs one micro-batch at a time, in the order in which tweets pass through the streams.

    Batches that share the cores of one machine only delay each other. Spark plans a batch before the batch waits for
    its turn, with the input known at that time. Therefore:

    1. The next turn belongs to the following stream, if it is one that starts immediately. The scheduler gives that
       stream a moment to plan a batch with the rows just written.
    2. If that stream has no batch, the waiting stream furthest along the flow is next. The first stream is next only
       if no other stream has a batch.

    In any other order each tweet would wait for one batch of every other stream at each layer.
    """

    def __init__(self, order: Sequence[str], immediate: Set[str], stopping: threading.Event) -> None:
        """Create a scheduler.

        Args:
            order: names of the streams, in the order in which tweets pass through them.
            immediate: streams that start a batch as soon as input is available. The scheduler waits only for these:
                a stream with a trigger interval of its own has nothing to do most of the time.
            stopping: once set, waiting batches are abandoned.
        """
        self._order = order
        self._immediate = immediate
        self._stopping = stopping
        self._condition = threading.Condition()
        self._waiting: list[str] = []
        # Name of the stream whose micro-batch is running; empty between batches.
        self.running = ""
        self._next = ""
        self._freed_at = time.monotonic()

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Run the body as a micro-batch of the stream `name`, once that stream's turn has come.

        Raises:
            BatchAbandoned: `stopping` was set while the batch waited. `query.stop()` cannot interrupt a
                thread that waits here.
        """
        with self._condition:
            self._waiting.append(name)
            try:
                while not self._is_due(name):
                    self._condition.wait(_HANDOVER_SECONDS / 4)
                    if self._stopping.is_set():
                        raise BatchAbandoned
            finally:
                self._waiting.remove(name)
            self.running = name
        try:
            yield
        finally:
            with self._condition:
                self.running = ""
                following = next(iter(self._order[self._order.index(name) + 1 :]), "")
                self._next = following if following in self._immediate else ""
                self._freed_at = time.monotonic()
                self._condition.notify_all()

    def wait_until_idle(self, timeout: float) -> None:
        """Wait until no micro-batch is running, at most `timeout` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: not self.running, timeout)

    def _is_due(self, name: str) -> bool:
        if self.running:
            return False
        if self._next in self._waiting:
            return name == self._next
        handover_is_over = time.monotonic() - self._freed_at > _HANDOVER_SECONDS
        return (handover_is_over or not self._next) and name == max(self._waiting, key=self._order.index)
