"""The order in which micro-batches of several streams get their turn."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from spark_apps.streaming import scheduler
from spark_apps.streaming.planning_gate import PlanningGate, wait_until_open
from spark_apps.streaming.scheduler import BatchAbandoned, BatchScheduler
from tests.waiting import until

ORDER = ["bronze", "silver", "gold", "gold-aggregates"]


class Turns:
    """A scheduler, and the streams that wait for it in threads."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.scheduler = BatchScheduler(ORDER, {"bronze", "silver", "gold"}, self.stopping)
        self.taken: list[str] = []
        self.abandoned: list[str] = []
        self._threads: list[threading.Thread] = []

    def wait_for(self, *streams: str) -> None:
        """Let streams wait, each in a thread of its own, one after the other."""
        for stream in streams:
            thread = threading.Thread(target=self._take, args=(stream,))
            thread.start()
            self._threads.append(thread)
            until(partial(self._has_come, stream), 5, stream, 0.01)

    def _has_come(self, stream: str) -> bool:
        return stream in self.taken or any(name == stream for name, _ in self.scheduler._waiting)

    def join(self) -> list[str]:
        """Return the streams in the order of their turns."""
        for thread in self._threads:
            thread.join(10)
        return self.taken

    def _take(self, stream: str) -> None:
        try:
            with self.scheduler.turn(stream):
                self.taken.append(stream)
        except BatchAbandoned:
            self.abandoned.append(stream)

    @contextmanager
    def during(self, stream: str, is_behind: bool = False) -> Iterator[None]:
        """Run the body as a batch of a stream."""
        with self.scheduler.turn(stream) as turn:
            turn.is_behind = is_behind
            yield


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    # Otherwise a stream that is not there would get its moment to plan a batch after each turn.
    monkeypatch.setattr(scheduler, "_HANDOVER_SECONDS", 0.04)
    return Turns()


def test_the_following_stream_is_next_and_the_first_stream_last(turns: Turns) -> None:
    with turns.during("bronze"):
        turns.wait_for("bronze", "gold", "silver")
    assert turns.join() == ["silver", "gold", "bronze"]


def test_a_stream_with_its_own_interval_lets_other_streams_go_first(turns: Turns) -> None:
    with turns.during("gold"):
        turns.wait_for("gold-aggregates", "bronze", "silver")
    assert turns.join() == ["silver", "bronze", "gold-aggregates"]


def test_a_stream_with_its_own_interval_does_not_wait_for_ever(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_PATIENCE_SECONDS", 0.0)
    with turns.during("gold"):
        turns.wait_for("bronze", "silver", "gold-aggregates")
    assert turns.join()[0] == "gold-aggregates"


def test_the_following_stream_gets_a_moment_to_plan_its_batch(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_HANDOVER_SECONDS", 5.0)
    with turns.during("bronze"):
        turns.wait_for("bronze")
    turns.wait_for("silver")
    assert turns.join() == ["silver", "bronze"]


def test_a_batch_that_waits_is_abandoned_when_the_process_stops(turns: Turns) -> None:
    with turns.during("gold"):
        turns.wait_for("bronze", "silver")
        turns.stopping.set()
        turns.join()
    assert (sorted(turns.abandoned), turns.taken) == (["bronze", "silver"], [])


def is_open(gate: PlanningGate) -> bool:
    return wait_until_open(gate.path, 0.0)


def test_a_gate_is_closed_for_a_time_or_until_it_opens() -> None:
    gate = PlanningGate()
    assert is_open(gate)
    gate.close()
    assert not is_open(gate)
    threading.Timer(0.1, gate.open).start()
    assert wait_until_open(gate.path, 10)
    gate.close(0.1)
    assert not is_open(gate) and wait_until_open(gate.path, 10)


def test_a_gate_whose_process_has_ended_is_open() -> None:
    assert wait_until_open("/nonexistent/gate", 0.0)


def test_the_first_stream_plans_only_when_the_batches_of_the_others_have_ended(turns: Turns) -> None:
    gate = turns.scheduler.gate = PlanningGate()
    for stream in ("bronze", "silver"):
        with turns.during(stream):
            assert not is_open(gate), stream
        assert not is_open(gate), "the following stream plans its batch"
    with turns.during("gold"):
        assert not is_open(gate)
    assert is_open(gate)
    with turns.during("bronze"):
        pass
    assert wait_until_open(gate.path, 10), "the following stream has no batch"


def test_the_first_stream_plans_its_batch_before_a_stream_with_its_own_interval_runs(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_PLANNING_SECONDS", 5.0)
    turns.scheduler.gate = PlanningGate()
    with turns.during("gold"):
        turns.wait_for("gold-aggregates")
    turns.wait_for("bronze")
    monkeypatch.setattr(scheduler, "_PLANNING_SECONDS", 0.0)
    assert turns.join() == ["bronze", "gold-aggregates"]


def test_a_stream_with_its_own_interval_runs_while_nothing_lands(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_PLANNING_SECONDS", 0.05)
    turns.scheduler.gate = PlanningGate()
    with turns.during("gold"):
        turns.wait_for("gold-aggregates")
    assert turns.join() == ["gold-aggregates"]


def test_the_last_stream_is_next_again_while_it_is_behind(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_HANDOVER_SECONDS", 5.0)
    gate = turns.scheduler.gate = PlanningGate()
    with turns.during("gold", is_behind=True):
        turns.wait_for("bronze")
    assert not is_open(gate)
    turns.wait_for("gold")
    assert turns.join() == ["gold", "bronze"]


def test_the_first_stream_plans_no_batch_while_another_stream_waits(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = turns.scheduler.gate = PlanningGate()
    batches_before_open: list[list[str]] = []
    open_gate = gate.open

    def record() -> None:
        batches_before_open.append([*turns.taken])
        open_gate()

    monkeypatch.setattr(gate, "open", record)
    with turns.during("gold"):
        turns.wait_for("silver")
    assert turns.join() == ["silver"]
    assert not [taken for taken in batches_before_open if taken != ["silver"]]
    assert wait_until_open(gate.path, 10)


def test_no_stream_waits_for_a_stream_with_its_own_interval_that_is_behind(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_HANDOVER_SECONDS", 5.0)
    began = time.monotonic()
    with turns.during("gold-aggregates", is_behind=True):
        turns.wait_for("gold")
    assert turns.join() == ["gold"] and time.monotonic() - began < 4
