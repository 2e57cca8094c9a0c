"""Count the failures of a stream, and describe the last one."""

from dataclasses import replace
from datetime import timedelta

from tweet_dags.kubernetes import pods
from tweet_dags.kubernetes.objects import get
from tweet_dags.reconcile.annotations import ReconcileState
from tweet_dags.reconcile.observed import ObservedState
from tweet_dags.settings import HealingLimits

NO_ERROR = "no error is known"
_WINDOW = timedelta(hours=1)
# The pass that sees a new submission may find the operator still submitting; the driver has to appear within this time.
_RECENT = timedelta(seconds=90)


def update_failures(observed: ObservedState) -> ReconcileState:
    """Return the reconcile state with the failures of the last hour, including one that this pass sees first.

    A new submission is a failure unless it was requested: by a new application or a new generation of its spec (from
    the chart, an edit, or the reconciler that reverts the edit), or by a person who restarted the driver.
    """
    last, restart = observed.reconcile_state, observed.expected_restart
    failures = tuple(
        at for at in last.failures if observed.now - at < _WINDOW and (restart.at is None or at > restart.at)
    )
    error = (observed.response and observed.response.last_error) or last.last_error
    # The operator deletes the pod within seconds.
    last_exit = pods.container_exit(observed.driver) or last.last_exit
    state = replace(last, failures=failures, last_error=error, last_exit=last_exit)
    submission = observed.submission
    if not submission or submission == last.submission:
        return state
    generation = "/".join(str(get(observed.application, "metadata", name)) for name in ("uid", "generation"))
    if last.submission and generation == last.generation and last.submission != restart.submission:
        failures = (*failures, observed.now)
    return replace(state, submission=submission, generation=generation, failures=failures)


def too_many_failures(observed: ObservedState, limits: HealingLimits) -> bool:
    """Tell whether the stream has failed more often within an hour than `limits` allow."""
    return len(observed.reconcile_state.failures) > limits.failures


def just_failed(observed: ObservedState) -> bool:
    """Tell whether the last failure is recent: a stream that is still starting has not recovered from it."""
    failures = observed.reconcile_state.failures
    return bool(failures) and observed.now - failures[-1] <= _RECENT


def last_error(observed: ObservedState, state: ReconcileState | None = None) -> str:
    """Return the last error that the driver, its pod and the operator report; `NO_ERROR` if none is known.

    With `state`, the reconcile state after an action, use it instead of the observed one.
    """
    state = state or observed.reconcile_state
    reports = {
        "the driver's last error": state.last_error,
        "its pod": pods.container_failure(observed.driver) or state.last_exit,
        "the operator": str(get(observed.application, "status", "applicationState", "errorMessage") or "").strip(),
    }
    return "; ".join(f"{source}: {error}" for source, error in reports.items() if error) or NO_ERROR
