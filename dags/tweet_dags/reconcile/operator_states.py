"""Plan an action for each state that the Spark operator reports, once no hold and no changed spec takes precedence."""

from datetime import datetime, timedelta

from tweet_dags.kubernetes import pods
from tweet_dags.kubernetes.driver import DriverResponse, ResponseStatus
from tweet_dags.kubernetes.objects import get
from tweet_dags.reconcile.actions import ActionKind, Condition, Remedy, Step, act, format_seconds, no_action
from tweet_dags.reconcile.failures import just_failed, last_error, too_many_failures
from tweet_dags.reconcile.observed import SPEC_HASH, ObservedState, spec_hash
from tweet_dags.settings import HealingLimits

# The operator is submitting the application, or is about to: a write could make it submit twice.
_SUBMITTING = {"", "PENDING_RERUN", "INVALIDATING", "RESUMING", "SUCCEEDING", "SUSPENDING"}
# States with a driver; the operator leaves them as soon as it sees that the driver is gone.
_WITH_DRIVER = {"SUBMITTED", "RUNNING"}
KNOWN_STATES = _SUBMITTING | _WITH_DRIVER | {"SUSPENDED", "FAILING", "SUBMISSION_FAILED", "COMPLETED", "FAILED"}

# Longer than a submission that can still succeed: spark-submit has no time limit, waits up to 10 s for each response of
# the API server, and repeats a request up to ten times. On a slow node its JVM alone needs a minute.
_SUBMISSION_LIMIT = timedelta(minutes=5)
_OLD_SPEC_LIMIT = timedelta(seconds=60)
# How long a pod may have no node, or a failing container, and how long it may only be starting, on a slow node.
_PENDING_LIMIT = timedelta(minutes=5)
_STARTING_LIMIT = timedelta(minutes=15)
# Number of failed submissions that a slow API server may cause.
_QUIET_ATTEMPTS = 3
_MAX_ATTEMPTS = 10
# How long a pass may take from its observation to its write.
_WRITE_DELAY = timedelta(seconds=10)


def submission_under_way(observed: ObservedState) -> bool:
    """Tell whether the operator is submitting the application, or may start to before a write arrives."""
    if observed.state == "SUSPENDED":
        return not observed.suspended
    if observed.state == "SUBMISSION_FAILED":
        retry_at = _submission_retry_at(observed)
        return retry_at is None or observed.now + _WRITE_DELAY >= retry_at
    return observed.state in _SUBMITTING or (observed.driver is None and observed.state in _WITH_DRIVER)


def plan_for_submission(observed: ObservedState) -> Step:
    """Leave a submission to the operator; requeue the application once if no submission can still succeed.

    The operator updates the status only at the end of a submission. A write before that makes it submit twice, and a
    deletion ends the new driver. The application is never recreated: if the requeue does not help, the operator is down
    or hangs, and would not submit a new application either.
    """
    name = observed.state or "NEW"
    # During a retry the state stays SUBMISSION_FAILED, and a person needs the error.
    failing = name == "SUBMISSION_FAILED" and _attempts(observed) > _QUIET_ATTEMPTS
    name = f"{name} ({last_error(observed)})" if name == "SUBMISSION_FAILED" else name
    remedy = Remedy.SUBMISSION if failing else Remedy.NONE
    if observed.driver is not None:
        return no_action(f"{name}: the operator is working on it", alert=failing, remedy=remedy)
    if (duration := observed.duration_of(Condition.REQUEUED)) is not None:
        reason = f"{name} without a driver; requeued {format_seconds(duration)} ago; check the Spark operator"
        silent = duration > _SUBMISSION_LIMIT
        return no_action(reason, Condition.REQUEUED, failing or silent, Remedy.OPERATOR if silent else remedy)
    duration = observed.duration_of(Condition.NO_DRIVER)
    if duration is None or duration < _SUBMISSION_LIMIT:
        return no_action(f"{name}, no driver yet", Condition.NO_DRIVER, failing, remedy)
    reason = f"{name} without a driver for {format_seconds(duration)}; requeueing it"
    return act(ActionKind.REQUEUE, reason, Condition.REQUEUED, failing, remedy)


