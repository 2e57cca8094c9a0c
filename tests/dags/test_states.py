"""What is done about a stream in each state of its application, its driver and its answer."""

from dataclasses import replace
from typing import Any

import pytest

from tests.dags.facts import (
    LIMITS,
    REFUSED,
    SILENCE,
    UNREACHABLE,
    after,
    alerts,
    answer,
    driver,
    failed,
    kind,
    live,
    refused_submission,
    says,
    seen,
)
from tweet_dags.actions import Action, Kind
from tweet_dags.decide import decide
from tweet_dags.seen import Answer, Heard

OFTEN = failed(3000, 2000, 1000, 30)
STARTING = Answer(Heard.ANSWER)


@pytest.mark.parametrize(
    "state", ["", "PENDING_RERUN", "INVALIDATING", "RESUMING", "SUSPENDED", "SUBMITTED", "RUNNING", "COMPLETED"]
)
def test_without_a_driver_the_operator_is_woken_once_after_a_minute_and_a_minute_later_it_is_made_anew(
    state: str,
) -> None:
    first = seen(live=live(state), pods=(), answer=None)
    assert kind(first) is Kind.NOTHING
    second = after(59, first)
    assert kind(second) is Kind.NOTHING
    third = after(2, second)
    assert kind(third) is Kind.WAKE
    # A look that did not wake it leaves that to the next.
    assert kind(after(30, third, memory=third.memory)) is Kind.WAKE
    fourth = after(30, third)
    assert kind(fourth) is Kind.NOTHING
    assert kind(after(31, fourth)) is Kind.DELETE
    # The driver came meanwhile: all is forgotten.
    there = after(60, third, pods=(driver(),), live=live("RUNNING"), answer=answer())
    assert kind(there) is Kind.NOTHING
    assert decide(there, LIMITS)[1].since is None
    # Another application has waited for nothing yet.
    anew = live(state)
    anew["metadata"]["uid"] = "another"
    assert kind(after(60, third, live=anew)) is Kind.NOTHING


def test_a_refused_submission_shows_its_error_whether_it_is_tried_again_or_not() -> None:
    for seconds in (10, 60, 70):
        found = seen(live=refused_submission(seconds), pods=(), answer=None)
        assert (kind(found), alerts(found)) == (Kind.NOTHING, True) and "no quota" in says(found)
    # The operator has forgotten it.
    found = after(61, found)
    assert kind(found) is Kind.WAKE and "no quota" in says(found)


def test_what_waits_longer_with_each_attempt_is_made_anew_after_ten() -> None:
    assert kind(seen(live=live("FAILING", executionAttempts=10))) is Kind.NOTHING
    assert kind(seen(live=live("FAILING", executionAttempts=11))) is Kind.DELETE
    assert kind(seen(live=refused_submission(100, attempts=11))) is Kind.DELETE
    assert kind(seen(live=refused_submission(230, attempts=11))) is Kind.NOTHING


def test_an_application_that_has_ended_is_made_anew() -> None:
    assert kind(seen(live=live("COMPLETED"))) is Kind.DELETE
    assert kind(seen(live=live("FAILED"))) is Kind.DELETE


def test_a_driver_of_the_spec_before_is_replaced_when_the_operator_does_not() -> None:
    """As after an upgrade while the operator was down: it never sees the edit."""
    first = seen(pods=(driver("0000"),))
    assert kind(first) is Kind.NOTHING
    assert kind(after(61, first)) is Kind.DELETE
    assert kind(after(61, first, pods=(driver(),))) is Kind.NOTHING
    assert kind(after(61, first, pods=(driver("0000", deleted="2026-11-25T12:01:20Z"),))) is Kind.NOTHING


