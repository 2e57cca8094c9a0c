"""Plan one action for one stream from its observed state. No calls, no clock, no Airflow.

The Spark operator restarts most failed drivers by itself. The plan covers what the operator does not see or cannot end.
Each pass plans a single action from the state it observes, so an interrupted pass loses nothing: the next one, a few
seconds later, observes the state again.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from tweet_dags.kubernetes import pods
from tweet_dags.kubernetes.objects import get
from tweet_dags.reconcile.actions import Action, ActionKind, Condition, Remedy, Status, Step, act, no_action
from tweet_dags.reconcile.annotations import Hold, ReconcileState
from tweet_dags.reconcile.failures import last_error, update_failures
from tweet_dags.reconcile.observed import ObservedState
from tweet_dags.reconcile.operator_states import KNOWN_STATES, plan_for_state, plan_for_submission, submission_under_way
from tweet_dags.reconcile.spec_drift import FIELD_MANAGER, OPERATE_STREAM, find_spec_drift
from tweet_dags.settings import HealingLimits

# Only a finalizer delays the deletion of an application for longer.
_DELETION_DEADLINE = timedelta(minutes=5)
# The last actions, for a person who asks what was tried. They are stored in an annotation.
_MAX_ACTIONS, _MAX_ACTION_CHARACTERS = 5, 200


def plan(observed: ObservedState, limits: HealingLimits) -> tuple[Action, ReconcileState]:
    """Return the action to execute now, and the reconcile state to save once it is executed."""
    observed = replace(observed, reconcile_state=update_failures(observed))
    action, condition = _plan(observed, limits)
    state = _with_action(observed, _with_condition(observed, condition), action)
    return action, _with_status(observed, state, _status(observed, action))


def _status(observed: ObservedState, action: Action) -> Status:
    given_up = observed.hold is not None and observed.hold.owner == FIELD_MANAGER
    if action.alert or (given_up and action.kind is not ActionKind.RETRY):
        return Status.ALERT
    return Status.HELD if observed.hold and not given_up else Status.RUNNING


def _with_status(observed: ObservedState, state: ReconcileState, now: Status) -> ReconcileState:
    if now.value == state.status:
        return state
    # A new installation has no earlier status: its first status is not a change.
    return replace(state, status=now.value, status_since=observed.now if state.status else None)


def _with_action(observed: ObservedState, state: ReconcileState, action: Action) -> ReconcileState:
    if action.kind is ActionKind.NONE:
        return state
    taken = f"{observed.now.isoformat(timespec='seconds')} {action.kind.value}: {action.reason}"
    return replace(state, actions=(*state.actions, taken[:_MAX_ACTION_CHARACTERS])[-_MAX_ACTIONS:])


def _with_condition(observed: ObservedState, condition: Condition) -> ReconcileState:
    state, text = observed.reconcile_state, observed.condition_key(condition)
    if not text:
        return replace(state, condition="", since=None)
    return replace(state, condition=text, since=state.since if text == state.condition else observed.now)


def _plan(observed: ObservedState, limits: HealingLimits) -> Step:
    """Check first for states that forbid every action, then for a hold, then for changes of the chart."""
    application = observed.application
    if application is None:
        return _plan_without_application(observed)
    if observed.driver and (reason := pods.why_node_lost(observed.driver, observed.now)):
        advice = "check the node, and delete the driver's pod if the node is gone for good"
        reason = f"{reason}; the driver may still be writing and is not ended by force: {advice}"
        return no_action(reason, alert=True, remedy=Remedy.NODE)
    if since := get(application, "metadata", "deletionTimestamp"):
        overdue = observed.now - datetime.fromisoformat(since) > _DELETION_DEADLINE
        blockers = ", ".join(get(application, "metadata", "finalizers") or []) or "its pods"
        reason = f"the deletion of the SparkApplication began at {since}; waiting for {blockers}"
        return no_action(reason, alert=overdue, remedy=Remedy.DELETION if overdue else Remedy.NONE)
    if observed.state not in KNOWN_STATES:
        # UNKNOWN, or a state of a later version of the operator.
        unknown = f"{observed.state}: the state of the driver is unknown, and it may still be writing"
        reason = f"{unknown}; check its pod and node; {last_error(observed)}"
        return no_action(reason, alert=True, remedy=Remedy.NODE)
    if observed.hold:
        return _plan_for_hold(observed, observed.hold, limits)
    if submission_under_way(observed):
        return plan_for_submission(observed)
    if difference := find_spec_drift(observed.desired, application):
        return act(ActionKind.RECREATE, f"edited by hand ({difference}); recreating it from the chart")
    if observed.suspended:
        return _plan_for_suspended(observed)
    if observed.chart_changed:
        return act(ActionKind.APPLY, "the chart has changed; applying it")
    return plan_for_state(observed, limits)


def _plan_without_application(observed: ObservedState) -> Step:
    if lost := [reason for pod in observed.pods if (reason := pods.why_node_lost(pod, observed.now))]:
        advice = "check the node, and delete the pod if the node is gone for good"
        reason = f"the SparkApplication is deleted, but {'; '.join(lost)}; nothing is ended by force: {advice}"
        return no_action(reason, alert=True, remedy=Remedy.NODE)
    if observed.pods:
        return no_action(f"the SparkApplication is deleted; {len(observed.pods)} of its pods are still terminating")
    if observed.hold:
        reason = f"{observed.hold}; the SparkApplication does not exist, and is not created during a hold"
        return no_action(reason, remedy=_remedy_of(observed.hold))
    return act(ActionKind.APPLY, "the SparkApplication does not exist; applying it")


def _plan_for_hold(observed: ObservedState, hold: Hold, limits: HealingLimits) -> Step:
    if observed.suspended:
        if hold.owner == FIELD_MANAGER and hold.age(observed.now) > limits.retry:
            return act(ActionKind.RETRY, f"given up since {hold.since}; trying again")
        advice = "; fix the cause and trigger operate_stream with the action start, or wait for the next attempt"
        reason = f"{hold}{advice if hold.owner == FIELD_MANAGER else ''}"
        return no_action(reason, remedy=_remedy_of(hold))
    if submission_under_way(observed):
        return no_action(f"{hold}; suspending it after the submission", remedy=_remedy_of(hold))
    return act(ActionKind.SUSPEND, f"{hold}; suspending it", remedy=_remedy_of(hold))


def _remedy_of(hold: Hold) -> Remedy:
    return {FIELD_MANAGER: Remedy.GIVEN_UP, OPERATE_STREAM: Remedy.HELD}.get(hold.owner, Remedy.HELD_BY_OTHER)


def _plan_for_suspended(observed: ObservedState) -> Step:
    if observed.chart_changed:
        # A resume would start the old spec, which may be why the stream was stopped.
        return act(ActionKind.RECREATE, "suspended without a hold, and the chart has changed; recreating it")
    return act(ActionKind.RESUME, "suspended without a hold; resuming it")
