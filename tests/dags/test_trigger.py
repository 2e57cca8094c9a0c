"""The trigger and the tasks of `keep_streams_running`: how a wait ends, and what a worker process does then."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.dags.fake_api import APP, CONFIG_MAP, HOLD, POD, FakeApi, edit_application, stored, stream_writes

pytestmark = pytest.mark.airflow

NOW = datetime.now(UTC)
# The start of a run that is over, and of one that is not.
OVER, RUNNING = (NOW - timedelta(hours=1)).isoformat(), (NOW + timedelta(hours=1)).isoformat()


def hold(api: FakeApi, suspended: bool = True) -> None:
    stored_hold = json.dumps({"owner": "operate-stream", "reason": "a test", "since": NOW.isoformat()})
    api.objects[CONFIG_MAP]["metadata"]["annotations"] = {HOLD: stored_hold}
    api.objects[APP]["spec"]["suspend"] = suspended


async def first_event(stream: str, started: str, settle: bool = False) -> Any:
    from tweet_dags.reconcile.trigger import StreamTrigger

    async for event in StreamTrigger(stream, started, settle).run():
        return event
    return None


def fired(started: str, settle: bool = False) -> Any:
    return asyncio.run(first_event("gold", started, settle))


@pytest.mark.parametrize(("started", "settle"), [(OVER, False), (RUNNING, True)], ids=["over", "settled"])
def test_a_trigger_ends_the_task_of_a_running_stream_itself(api: FakeApi, started: str, settle: bool) -> None:
    from airflow.triggers.base import TaskSuccessEvent

    event = fired(started, settle)
    assert isinstance(event, TaskSuccessEvent) and event.xcoms == {"return_value": "the driver has no IP address yet"}
    assert stored(api, "memory")["status"] == "running"


def test_a_trigger_skips_the_task_of_a_held_stream(api: FakeApi) -> None:
    from airflow.triggers.base import TaskSkippedEvent

    hold(api)
    event = fired(OVER)
    assert isinstance(event, TaskSkippedEvent) and event.xcoms and "a test" in str(event.xcoms["return_value"])


def test_a_trigger_wakes_a_worker_for_an_action_and_for_an_alert(api: FakeApi) -> None:
    edit_application(api)
    event = fired(RUNNING)
    assert "edited by hand" in event.payload["reason"] and event.payload["last"] is False
    api.objects[POD]["status"] = {"reason": "NodeLost"}
    event = fired(OVER)
    assert "does not respond" in event.payload["reason"] and event.payload["last"] is True
    assert stream_writes(api) == []


@pytest.mark.usefixtures("api")
def test_a_stream_that_hangs_does_not_delay_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from tweet_dags.reconcile import watch
    from tweet_dags.reconcile.observed import observe

    def hang(cluster: Any, stream: str) -> Any:
        if stream == "silver":
            time.sleep(2)
        return observe(cluster, stream)

    monkeypatch.setattr(watch, "observe", hang)

    async def run() -> int:
        silver = asyncio.create_task(first_event("silver", OVER))
        await asyncio.wait_for(first_event("gold", OVER), 1.5)
        ticks = 0
        while not silver.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    # The event loop went on during most of the two seconds.
    assert asyncio.run(run()) > 10


def task() -> Any:
    from tweet_dags.reconcile.operator import ReconcileStream

    made = ReconcileStream(task_id="heal", stream="gold", settle=False)
    # As the worker renders it.
    object.__setattr__(made, "started", OVER)
    return made


def event(last: bool, problem: str = "") -> dict[str, Any]:
    return {"reason": "edited by hand", "last": last, "problem": problem}


def test_a_worker_defers_the_task_again_after_an_action(api: FakeApi) -> None:
    from airflow.sdk.exceptions import TaskDeferred

    from tweet_dags.reconcile.trigger import StreamTrigger

    hold(api, suspended=False)
    with pytest.raises(TaskDeferred) as deferred:
        task().resume({}, event(last=False))
    assert api.objects[APP]["spec"]["suspend"] is True
    trigger = deferred.value.trigger
    assert isinstance(trigger, StreamTrigger) and trigger.serialize()[1] == {
        "stream": "gold", "started": OVER, "settle": False
    }  # fmt: skip
    assert deferred.value.method_name == "resume"


def test_a_worker_ends_the_task_by_what_it_observes(api: FakeApi) -> None:
    """The stream may have changed since the trigger has woken the worker."""
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    assert "no IP address" in task().resume({}, event(last=True))
    hold(api)
    with pytest.raises(AirflowSkipException, match="a test"):
        task().resume({}, event(last=True))
    api.objects[POD]["status"] = {"reason": "NodeLost"}
    with pytest.raises(AirflowFailException, match=r"gold: .*does not respond"):
        task().resume({}, event(last=True))


def test_a_problem_of_the_trigger_fails_the_task_without_another_observation(api: FakeApi) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    del api.objects[CONFIG_MAP]
    with pytest.raises(AirflowFailException, match="cannot be observed"):
        task().resume({}, event(last=True, problem="the stream cannot be observed: no answer"))
