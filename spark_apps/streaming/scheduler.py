"""Schedules the micro-batches of several streams in one process."""

import threading
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass

from spark_apps.streaming.planning_gate import PlanningGate

# Time that the next stream gets to discover newly written rows and to plan its batch.
_HANDOVER_SECONDS = 0.4
# Time that the first stream gets to plan its batch, before a stream with its own trigger interval may run: on S3,
# planning takes several requests.
_PLANNING_SECONDS = 1.0
# Time for which a stream with its own trigger interval lets other streams go first.
_PATIENCE_SECONDS = 90.0


class BatchAbandoned(Exception):  # noqa: N818 - not an error: the next start repeats the batch
    """A micro-batch ended before it wrote anything, because the process is stopping."""


@dataclass
class Turn:
    """The turn of a micro-batch; `is_behind` is set if the batch has left rows that an earlier stream has written."""

    is_behind: bool = False


class BatchScheduler:
    """Runs one micro-batch at a time, in the order in which tweets pass through the streams.

    Concurrent batches would share the cores of one machine and only delay each other. Spark plans a batch before the
    batch waits for its turn, with the input known at that time. Therefore:

    1. The next turn belongs to the following stream, if this stream starts immediately. This stream gets a moment to
       plan a batch with the rows just written.
    2. The last stream of the order is next again while it is behind, because its batch has left input. Otherwise, a
       batch that it plans now would wait for a round, and miss the rows of this round.
    3. If that stream has no batch, the next turn belongs to the last waiting stream in the order. The first stream is
       next only if no other stream has a batch. A gate delays its planning until then.
    4. A stream with its own trigger interval is next only if no other stream has a batch, or if it has waited for 90 s.

    In any other order, a tweet would wait for a batch of every other stream at each layer.
    """

    def __init__(self, order: Sequence[str], immediate: Set[str], stopping: threading.Event) -> None:
        """Create a scheduler.

        Args:
            order: names of the streams, in the order in which tweets pass through them.
            immediate: names of the streams that start a batch as soon as input is available. The other streams have
                their own trigger interval, and nothing to do most of the time.
            stopping: once set, waiting batches are abandoned.
        """
        self._order = order
        self._immediate = immediate
        self._stopping = stopping
        # The gate of the first stream; None if its source plans at any time.
        self.gate: PlanningGate | None = None
        self._condition = threading.Condition()
        # The names of the waiting streams, and since when they wait.
        self._waiting: list[tuple[str, float]] = []
        # Name of the stream with the running micro-batch; empty between batches.
        self.running = ""
        self._next = ""
        self._freed_at = time.monotonic()

    @contextmanager
    def turn(self, name: str) -> Iterator[Turn]:
        """Run the body as a micro-batch of the stream `name`, once it is this stream's turn.

        Raises:
            BatchAbandoned: `stopping` was set while the batch waited. The batch must end itself, because `query.stop()`
                cannot interrupt the waiting thread.
        """
        with self._condition:
            waiting = (name, time.monotonic())
            self._waiting.append(waiting)
            try:
                while not self._is_due(name):
                    self._condition.wait(_HANDOVER_SECONDS / 4)
                    if self._stopping.is_set():
                        raise BatchAbandoned
            finally:
                self._waiting.remove(waiting)
            self.running = name
            if self.gate:
                self.gate.close()
        turn = Turn()
        try:
            yield turn
        finally:
            with self._condition:
                self.running = ""
                self._next = self._next_after(name, turn.is_behind)
                self._freed_at = time.monotonic()
                self._open_gate()
                self._condition.notify_all()

    def wait_until_idle(self, timeout: float) -> None:
        """Wait until no micro-batch is running, at most `timeout` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: not self.running, timeout)

    def _next_after(self, name: str, is_behind: bool) -> str:
        """Return the stream that gets a moment to plan a batch; empty if any stream may run."""
        following = next(iter(self._order[self._order.index(name) + 1 :]), "")
        if following in self._immediate:
            return following
        return name if is_behind and name in self._immediate else ""

    def _open_gate(self) -> None:
        """Let the first stream plan a batch, unless another stream has a batch or a moment to plan one."""
        if self.gate is None:
            return
        if any(stream in self._immediate for stream, _ in self._waiting):
            self.gate.close()
        elif self._next:
            self.gate.close(_HANDOVER_SECONDS)
        else:
            self.gate.open()

    def _is_due(self, name: str) -> bool:
        if self.running:
            return False
        now = time.monotonic()
        waiting = {stream for stream, _ in self._waiting}
        if self._next in waiting:
            return name == self._next
        if self._next and now - self._freed_at <= _HANDOVER_SECONDS:
            return False
        due = {
            stream for stream, since in self._waiting if stream in self._immediate or now - since > _PATIENCE_SECONDS
        }
        if self.gate and not due and now - self._freed_at <= _PLANNING_SECONDS:
            return False
        return name == max(due or waiting, key=self._order.index)
