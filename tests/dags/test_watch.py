"""What the trigger sees of a stream, what it saves, and when it wakes a worker process or ends."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.dags.fake_api import (
    APP,
    CONFIG_MAP,
    CORE,
    HOLD,
    POD,
    FakeApi,
    edit_application,
    set_state,
    stored,
    stream_writes,
)
from tests.dags.observations import executor
from tweet_dags.reconcile.actions import Action, ActionKind, Status
from tweet_dags.reconcile.watch import RUN_LENGTH, Decision, Pass, StreamWatch, decide

pytestmark = pytest.mark.airflow

STARTED = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOTHING = Action(ActionKind.NONE, "advancing")
RECREATE = Action(ActionKind.RECREATE, "edited by hand")
RESTART = Action(ActionKind.RESTART_DRIVER, "not advancing")


def seen(seconds: float = 60, action: Action | None = NOTHING, **changes: Any) -> Pass:
    """Return a pass so many seconds after the start of the run."""
    return replace(Pass(STARTED + timedelta(seconds=seconds), action), **changes)


def decided(a_pass: Pass, settle: bool = False, tries: int = 1) -> Decision | None:
    return decide(a_pass, STARTED, settle, tries)


OVER = RUN_LENGTH.total_seconds()


def test_a_watch_goes_on_until_the_end_of_the_run() -> None:
    for status in Status:
        assert decided(seen(0, status=status)) is None and decided(seen(OVER - 1, status=status)) is None
    assert decided(seen(OVER)) == Decision("advancing", status=Status.RUNNING)
    assert decided(seen(OVER, status=Status.HELD)) == Decision("advancing", status=Status.HELD)
    # Only a worker can fail a task without further tries.
    assert decided(seen(OVER, status=Status.ALERT)) == Decision("advancing", wake=True, status=Status.ALERT)


@pytest.mark.parametrize("status", Status)
def test_the_first_task_shows_the_status_at_once(status: Status) -> None:
    assert decided(seen(1, status=status), settle=True) == Decision(
        "advancing", wake=status is Status.ALERT, status=status
    )


def test_an_action_wakes_a_worker_which_defers_the_task_again() -> None:
    for settle in (True, False):
        for seconds in (1, OVER + 1):
            decision = decided(seen(seconds, RECREATE, status=Status.ALERT), settle)
            assert decision == Decision("edited by hand", wake=True, last=False)


def test_a_stuck_driver_is_left_to_the_task_heal() -> None:
    assert decided(seen(1, RESTART), settle=True) == Decision("not advancing")
    assert decided(seen(1, RESTART)) == Decision("not advancing", wake=True, last=False)


def test_a_run_ends_when_the_status_of_any_stream_changes() -> None:
    """All tasks compare the same two times, so none of them goes on alone."""
    assert decided(seen(status_change=STARTED)) is None
    assert decided(seen(status_change=STARTED - timedelta(hours=1))) is None
    assert decided(seen(status_change=STARTED + timedelta(seconds=50))) == Decision("advancing")


def test_a_write_that_was_rejected_in_several_tries_fails_the_task_at_the_end_of_the_run() -> None:
    assert decided(seen(60, RECREATE), tries=5) == Decision("edited by hand", wake=True, last=False)
    assert decided(seen(OVER, RECREATE), tries=2) == Decision("edited by hand", wake=True, last=False)
    decision = decided(seen(OVER, RECREATE), tries=3)
    assert decision and decision.last and "2 tries have failed" in decision.problem


def test_a_cluster_that_cannot_be_read_alerts_at_the_end_of_the_run_if_it_lasts() -> None:
    down = seen(OVER, None, problem="no answer", problem_since=STARTED)
    assert decided(replace(down, at=STARTED + timedelta(seconds=60))) is None
    assert decided(down) == Decision("no answer", wake=True, problem="no answer")
    assert decided(replace(down, problem_since=down.at - timedelta(seconds=30))) == Decision("no answer")


def test_finished_executors_are_removed_at_the_end_of_a_run() -> None:
    assert decided(seen(orphans=True)) is None and decided(seen(1, orphans=True), settle=True) == Decision("advancing")
    assert decided(seen(OVER, orphans=True)) == Decision("advancing", wake=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A monotonic clock that the test moves."""
    now = [1000.0]
    monkeypatch.setattr("tweet_dags.reconcile.watch.time.monotonic", lambda: now[0])
    yield now


def saves(api: FakeApi) -> int:
    return sum(name == "stream-applications" for _, name, _, _ in api.writes)


def test_a_watch_saves_a_condition_once(api: FakeApi, clock: list[float]) -> None:
    """A condition that begins while there is nothing to do must outlast the triggerer."""
    watch = StreamWatch("gold")
    watch.observe()
    assert stored(api, "memory")["status"] == "running" and saves(api) == 1
    del api.objects[POD]
    set_state(api, "PENDING_RERUN")
    clock[0] += 20
    began = datetime.now(UTC)
    for _ in range(10):
        watch.observe()
        clock[0] += 5
    assert saves(api) == 2
    assert began <= datetime.fromisoformat(stored(api, "memory")["since"]) <= datetime.now(UTC)


