"""What is done about a stream, for each state that its application, its driver and its pods can be in."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tweet_dags.decide import HASH, HOLD, MANAGER, Action, Kind, Limits, Memory, Seen, decide

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LIMITS = Limits(stuck=timedelta(seconds=300), failures=3)
STATES = [
    "",
    "SUBMITTED",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "SUBMISSION_FAILED",
    "PENDING_RERUN",
    "INVALIDATING",
    "SUCCEEDING",
    "FAILING",
    "SUSPENDING",
    "SUSPENDED",
    "RESUMING",
    "UNKNOWN",
]


def manifest(spec: dict[str, Any] | None = None, spec_hash: str = "aaaa") -> dict[str, Any]:
    return {
        "metadata": {"name": "gold", "annotations": {HASH: spec_hash}},
        "spec": spec or {"sparkConf": {"a": "1"}, "driver": {"memory": "1g", "env": [{"name": "X", "value": "1"}]}},
    }


def live(state: str = "RUNNING", **status: Any) -> dict[str, Any]:
    made = manifest()
    # As the operator's webhook leaves it.
    made["spec"] = json.loads(json.dumps(made["spec"])) | {"deps": {}}
    return made | {"status": {"submissionID": "one", "applicationState": {"state": state}, **status}}


def driver(spec_hash: str = "aaaa", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "gold-driver", "labels": {HASH: spec_hash}}, "status": status}


def progress(seconds: float = 1, error: str | None = None) -> dict[str, Any]:
    return {"layer": "gold", "streams": {"gold": {"batch": 7, "seconds_since_progress": seconds}}, "error": error}


def seen(**changes: Any) -> Seen:
    whole = Seen(
        now=NOW,
        rendered=manifest(),
        live=live(),
        driver=driver(),
        pods=2,
        progress=progress(),
        memory=Memory(submission="one", spec="aaaa"),
    )
    return replace(whole, **changes)


def after(seconds: float, before: Seen, **changes: Any) -> Seen:
    """Return what is seen so many seconds after `before`, with what that look has left."""
    _, memory = decide(before, LIMITS)
    return replace(before, now=before.now + timedelta(seconds=seconds), memory=memory, **changes)


def kind(found: Seen) -> Kind:
    return decide(found, LIMITS)[0].kind


def test_a_stream_that_advances_is_left_alone() -> None:
    action, memory = decide(seen(), LIMITS)
    assert action == Action(Kind.NOTHING, "advancing: gold at batch 7")
    assert memory == seen().memory


def test_a_missing_application_is_applied_once_its_pods_are_gone() -> None:
    assert kind(seen(live=None, driver=None, pods=1)) is Kind.NOTHING
    assert kind(seen(live=None, driver=None, pods=0)) is Kind.APPLY


@pytest.mark.parametrize(
    "state", ["", "PENDING_RERUN", "INVALIDATING", "RESUMING", "SUSPENDED", "RUNNING", "COMPLETED"]
)
def test_without_a_driver_the_operator_is_woken_after_a_minute_and_the_application_made_anew_after_two(
    state: str,
) -> None:
    first = seen(live=live(state), driver=None, progress=None, pods=0)
    assert kind(first) is Kind.NOTHING
    second = after(59, first)
    assert kind(second) is Kind.NOTHING
    third = after(2, second)
    assert kind(third) is Kind.WAKE
    assert kind(after(60, third)) is Kind.DELETE
    # The driver came meanwhile: all is forgotten.
    there = after(60, third, driver=driver(), live=live("RUNNING"), progress=progress())
    assert kind(there) is Kind.NOTHING
    assert decide(there, LIMITS)[1].since is None


@pytest.mark.parametrize("state", ["", "PENDING_RERUN", "INVALIDATING", "RESUMING", "SUCCEEDING", "SUSPENDING"])
def test_nothing_is_written_while_a_submission_is_under_way(state: str) -> None:
    """Not even a spec that was edited, or a new one of the chart."""
    other = live(state)
    other["spec"]["sparkConf"]["a"] = "2"
    assert kind(seen(live=other)) is Kind.NOTHING
    assert kind(seen(live=live(state), rendered=manifest(spec_hash="bbbb"))) is Kind.NOTHING


def test_a_spec_of_the_chart_that_has_changed_is_applied() -> None:
    assert kind(seen(rendered=manifest(spec_hash="bbbb"))) is Kind.APPLY


def test_a_driver_of_the_spec_before_is_replaced_when_the_operator_does_not() -> None:
    """As after an upgrade while the operator was down: it never sees the edit."""
    first = seen(driver=driver("0000"))
    assert kind(first) is Kind.NOTHING
    assert kind(after(61, first)) is Kind.DELETE
    assert kind(after(61, first, driver=driver())) is Kind.NOTHING


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("sparkConf", "a"), "2", "spec.sparkConf.a"),
        (("driver", "memory"), "9g", "spec.driver.memory"),
        (("driver", "env"), [], "spec.driver.env"),
        (("driver", "env"), [{"name": "X", "value": "2"}], "spec.driver.env[0].value"),
    ],
)
def test_a_spec_edited_by_hand_is_made_anew(path: tuple[str, str], value: Any, place: str) -> None:
    other = live()
    other["spec"][path[0]][path[1]] = value
    action, _ = decide(seen(live=other), LIMITS)
    assert action.kind is Kind.DELETE and place in action.says


def test_keys_that_somebody_else_has_added_are_found_by_their_owner() -> None:
    other = live()
    other["spec"]["sparkConf"]["extra"] = "1"
    other["metadata"]["managedFields"] = [
        {"manager": MANAGER, "fieldsV1": {"f:spec": {"f:sparkConf": {"f:a": {}}}}},
        {"manager": "spark-operator", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]
    assert kind(seen(live=other)) is Kind.NOTHING
    foreign = {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:sparkConf": {"f:extra": {}}}}}
    other["metadata"]["managedFields"].append(foreign)
    action, _ = decide(seen(live=other), LIMITS)
    assert action.kind is Kind.DELETE and "kubectl-edit owns sparkConf" in action.says


@pytest.mark.parametrize("state", STATES)
def test_a_held_stream_is_left_alone_in_every_state(state: str) -> None:
    held = live(state)
    held["metadata"]["annotations"][HOLD] = json.dumps({"owner": "rescore-gold", "reason": "history", "since": "now"})
    held["spec"]["suspend"] = True
    for given_driver in (None, driver()):
        action, _ = decide(seen(live=held, driver=given_driver, rendered=manifest(spec_hash="bbbb")), LIMITS)
        assert action.kind is Kind.NOTHING and "rescore-gold" in action.says


def test_a_stream_suspended_without_a_hold_is_started_again() -> None:
    other = live("RUNNING")
    other["spec"]["suspend"] = True
    assert kind(seen(live=other)) is Kind.DELETE


def test_a_pending_driver_is_reported_and_not_restarted() -> None:
    waiting = [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]
    first = seen(live=live("SUBMITTED"), driver=driver(containerStatuses=waiting), progress=None)
    action, _ = decide(first, LIMITS)
    assert action == Action(Kind.NOTHING, "the driver is pending: ImagePullBackOff no such image")
    assert decide(after(301, first), LIMITS)[0].alert
    unschedulable = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]
    action, _ = decide(seen(live=live("SUBMITTED"), driver=driver(conditions=unschedulable)), LIMITS)
    assert "0/1 nodes" in action.says


def test_a_failed_submission_shows_its_error() -> None:
    found = live("SUBMISSION_FAILED")
    found["status"]["applicationState"]["errorMessage"] = "no quota"
    action, _ = decide(seen(live=found), LIMITS)
    assert (action.kind, action.alert) == (Kind.NOTHING, True) and "no quota" in action.says


def test_what_waits_longer_with_each_attempt_is_made_anew_after_ten() -> None:
    assert kind(seen(live=live("FAILING", executionAttempts=10))) is Kind.NOTHING
    assert kind(seen(live=live("FAILING", executionAttempts=11))) is Kind.DELETE
    assert kind(seen(live=live("SUBMISSION_FAILED", submissionAttempts=11))) is Kind.DELETE


def test_batches_that_stand_still_end_the_driver() -> None:
    assert kind(seen(progress=progress(299))) is Kind.NOTHING
    action, _ = decide(seen(progress=progress(301)), LIMITS)
    assert action.kind is Kind.END_DRIVER and "gold for 301 s" in action.says
    going = driver()
    going["metadata"]["deletionTimestamp"] = "now"
    assert kind(seen(progress=progress(301), driver=going)) is Kind.NOTHING


def test_a_driver_that_does_not_answer_is_ended_after_the_same_time() -> None:
    first = seen(progress=None)
    assert kind(first) is Kind.NOTHING
    assert kind(after(299, first)) is Kind.NOTHING
    assert kind(after(301, first)) is Kind.END_DRIVER


@pytest.mark.parametrize(
    "lost",
    [
        seen(live=live("UNKNOWN")),
        seen(driver=driver(conditions=[{"type": "Ready", "status": "Unknown"}])),
        seen(driver=driver(reason="NodeLost")),
    ],
)
def test_a_lost_node_is_alerted_and_nothing_is_ended(lost: Seen) -> None:
    action, _ = decide(lost, LIMITS)
    assert (action.kind, action.alert) == (Kind.NOTHING, True)


def test_a_stream_that_fails_too_often_is_left_down_once() -> None:
    """Each submission of one spec that nobody asked for is a failure, whoever noticed it."""
    found = seen()
    for number in range(4):
        assert kind(found) is Kind.NOTHING
        found = after(60, found, live=live(submissionID=f"again {number}"), progress=progress(error="out of memory"))
    action, memory = decide(found, LIMITS)
    assert (action.kind, action.alert) == (Kind.LEAVE_DOWN, True) and "out of memory" in action.says
    held = live()
    held["metadata"]["annotations"][HOLD] = json.dumps({"owner": MANAGER, "reason": action.says, "since": "now"})
    assert decide(replace(found, live=held, memory=memory), LIMITS)[0].alert is False


def test_failures_are_forgotten_after_an_hour_and_upgrades_are_none() -> None:
    found = seen()
    for number in range(20):
        found = after(1300, found, live=live(submissionID=f"again {number}"))
        assert kind(found) is Kind.NOTHING
    found = seen()
    for number in range(20):
        upgraded = live(submissionID=f"again {number}")
        upgraded["metadata"]["annotations"][HASH] = f"{number:04}"
        rendered = manifest(spec_hash=f"{number:04}")
        found = after(10, found, live=upgraded, rendered=rendered, driver=driver(f"{number:04}"))
        assert kind(found) is Kind.NOTHING


@given(
    state=st.sampled_from([*STATES, "SOMETHING_NEW"]),
    has_driver=st.booleans(),
    seconds=st.floats(0, 1000),
    answers=st.booleans(),
    alters=st.booleans(),
    waited=st.floats(0, 1000),
)
def test_in_no_state_is_a_driver_ended_that_advances(
    state: str, has_driver: bool, seconds: float, answers: bool, alters: bool, waited: float
) -> None:
    rendered = manifest(spec_hash="bbbb" if alters else "aaaa")
    first = seen(
        live=live(state),
        rendered=rendered,
        driver=driver() if has_driver else None,
        progress=progress(seconds) if answers and has_driver else None,
    )
    action, _ = decide(after(waited, first), LIMITS)
    assert action.says
    if action.kind is Kind.END_DRIVER:
        assert has_driver and state == "RUNNING" and (not answers or seconds > 300)
    if action.kind is Kind.DELETE:
        assert not has_driver