def plan_for_state(observed: ObservedState, limits: HealingLimits) -> Step:
    """Plan for an application that is neither held, nor changed, nor being submitted."""
    match observed.state:
        case "SUBMITTED":
            return _plan_for_pending_driver(observed, limits)
        case "FAILING" | "SUBMISSION_FAILED":
            return _plan_for_failure(observed, limits)
        case "RUNNING":
            return _plan_for_running_driver(observed, limits)
        case _:
            # COMPLETED or FAILED: a stream never completes, and the operator does not restart it from there.
            return act(ActionKind.RECREATE, f"{observed.state}; recreating it; {last_error(observed)}")


def _plan_for_pending_driver(observed: ObservedState, limits: HealingLimits) -> Step:
    if too_many_failures(observed, limits) and just_failed(observed):
        return _give_up(observed)
    driver = observed.driver or {}
    duration = observed.duration_of(Condition.DRIVER_PENDING) or timedelta()
    is_stuck = pods.unschedulable_since(driver) is not None or pods.container_failure(driver) != ""
    reason = f"the driver is pending: {pods.pending_reason(driver)}"
    alert = duration > (_PENDING_LIMIT if is_stuck else _STARTING_LIMIT)
    return no_action(reason, Condition.DRIVER_PENDING, alert, Remedy.PENDING if alert or is_stuck else Remedy.NONE)


def _plan_for_failure(observed: ObservedState, limits: HealingLimits) -> Step:
    if too_many_failures(observed, limits):
        return _give_up(observed)
    attempts = _attempts(observed)
    if attempts > _MAX_ATTEMPTS:
        # The operator's back-off grows with each attempt and never starts again from one.
        reason = f"{observed.state} after {attempts} attempts; recreating it; {last_error(observed)}"
        return act(ActionKind.RECREATE, reason)
    failing = observed.state == "SUBMISSION_FAILED" and attempts > _QUIET_ATTEMPTS
    remedy = Remedy.SUBMISSION if observed.state == "SUBMISSION_FAILED" else Remedy.FAILING
    return no_action(f"{observed.state}: {last_error(observed)}", alert=failing, remedy=remedy)


def _plan_for_running_driver(observed: ObservedState, limits: HealingLimits) -> Step:
    if get(observed.driver, "metadata", "deletionTimestamp"):
        return no_action("the driver is terminating")
    if get(observed.driver, "metadata", "labels", SPEC_HASH) != spec_hash(observed.desired):
        duration = observed.duration_of(Condition.OLD_SPEC)
        if duration is None or duration < _OLD_SPEC_LIMIT:
            return no_action("the driver runs an old spec", Condition.OLD_SPEC)
        return act(ActionKind.RECREATE, f"the driver has run an old spec for {format_seconds(duration)}; recreating it")
    response = observed.response
    if response is None:
        return no_action("the driver has no IP address yet")
    if response.status is not ResponseStatus.ANSWERED and pods.is_starting(observed.driver):
        return no_action("the driver is starting; the kubelet ends it if it does not come up")
    if response.status is ResponseStatus.ANSWERED:
        return _plan_for_progress(observed, response, limits)
    if response.status is ResponseStatus.UNREACHABLE:
        return _plan_for_unreachable_driver(observed, response, limits)
    return _plan_for_silent_driver(observed, response, limits)


