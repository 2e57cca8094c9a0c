"""The order of precedence of the plan: states that forbid every action, then holds, then changes of the chart."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dags.observations import (
    LIMITS,
    NOW,
    REFUSED,
    STATES,
    SUBMITTING_STATES,
    TIMED_OUT,
    UNREACHABLE,
    ago,
    alerts,
    application,
    driver,
    failed_submission,
    failures,
    later,
    manifest,
    observed,
    planned,
    progress,
    reason,
)
from tweet_dags.kubernetes.driver import DriverResponse, ResponseStatus
from tweet_dags.reconcile.actions import Action, ActionKind, Remedy, Status
from tweet_dags.reconcile.annotations import Hold, ReconcileState
from tweet_dags.reconcile.observed import ObservedState
from tweet_dags.reconcile.plan import plan
from tweet_dags.reconcile.spec_drift import FIELD_MANAGER

HOLD = Hold("rescore-gold", "history", "2026-11-25T11:00:00+00:00")
GIVEN_UP = Hold(FIELD_MANAGER, "failed 4 times within an hour", "2026-11-25T11:29:59+00:00")
RECENT = replace(GIVEN_UP, since="2026-11-25T11:59:00+00:00")
NEW_MANIFEST = manifest("bbbb")
WRITES_TO_APPLICATION = set(ActionKind) - {ActionKind.NONE, ActionKind.RESTART_DRIVER, ActionKind.RETRY}


def suspended(state: str) -> dict[str, Any]:
    made = application(state)
    made["spec"]["suspend"] = True
    return made


def test_a_stream_that_advances_needs_no_action() -> None:
    action, reconcile_state = plan(observed(), LIMITS)
    assert action == Action(ActionKind.NONE, "advancing: gold at batch 7")
    assert reconcile_state == observed().reconcile_state


def test_a_missing_application_is_applied_once_its_pods_are_gone() -> None:
    assert planned(observed(application=None)) is ActionKind.NONE
    assert planned(observed(application=None, pods=())) is ActionKind.APPLY


@pytest.mark.parametrize("state", SUBMITTING_STATES)
def test_nothing_is_written_during_a_submission(state: str) -> None:
    """Neither for an edit, nor for a new spec of the chart, nor to give up the stream, nor for a hold."""
    edited = application(state)
    edited["spec"]["sparkConf"]["a"] = "2"
    many_failures = failures(10, 20, 30, 40, 50)
    for case in (
        observed(application=edited),
        observed(application=application(state), desired=NEW_MANIFEST),
        observed(application=application(state), reconcile_state=many_failures),
        observed(application=application(state), reconcile_state=many_failures, pods=(), response=None),
        observed(application=application(state), hold=HOLD),
    ):
        assert planned(case) is ActionKind.NONE


def test_a_changed_spec_of_the_chart_is_applied() -> None:
    assert planned(observed(desired=NEW_MANIFEST)) is ActionKind.APPLY
    assert planned(observed(desired=NEW_MANIFEST, application=application("FAILING"))) is ActionKind.APPLY


def test_a_changed_spec_is_applied_between_two_submission_attempts_only() -> None:
    """The state stays SUBMISSION_FAILED during a retry: a write at that moment would make the operator submit twice."""
    assert planned(observed(desired=NEW_MANIFEST, application=failed_submission(30))) is ActionKind.APPLY
    assert planned(observed(desired=NEW_MANIFEST, application=failed_submission(55))) is ActionKind.NONE
    assert planned(observed(desired=NEW_MANIFEST, application=failed_submission(65))) is ActionKind.NONE


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("sparkConf", "a"), "2", "spec.sparkConf.a"),
        (("driver", "memory"), "9g", "spec.driver.memory"),
        (("driver", "env"), [], "spec.driver.env"),
        (("driver", "env"), [{"name": "X", "value": "2"}], "spec.driver.env[0].value"),
    ],
)
def test_an_application_edited_by_hand_is_recreated(path: tuple[str, str], value: Any, field: str) -> None:
    edited = application()
    edited["spec"][path[0]][path[1]] = value
    action, _ = plan(observed(application=edited), LIMITS)
    assert action.kind is ActionKind.RECREATE and field in action.reason


def test_fields_added_by_others_are_found_by_their_field_manager() -> None:
    edited = application()
    edited["spec"]["sparkConf"]["extra"] = "1"
    edited["metadata"]["managedFields"] = [
        {"manager": FIELD_MANAGER, "fieldsV1": {"f:spec": {"f:sparkConf": {"f:a": {}}}}},
        {"manager": "operate-stream-hold", "fieldsV1": {"f:spec": {"f:suspend": {}}}},
        {"manager": "spark-operator", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]
    assert planned(observed(application=edited)) is ActionKind.NONE
    foreign = {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:sparkConf": {"f:extra": {}}}}}
    edited["metadata"]["managedFields"].append(foreign)
    action, _ = plan(observed(application=edited), LIMITS)
    assert action.kind is ActionKind.RECREATE and "kubectl-edit owns sparkConf" in action.reason


@pytest.mark.parametrize("state", [state for state in STATES if state not in {"UNKNOWN", "SOMETHING_NEW"}])
@pytest.mark.parametrize("pods", [(), (driver(),)])
def test_a_held_and_suspended_stream_needs_no_action_in_any_state(state: str, pods: tuple[Any, ...]) -> None:
    case = observed(
        application=suspended(state),
        pods=pods,
        desired=NEW_MANIFEST,
        hold=HOLD,
        reconcile_state=failures(1, 2, 3, 4, 5),
    )
    action, _ = plan(case, LIMITS)
    assert action.kind is ActionKind.NONE and "held by rescore-gold" in action.reason and not action.alert


def test_a_hold_survives_the_deletion_of_the_application() -> None:
    """The application is not created again, and an application that a person creates is suspended."""
    assert planned(observed(application=None, pods=(), hold=HOLD)) is ActionKind.NONE
    assert "history" in reason(observed(application=None, pods=(), hold=HOLD))
    assert planned(observed(application=application("RUNNING"), hold=HOLD)) is ActionKind.SUSPEND
    assert planned(observed(application=application(""), pods=(), hold=HOLD)) is ActionKind.NONE


def test_a_stream_that_was_given_up_is_tried_again_after_half_an_hour() -> None:
    assert planned(observed(application=suspended("SUSPENDED"), hold=GIVEN_UP)) is ActionKind.RETRY
    recent = replace(GIVEN_UP, since="2026-11-25T11:30:01+00:00")
    for hold in (recent, replace(GIVEN_UP, since="unknown"), HOLD):
        assert planned(observed(application=suspended("SUSPENDED"), hold=hold)) is ActionKind.NONE
    assert planned(observed(application=application("FAILING"), hold=GIVEN_UP)) is ActionKind.SUSPEND


def test_a_suspended_stream_without_a_hold_is_resumed() -> None:
    """A `start` was interrupted between its two writes, or a person has suspended the application by hand."""
    for state in ("SUSPENDED", "RUNNING"):
        assert planned(observed(application=suspended(state), pods=(), response=None)) is (
            ActionKind.RESUME if state == "SUSPENDED" else ActionKind.NONE
        )
        assert planned(observed(application=suspended(state))) is ActionKind.RESUME
    assert planned(observed(application=suspended("SUSPENDING"))) is ActionKind.NONE
    # A resume would start the old spec, only to replace it at once.
    assert planned(observed(application=suspended("SUSPENDED"), desired=NEW_MANIFEST)) is ActionKind.RECREATE


def test_the_status_follows_the_hold_and_the_alert() -> None:
    """It is saved with the time of its change."""
    lost = observed(pods=(driver(reason="NodeLost"),))
    cases = {
        Status.RUNNING: [observed(), observed(application=None, pods=()), observed(application=application("FAILING"))],
        Status.HELD: [observed(application=suspended("SUSPENDED"), hold=HOLD), observed(hold=HOLD)],
        Status.ALERT: [lost, replace(lost, hold=HOLD), observed(application=suspended("SUSPENDED"), hold=RECENT)],
    }
    for expected, states in cases.items():
        for state in states:
            _, after = plan(state, LIMITS)
            change = None if expected is Status.RUNNING else NOW
            assert (after.status, after.status_since) == (expected.value, change)
            assert plan(later(10, state), LIMITS)[1].status_since == change
    # A stream that was given up runs again with the next attempt.
    assert plan(observed(application=suspended("SUSPENDED"), hold=GIVEN_UP), LIMITS)[1].status == "running"
    # The first status of a new installation is no change.
    assert plan(observed(reconcile_state=ReconcileState()), LIMITS)[1].status_since is None


def test_a_given_up_stream_names_the_remedy() -> None:
    assert "operate_stream" in reason(observed(application=suspended("SUSPENDED"), hold=RECENT))
    assert "operate_stream" not in reason(observed(application=suspended("SUSPENDED"), hold=HOLD))


LOST_NODES = {
    "state unknown": observed(application=application("UNKNOWN")),
    "a state of a later operator": observed(application=application("SOMETHING_NEW")),
    "Ready unknown": observed(pods=(driver(conditions=[{"type": "Ready", "status": "Unknown"}]),)),
    "Ready false": observed(
        pods=(driver(conditions=[{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}]),)
    ),
    "reason NodeLost": observed(pods=(driver(reason="NodeLost"),)),
    "overdue": observed(pods=(driver(deleted="2026-11-25T11:58:00Z"),)),
    "overdue without an application": observed(application=None, pods=(driver(deleted="2026-11-25T11:58:00+00:00"),)),
}


@pytest.mark.parametrize("case", LOST_NODES)
def test_a_lost_node_alerts_and_nothing_is_ended(case: str) -> None:
    action, _ = plan(LOST_NODES[case], LIMITS)
    assert (action.kind, action.alert) == (ActionKind.NONE, True)


def test_a_lost_node_alerts_during_the_deletion_of_the_application_too() -> None:
    terminating = application()
    terminating["metadata"]["deletionTimestamp"] = "2026-11-25T11:59:50Z"
    assert not alerts(observed(application=terminating))
    assert alerts(observed(application=terminating, pods=(driver(reason="NodeLost"),)))
    assert alerts(observed(application=terminating, pods=(driver(deleted="2026-11-25T11:58:00Z"),)))
    terminating["metadata"] |= {"deletionTimestamp": "2026-11-25T11:50:00Z", "finalizers": ["somebody/waits"]}
    assert alerts(observed(application=terminating))
    assert "somebody/waits" in reason(observed(application=terminating))


def any_application(state: str, is_suspended: bool) -> dict[str, Any]:
    return suspended(state) if is_suspended else application(state)


OBSERVED_STATES = st.builds(
    observed,
    application=st.one_of(
        st.none(),
        st.builds(any_application, st.sampled_from(STATES), st.booleans()),
        st.builds(failed_submission, st.floats(0, 500), st.integers(1, 12)),
        st.builds(application, st.just("FAILING"), executionAttempts=st.integers(1, 12)),
    ),
    desired=st.sampled_from([manifest(), NEW_MANIFEST]),
    pods=st.sampled_from(
        [(), (driver(),), (driver("0000"),), (driver(deleted="2026-11-25T12:00:20Z"),)]
        + [case.pods for case in LOST_NODES.values()]
    ),
    response=st.one_of(
        st.sampled_from([None, REFUSED, TIMED_OUT, UNREACHABLE, DriverResponse(ResponseStatus.ANSWERED)]),
        st.builds(progress, st.floats(0, 1000), st.integers(-1, 9)),
    ),
    reconcile_state=st.lists(st.floats(0, 4000), max_size=8).map(lambda at: failures(*sorted(at, reverse=True))),
    hold=st.sampled_from([None, None, HOLD, GIVEN_UP]),
)


def is_submitting(state: ObservedState) -> bool:
    """Tell, by the operator's own rules, whether it submits now or within a few seconds."""
    if state.state == "SUSPENDED":
        return not state.suspended
    if state.state == "SUBMISSION_FAILED" and state.application:
        status = state.application["status"]
        interval = 20 * status.get("submissionAttempts", 0)
        last = status.get("lastSubmissionAttemptTime")
        return not last or ago(interval - 5).isoformat() >= last.replace("Z", "+00:00")
    return state.state in SUBMITTING_STATES