def test_a_condition_that_comes_and_goes_is_saved_seldom_and_before_the_end(api: FakeApi, clock: list[float]) -> None:
    watch = StreamWatch("gold")
    watch.observe()
    pod = api.objects[POD]
    for _ in range(12):
        if POD in api.objects:
            del api.objects[POD]
            set_state(api, "PENDING_RERUN")
        else:
            api.put(POD, pod)
            set_state(api, "RUNNING")
        watch.observe()
        clock[0] += 5
    assert 2 <= saves(api) <= 5
    del api.objects[POD]
    set_state(api, "PENDING_RERUN")
    watch.observe()
    watch.save()
    assert stored(api, "memory")["condition"] == "without a driver app"


@pytest.mark.usefixtures("clock")
def test_the_duration_of_a_condition_counts_before_it_is_saved(api: FakeApi) -> None:
    watch = StreamWatch("gold")
    watch.observe()
    del api.objects[POD]
    set_state(api, "PENDING_RERUN")
    watch.observe()
    assert stored(api, "memory")["condition"] == ""
    first = watch._unsaved
    watch.observe()
    assert first and watch._unsaved and watch._unsaved.since == first.since


def test_a_watch_executes_nothing_and_leaves_the_state_after_an_action_to_the_worker(api: FakeApi) -> None:
    watch = StreamWatch("gold")
    watch.observe()
    before = stored(api, "memory")
    edit_application(api)
    seen_edit = watch.observe()
    assert seen_edit.action and seen_edit.action.kind is ActionKind.RECREATE
    watch.save()
    assert stored(api, "memory") == before and stream_writes(api) == []


def test_the_state_after_an_action_is_saved_by_the_worker_only(api: FakeApi) -> None:
    """If the requeue is not executed, the next pass must plan it again."""
    del api.objects[POD]
    set_state(api, "PENDING_RERUN")
    StreamWatch("gold").observe()
    state = stored(api, "memory") | {"since": (datetime.now(UTC) - timedelta(seconds=301)).isoformat()}
    api.objects[CONFIG_MAP]["metadata"]["annotations"]["tweet-sentiment/memory-gold"] = json.dumps(state)
    for _ in range(2):
        watch = StreamWatch("gold")
        requeue = watch.observe()
        watch.save()
        assert requeue.action and requeue.action.kind is ActionKind.REQUEUE
    assert stored(api, "memory") == state


def test_a_hold_changes_the_status_for_all_streams(api: FakeApi) -> None:
    """The change is saved at once: the tasks of the other streams end the run with it."""
    watch = StreamWatch("gold")
    for each in (watch, StreamWatch("silver")):
        each.observe()
    began = datetime.now(UTC)
    hold = {"owner": "operate-stream", "reason": "a test", "since": began.isoformat()}
    api.objects[CONFIG_MAP]["metadata"]["annotations"][HOLD] = json.dumps(hold)
    api.objects[APP]["spec"]["suspend"] = True
    gold = watch.observe()
    assert (gold.status, gold.action and gold.action.kind) == (Status.HELD, ActionKind.NONE)
    silver = StreamWatch("silver").observe()
    assert silver.status is Status.RUNNING
    assert gold.status_change == silver.status_change and silver.status_change and silver.status_change >= began


def test_a_cluster_that_cannot_be_read_is_a_problem_and_no_error(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    watch = StreamWatch("gold")
    config_map = api.objects.pop(CONFIG_MAP)
    first, second = watch.observe(), watch.observe()
    assert "ConfigMap stream-applications is missing" in first.problem and first.action is None
    assert second.problem_since == first.problem_since
    assert len(caplog.messages) == 1
    api.put(CONFIG_MAP, config_map)
    assert watch.observe().action is not None
    monkeypatch.setattr("tweet_dags.reconcile.watch.observe", lambda *_: (_ for _ in ()).throw(OSError()))
    assert watch.observe().problem == "the stream cannot be observed: OSError"


def test_a_watch_notices_finished_executors(api: FakeApi) -> None:
    assert not StreamWatch("gold").observe().orphans
    api.put(f"{CORE}/pods/gold-exec-1", executor("Succeeded", owner="killed", finished=0))
    assert StreamWatch("gold").observe().orphans


@pytest.mark.usefixtures("api")
def test_a_pass_is_cheap() -> None:
    """60 passes a minute must not take more than a fraction of a CPU second."""
    watch = StreamWatch("gold")
    watch.observe()
    began = time.thread_time()
    for _ in range(20):
        watch.observe()
    assert (time.thread_time() - began) / 20 < 0.03