def test_a_pending_driver_is_reported_and_not_restarted() -> None:
    waiting = [{"name": "driver", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]
    first = seen(live=live("SUBMITTED"), pods=(driver(containerStatuses=waiting),), answer=None)
    action, _ = decide(first, LIMITS)
    assert action == Action(Kind.NOTHING, "the driver is pending: ImagePullBackOff no such image")
    assert alerts(after(301, first)) and kind(after(301, first)) is Kind.NOTHING


def test_batches_that_stand_still_end_the_driver() -> None:
    assert kind(seen(answer=answer(299))) is Kind.NOTHING
    assert kind(seen(answer=answer(301))) is Kind.END_DRIVER and "gold for 301 s" in says(seen(answer=answer(301)))
    going = driver(deleted="2026-11-25T12:00:20Z")
    assert kind(seen(answer=answer(301), pods=(going,))) is Kind.NOTHING


@pytest.mark.parametrize("silent", [REFUSED, SILENCE])
def test_a_driver_that_keeps_silent_is_ended_after_the_same_time(silent: Answer) -> None:
    first = seen(answer=silent)
    assert kind(first) is Kind.NOTHING
    assert kind(after(299, first)) is Kind.NOTHING
    assert kind(after(301, first)) is Kind.END_DRIVER
    assert kind(after(301, after(200, first, answer=REFUSED), answer=SILENCE)) is Kind.END_DRIVER
    # Another driver has kept silent for no time yet; and one that answered in between has not either.
    assert kind(after(301, first, pods=(driver(uid="next"),))) is Kind.NOTHING
    assert kind(after(200, after(150, first, answer=answer()), answer=silent)) is Kind.NOTHING


def test_a_network_that_is_closed_is_alerted_and_never_answered_by_an_end() -> None:
    found = seen(answer=replace(UNREACHABLE, says="no connection to 10.0.0.7:8090: timed out"))
    assert (kind(found), alerts(found)) == (Kind.NOTHING, False)
    for _ in range(20):
        found = after(301, found)
        assert (kind(found), alerts(found)) == (Kind.NOTHING, True)
        assert "10.0.0.7" in says(found)
    # Nor is the time without a way counted as silence.
    assert kind(after(301, found, answer=SILENCE)) is Kind.NOTHING
    # Nor is a driver of which nothing is known left down.
    assert kind(replace(found, memory=OFTEN)) is Kind.NOTHING


def test_only_a_stream_that_fails_now_is_left_down() -> None:
    """Four failures within the hour, where three are allowed."""
    often: dict[str, Any] = {"memory": OFTEN}
    for found in (
        seen(live=live("FAILING"), **often),
        seen(live=refused_submission(10), **often),
        seen(answer=answer(301), **often),
        # Up again after the failure a moment ago, but not at work yet.
        seen(live=live("SUBMITTED"), **often),
        seen(answer=STARTING, **often),
    ):
        assert (kind(found), alerts(found)) == (Kind.LEAVE_DOWN, True)
    long_ago = failed(3000, 2000, 1000, 100)
    for found in (
        seen(**often),
        seen(answer=answer(1, batch=-1), **often),
        seen(answer=STARTING, memory=long_ago),
        seen(live=live("SUBMITTED"), memory=long_ago),
        seen(live=live("PENDING_RERUN"), pods=(), **often),
        seen(live=live("SUBMITTED"), pods=(), **often),
        seen(live=refused_submission(60), **often),
    ):
        assert kind(found) is Kind.NOTHING
    assert kind(seen(answer=answer(301), memory=failed(3000, 2000, 30))) is Kind.END_DRIVER


def test_what_is_left_down_shows_the_last_error_of_its_driver() -> None:
    """The driver is gone by then: the operator knows no more than how it ended."""
    running = seen(answer=answer(error="12:00 gold: no room on the disk"), memory=OFTEN)
    failing = live("FAILING")
    failing["status"]["applicationState"]["errorMessage"] = "driver container failed with ExitCode: 1"
    ended = {"exitCode": 1, "reason": "Error", "message": "out of disk"}
    pod = driver(containerStatuses=[{"name": "spark", "state": {"terminated": ended}}])
    found = after(30, running, live=failing, answer=None, pods=(pod,))
    assert kind(found) is Kind.LEAVE_DOWN
    for part in ("left down", "no room on the disk", "out of disk", "ExitCode: 1"):
        assert part in says(found)


def test_a_stream_whose_driver_has_no_address_yet_waits() -> None:
    assert kind(seen(answer=None)) is Kind.NOTHING
    assert kind(after(1000, seen(answer=None))) is Kind.NOTHING