@given(first=OBSERVED_STATES, waits=st.lists(st.floats(1, 400), max_size=4))
def test_no_observed_state_leads_to_an_unsafe_action(first: ObservedState, waits: list[float]) -> None:
    """The rules hold for every observed state, however long it lasts."""
    state, waited = first, 0.0
    for wait in [0, *waits]:
        state, waited = (later(wait, state), waited + wait) if wait else (state, waited)
        action, _ = plan(state, LIMITS)
        assert action.reason
        # Whoever is alerted is told what to do.
        if action.alert:
            assert action.remedy is not Remedy.NONE
        lost = state.pods in [case.pods for name, case in LOST_NODES.items() if "state" not in name]
        if lost or state.state in {"UNKNOWN", "SOMETHING_NEW"}:
            assert action.kind is ActionKind.NONE or (action.kind is ActionKind.APPLY and not state.pods)
        if state.application is not None and is_submitting(state) and action.kind in WRITES_TO_APPLICATION:
            # The only exception: after five minutes without a driver, no submission can still succeed.
            assert not state.pods and action.kind is ActionKind.REQUEUE and waited > 300
        if state.hold:
            assert action.kind in {ActionKind.NONE, ActionKind.SUSPEND, ActionKind.RETRY}
        if action.kind is ActionKind.RETRY:
            assert state.hold == GIVEN_UP and state.suspended
        if action.kind is ActionKind.SUSPEND:
            assert state.hold and not state.suspended
        if action.kind is ActionKind.RESUME:
            assert not state.hold and state.suspended
        if action.kind is ActionKind.GIVE_UP:
            assert action.alert and len(state.reconcile_state.failures) > LIMITS.failures
        assert_progress_spares_the_driver(state, action)


def assert_progress_spares_the_driver(state: ObservedState, action: Action) -> None:
    """A driver that advances, or that cannot be reached, is ended for changes of the chart only."""
    ends_driver = action.kind in {ActionKind.RECREATE, ActionKind.RESTART_DRIVER, ActionKind.GIVE_UP}
    response = state.response
    if ends_driver and state.state == "RUNNING" and state.pods and response:
        advancing = (
            response.status is ResponseStatus.ANSWERED
            and response.batches
            and max(response.seconds_since_progress.values()) <= 300
        )
        if advancing or response.status is ResponseStatus.UNREACHABLE:
            assert action.kind is ActionKind.RECREATE
