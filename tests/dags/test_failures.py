"""Which submissions count as failures, and for how long."""

from dataclasses import replace
from typing import Any

import pytest

from tests.dags.observations import LIMITS, application, failures, later, manifest, observed, planned, progress
from tweet_dags.reconcile.actions import ActionKind
from tweet_dags.reconcile.annotations import ExpectedRestart
from tweet_dags.reconcile.failures import too_many_failures, update_failures
from tweet_dags.reconcile.observed import SPEC_HASH
from tweet_dags.reconcile.plan import plan


def counted(**changes: Any) -> int:
    return len(update_failures(observed(**changes)).failures)


def recreated(submission: str) -> dict[str, Any]:
    made = application(submission=submission)
    made["metadata"]["uid"] = "another"
    return made


def test_a_submission_by_the_operator_alone_is_a_failure() -> None:
    assert counted(application=application(submission="one")) == 0
    assert counted(application=application(submission="two")) == 1
    assert counted(application=application("SUBMISSION_FAILED", submission="two")) == 1
    # Without a recorded submission, this one may be the first.
    assert counted(application=application(submission="two"), reconcile_state=failures(submission="")) == 0


def test_a_submission_that_was_asked_for_is_no_failure() -> None:
    """An upgrade, an edit and its revert, a stop, a start, and an application that was recreated."""
    upgraded = application(submission="two", generation=2)
    upgraded["metadata"]["annotations"][SPEC_HASH] = "bbbb"
    assert counted(application=upgraded, desired=manifest("bbbb")) == 0
    assert counted(application=application(submission="two", generation=2)) == 0
    assert counted(application=recreated("two")) == 0
    assert counted(application=application(submission="two"), expected_restart=ExpectedRestart("one")) == 0
    assert counted(application=application(submission="two"), expected_restart=ExpectedRestart("zero")) == 1


def test_failures_count_again_after_a_submission_that_was_asked_for() -> None:
    state = later(60, observed(), application=recreated("two"))
    assert update_failures(state).failures == ()
    resubmitted = application(submission="three")
    resubmitted["metadata"]["uid"] = "another"
    assert len(update_failures(later(60, state, application=resubmitted)).failures) == 1


@pytest.mark.parametrize("edits", [5, 50])
def test_a_stream_that_is_changed_often_is_not_given_up(edits: int) -> None:
    state = observed()
    for number in range(edits):
        state = later(20, state, application=application(submission=f"again {number}", generation=number + 2))
        assert planned(state) is ActionKind.NONE
    assert not too_many_failures(replace(state, reconcile_state=update_failures(state)), LIMITS)


def test_failures_are_forgotten_after_an_hour_and_when_a_person_starts_the_stream() -> None:
    state = observed()
    for number in range(20):
        state = later(1300, state, application=application(submission=f"again {number}"))
        assert planned(state) is ActionKind.NONE
    restart = ExpectedRestart("", observed().now)
    state = observed(reconcile_state=failures(500, 400, 300, 200), expected_restart=restart)
    assert update_failures(state).failures == ()


def test_the_last_error_of_a_driver_is_kept() -> None:
    running = observed(response=progress(error="no room"))
    state = later(60, running, response=None, pods=(), application=application("FAILING"))
    assert plan(state, LIMITS)[1].last_error == "no room"
    assert plan(replace(state, response=progress(error="")), LIMITS)[1].last_error == "no room"
    assert plan(replace(state, response=progress(error="another")), LIMITS)[1].last_error == "another"
