"""The plan for each state of the application, its driver and the driver's response."""

from dataclasses import replace
from typing import Any

import pytest

from tests.dags.observations import (
    LIMITS,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
    alerts,
    application,
    driver,
    failed_submission,
    failures,
    later,
    observed,
    planned,
    progress,
    reason,
    unschedulable,
)
from tweet_dags.kubernetes.driver import DriverResponse, ResponseStatus
from tweet_dags.reconcile.actions import Action, ActionKind, Remedy
from tweet_dags.reconcile.plan import plan

MANY_FAILURES = failures(3000, 2000, 1000, 30)
STARTING = DriverResponse(ResponseStatus.ANSWERED)


@pytest.mark.parametrize(
    "state", ["", "PENDING_RERUN", "INVALIDATING", "RESUMING", "SUSPENDED", "SUBMITTED", "RUNNING"]
)
def test_an_application_without_a_driver_is_requeued_once_after_five_minutes_and_never_recreated(state: str) -> None:
    """The operator's spark-submit may take minutes, and the operator writes nothing meanwhile."""
    first = observed(application=application(state), pods=(), response=None)
    assert planned(first) is ActionKind.NONE
    second = later(299, first)
    assert (planned(second), alerts(second)) == (ActionKind.NONE, False)
    third = later(2, second)
    assert (planned(third), alerts(third)) == (ActionKind.REQUEUE, False)
    # If the requeue was not executed, the next pass plans it again.
    assert planned(later(30, third, reconcile_state=third.reconcile_state)) is ActionKind.REQUEUE
    fourth = later(300, third)
    assert (planned(fourth), alerts(fourth)) == (ActionKind.NONE, False)
    for _ in range(20):
        fourth = later(100, fourth)
        assert (planned(fourth), alerts(fourth)) == (ActionKind.NONE, True)
        assert "check the Spark operator" in reason(fourth)
    # A driver has appeared: the condition is reset.
    with_driver = later(60, third, pods=(driver(),), application=application("RUNNING"), response=progress())
    assert planned(with_driver) is ActionKind.NONE
    assert plan(with_driver, LIMITS)[1].since is None
    # The condition starts again for a new application.
    recreated = application(state)
    recreated["metadata"]["uid"] = "another"
    assert planned(later(60, third, application=recreated)) is ActionKind.NONE


def test_a_failed_submission_reports_its_error_before_and_during_a_retry() -> None:
    """Three of them may be due to a slow API server, on which spark-submit has timed out."""
    for attempts, alert in ((3, False), (4, True)):
        for seconds in (10, 60, 70, 80, 90):
            state = observed(application=failed_submission(seconds, attempts), pods=(), response=None)
            assert (planned(state), alerts(state)) == (ActionKind.NONE, alert) and "no quota" in reason(state)
    # The operator has lost track of the application, or takes minutes for the retry.
    assert planned(later(299, state)) is ActionKind.NONE
    state = later(301, state)
    assert planned(state) is ActionKind.REQUEUE and "no quota" in reason(state)
    assert planned(later(3000, state)) is ActionKind.NONE