def _plan_for_progress(observed: ObservedState, response: DriverResponse, limits: HealingLimits) -> Step:
    # A stream without input reports progress every few seconds, too.
    stuck = [
        f"{name} for {age:.0f} s"
        for name, age in response.seconds_since_progress.items()
        if age > limits.stuck.total_seconds()
    ]
    if stuck:
        return _restart_driver(observed, limits, f"not advancing: {', '.join(stuck)}")
    if not response.batches and too_many_failures(observed, limits) and just_failed(observed):
        return _give_up(observed)
    executors, alert = _pending_executors(observed)
    if response.waits_for:
        waits = "; ".join(f"{name} for {what}" for name, what in response.waits_for.items())
        return no_action(
            f"waiting: {waits}{executors}", alert=alert, remedy=Remedy.PENDING if executors else Remedy.WAITING
        )
    batches = ", ".join(f"{name} at batch {batch}" for name, batch in response.batches.items())
    remedy = Remedy.PENDING if executors else Remedy.NONE
    return no_action(f"advancing: {batches or 'starting'}{executors}", alert=alert, remedy=remedy)


def _pending_executors(observed: ObservedState) -> tuple[str, bool]:
    """Name the executors without a node, with the scheduler's reason; and tell whether a person must add capacity.

    The stream advances with the executors that it has, only more slowly.
    """
    waiting = [(pod, since) for pod in observed.pods if (since := pods.unschedulable_since(pod))]
    names = "".join(f"; {get(pod, 'metadata', 'name')} is pending: {pods.pending_reason(pod)}" for pod, _ in waiting)
    return names, any(observed.now - since > _PENDING_LIMIT for _, since in waiting)


def _plan_for_unreachable_driver(observed: ObservedState, response: DriverResponse, limits: HealingLimits) -> Step:
    # The network is at fault, not the driver. If the driver hangs as well, the kubelet's probe ends it.
    alert = (observed.duration_of(Condition.UNREACHABLE) or timedelta()) > limits.stuck
    reason = f"the driver cannot be reached ({response.problem}) and is left alone: check the network policies"
    return no_action(reason, Condition.UNREACHABLE, alert, Remedy.NETWORK)


def _plan_for_silent_driver(observed: ObservedState, response: DriverResponse, limits: HealingLimits) -> Step:
    # One condition for both statuses: a driver that hangs may refuse connections or time out.
    duration = observed.duration_of(Condition.NO_RESPONSE) or timedelta()
    if duration < limits.stuck:
        return no_action(f"the driver does not answer yet: {response.status.value}", Condition.NO_RESPONSE)
    reason = f"the driver has not answered for {format_seconds(duration)} ({response.status.value})"
    return _restart_driver(observed, limits, reason)


def _restart_driver(observed: ObservedState, limits: HealingLimits, reason: str) -> Step:
    if too_many_failures(observed, limits):
        return _give_up(observed, reason)
    return act(ActionKind.RESTART_DRIVER, f"{reason}; restarting the driver")


def _give_up(observed: ObservedState, reason: str = "") -> Step:
    failures = f"failed {len(observed.reconcile_state.failures)} times within an hour"
    current = f", and now {reason}" if reason else ""
    reason = f"{failures}{current}: given up; {last_error(observed)}"
    return act(ActionKind.GIVE_UP, reason, alert=True, remedy=Remedy.GIVEN_UP)


def _attempts(observed: ObservedState) -> int:
    """Return the number of attempts of the operator; it counts again from 1 once the spec has changed."""
    counters = ("executionAttempts", "submissionAttempts")
    return max(int(get(observed.application, "status", name) or 0) for name in counters)


def _submission_retry_at(observed: ObservedState) -> datetime | None:
    """Return when the operator retries a failed submission: after the number of attempts times the retry interval."""
    last = get(observed.application, "status", "lastSubmissionAttemptTime")
    interval = get(observed.application, "spec", "restartPolicy", "onSubmissionFailureRetryInterval")
    attempts = get(observed.application, "status", "submissionAttempts")
    if not (last and interval and attempts):
        return None
    return datetime.fromisoformat(last) + timedelta(seconds=int(interval) * int(attempts))