def test_an_application_is_not_deleted_while_a_retry_may_succeed() -> None:
    """Each retry starts the time again, however many of them a slow node needs."""
    state = observed(application=failed_submission(10, 1), pods=(), response=None)
    for attempts in range(1, 9):
        waiting = failed_submission(0, attempts)
        waiting["status"]["lastSubmissionAttemptTime"] = state.now.isoformat()
        for _ in range(20 * attempts // 10 + 25):
            state = later(10, state, application=waiting)
            assert planned(state) is ActionKind.NONE


def test_an_application_is_recreated_after_ten_attempts_to_reset_the_back_off() -> None:
    assert planned(observed(application=application("FAILING", executionAttempts=10))) is ActionKind.NONE
    assert planned(observed(application=application("FAILING", executionAttempts=11))) is ActionKind.RECREATE
    assert planned(observed(application=failed_submission(100, attempts=11))) is ActionKind.RECREATE
    assert planned(observed(application=failed_submission(230, attempts=11))) is ActionKind.NONE


def test_a_completed_or_failed_application_is_recreated() -> None:
    assert planned(observed(application=application("COMPLETED"))) is ActionKind.RECREATE
    assert planned(observed(application=application("FAILED"))) is ActionKind.RECREATE
    # The operator does not submit from these states, whether a driver is left or not.
    assert planned(observed(application=application("FAILED"), pods=())) is ActionKind.RECREATE


def test_a_driver_that_still_runs_an_old_spec_after_a_minute_is_replaced() -> None:
    """After an upgrade during an outage of the operator, the operator never sees the change."""
    first = observed(pods=(driver("0000"),))
    assert planned(first) is ActionKind.NONE
    assert planned(later(61, first)) is ActionKind.RECREATE
    assert planned(later(61, first, pods=(driver(),))) is ActionKind.NONE
    assert planned(later(61, first, pods=(driver("0000", deleted="2026-11-25T12:01:20Z"),))) is ActionKind.NONE


def test_a_driver_without_a_node_alerts_with_the_reason_of_the_scheduler() -> None:
    pod = unschedulable(10, "gold-driver", "driver")
    state = observed(application=application("SUBMITTED"), pods=(pod,), response=None)
    assert reason(state) == "the driver is pending: 0/1 nodes are available: 1 Insufficient cpu."
    assert not alerts(later(299, state)) and alerts(later(301, state))


def test_a_driver_that_only_starts_slowly_alerts_late() -> None:
    creating = [{"name": "driver", "state": {"waiting": {"reason": "ContainerCreating"}}}]
    pod = driver(containerStatuses=creating)
    state = observed(application=application("SUBMITTED"), pods=(pod,), response=None)
    assert not alerts(later(899, state)) and alerts(later(901, state))


def test_a_pending_executor_is_named_and_alerts_after_five_minutes() -> None:
    """The stream advances with the other executors."""
    running = observed().pods
    state = observed(pods=(*running, unschedulable(10)))
    expected = "gold-exec-2 is pending: 0/1 nodes are available: 1 Insufficient cpu."
    assert reason(state) == f"advancing: gold at batch 7; {expected}" and not alerts(state)
    late = observed(pods=(*running, unschedulable(301)))
    assert (planned(late), alerts(late)) == (ActionKind.NONE, True)
    waiting = replace(progress(), waits_for={"gold": "a table"})
    assert expected in reason(observed(pods=state.pods, response=waiting))


def test_a_driver_whose_startup_probe_has_not_succeeded_is_left_to_the_kubelet() -> None:
    """On a slow node a driver needs minutes until it listens."""
    starting = [{"name": "spark", "started": False, "state": {"running": {}}}]
    state = observed(pods=(driver(containerStatuses=starting),), response=REFUSED)
    assert planned(later(3000, state)) is ActionKind.NONE and "starting" in reason(state)
    started = driver(containerStatuses=[starting[0] | {"started": True}])
    assert planned(later(301, observed(pods=(started,), response=REFUSED))) is ActionKind.RESTART_DRIVER


def test_a_pending_driver_alerts_after_five_minutes_and_is_not_restarted() -> None:
    waiting = [{"name": "driver", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]
    first = observed(application=application("SUBMITTED"), pods=(driver(containerStatuses=waiting),), response=None)
    action, _ = plan(first, LIMITS)
    assert action == Action(
        ActionKind.NONE, "the driver is pending: ImagePullBackOff no such image", remedy=Remedy.PENDING
    )
    assert alerts(later(301, first)) and planned(later(301, first)) is ActionKind.NONE


def test_a_driver_that_makes_no_progress_for_five_minutes_is_restarted() -> None:
    assert planned(observed(response=progress(299))) is ActionKind.NONE
    assert planned(observed(response=progress(301))) is ActionKind.RESTART_DRIVER and "gold for 301 s" in reason(
        observed(response=progress(301))
    )
    terminating = driver(deleted="2026-11-25T12:00:20Z")
    assert planned(observed(response=progress(301), pods=(terminating,))) is ActionKind.NONE


@pytest.mark.parametrize("no_answer", [REFUSED, TIMED_OUT])
def test_a_driver_that_does_not_answer_for_five_minutes_is_restarted(no_answer: DriverResponse) -> None:
    first = observed(response=no_answer)
    assert planned(first) is ActionKind.NONE
    assert planned(later(299, first)) is ActionKind.NONE
    assert planned(later(301, first)) is ActionKind.RESTART_DRIVER
    assert planned(later(301, later(200, first, response=REFUSED), response=TIMED_OUT)) is ActionKind.RESTART_DRIVER
    # The time starts again for a new driver, and after an answer.
    assert planned(later(301, first, pods=(driver(uid="next"),))) is ActionKind.NONE
    assert planned(later(200, later(150, first, response=progress()), response=no_answer)) is ActionKind.NONE


def test_an_unreachable_driver_alerts_and_is_never_restarted() -> None:
    state = observed(response=replace(UNREACHABLE, problem="no connection to 10.0.0.7:8090: timed out"))
    assert (planned(state), alerts(state)) == (ActionKind.NONE, False)
    for _ in range(20):
        state = later(301, state)
        assert (planned(state), alerts(state)) == (ActionKind.NONE, True)
        assert "10.0.0.7" in reason(state)
    # The time in which the driver was unreachable does not count as time without an answer.
    assert planned(later(301, state, response=TIMED_OUT)) is ActionKind.NONE
    # An unreachable driver is not given up either.
    assert planned(replace(state, reconcile_state=MANY_FAILURES)) is ActionKind.NONE


def test_a_waiting_stream_is_healthy() -> None:
    waiting = replace(progress(1, batch=-1), waits_for={"gold": "ConnectException: S3 refuses the connection"})
    assert planned(observed(response=waiting)) is ActionKind.NONE
    assert reason(observed(response=waiting)) == "waiting: gold for ConnectException: S3 refuses the connection"


def test_a_stream_is_given_up_only_while_it_is_failing() -> None:
    """Four failures within an hour exceed the limit of three."""
    many: dict[str, Any] = {"reconcile_state": MANY_FAILURES}
    for state in (
        observed(application=application("FAILING"), **many),
        observed(application=failed_submission(10), **many),
        observed(response=progress(301), **many),
        # The stream is starting after a recent failure, and has finished no batch yet.
        observed(application=application("SUBMITTED"), **many),
        observed(response=STARTING, **many),
    ):
        assert (planned(state), alerts(state)) == (ActionKind.GIVE_UP, True)
    long_ago = failures(3000, 2000, 1000, 100)
    for state in (
        observed(**many),
        observed(response=progress(1, batch=-1), **many),
        observed(response=STARTING, reconcile_state=long_ago),
        observed(application=application("SUBMITTED"), reconcile_state=long_ago),
        observed(application=application("PENDING_RERUN"), pods=(), **many),
        observed(application=application("SUBMITTED"), pods=(), **many),
        observed(application=failed_submission(60), **many),
    ):
        assert planned(state) is ActionKind.NONE
    assert (
        planned(observed(response=progress(301), reconcile_state=failures(3000, 2000, 30))) is ActionKind.RESTART_DRIVER
    )


def test_a_given_up_stream_reports_the_last_error_of_its_driver() -> None:
    """The driver is gone by then, and the operator knows only its exit code."""
    running = observed(response=progress(error="12:00 gold: no room on the disk"), reconcile_state=MANY_FAILURES)
    failing = application("FAILING")
    failing["status"]["applicationState"]["errorMessage"] = "driver container failed with ExitCode: 1"
    terminated = {"exitCode": 1, "reason": "Error", "message": "out of disk"}
    pod = driver(containerStatuses=[{"name": "spark", "state": {"terminated": terminated}}])
    state = later(30, running, application=failing, response=None, pods=(pod,))
    assert planned(state) is ActionKind.GIVE_UP
    for part in ("given up", "no room on the disk", "out of disk", "ExitCode: 1"):
        assert part in reason(state)


def test_a_driver_without_an_ip_address_is_waited_for() -> None:
    assert planned(observed(response=None)) is ActionKind.NONE
    assert planned(later(1000, observed(response=None))) is ActionKind.NONE
