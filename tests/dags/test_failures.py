"""Which ends of a driver count as failures, and for how long."""

from dataclasses import replace
from typing import Any

import pytest

from tests.dags.facts import LIMITS, after, answer, failed, kind, live, manifest, seen
from tweet_dags.actions import Kind
from tweet_dags.decide import decide
from tweet_dags.failures import counted, too_many
from tweet_dags.notes import Pardon
from tweet_dags.seen import HASH


def counts(**changes: Any) -> int:
    return len(counted(seen(**changes)).failures)


def anew(submission: str) -> dict[str, Any]:
    found = live(submission=submission)
    found["metadata"]["uid"] = "another"
    return found


def test_a_submission_that_nobody_asked_for_is_a_failure() -> None:
    assert counts(live=live(submission="one")) == 0
    assert counts(live=live(submission="two")) == 1
    assert counts(live=live("SUBMISSION_FAILED", submission="two")) == 1
    # Nothing was seen before: it may be the first.
    assert counts(live=live(submission="two"), memory=failed(submission="")) == 0


def test_what_was_asked_for_is_none() -> None:
    """An upgrade, an edit, what takes it back, a stop, a start, an application that was made anew."""
    upgraded = live(submission="two", generation=2)
    upgraded["metadata"]["annotations"][HASH] = "bbbb"
    assert counts(live=upgraded, rendered=manifest("bbbb")) == 0
    assert counts(live=live(submission="two", generation=2)) == 0
    assert counts(live=anew("two")) == 0
    assert counts(live=live(submission="two"), pardon=Pardon("one")) == 0
    assert counts(live=live(submission="two"), pardon=Pardon("zero")) == 1


def test_after_what_was_asked_for_failures_count_again() -> None:
    found = after(60, seen(), live=anew("two"))
    memory = counted(found)
    assert memory.failures == ()
    again = live(submission="three")
    again["metadata"]["uid"] = "another"
    assert len(counted(after(60, found, live=again)).failures) == 1


@pytest.mark.parametrize("edits", [5, 50])
def test_a_stream_that_is_changed_often_is_not_left_down(edits: int) -> None:
    found = seen()
    for number in range(edits):
        found = after(20, found, live=live(submission=f"again {number}", generation=number + 2))
        assert kind(found) is Kind.NOTHING
    assert not too_many(replace(found, memory=counted(found)), LIMITS)


def test_failures_are_forgotten_after_an_hour_and_when_a_person_starts_the_stream() -> None:
    found = seen()
    for number in range(20):
        found = after(1300, found, live=live(submission=f"again {number}"))
        assert kind(found) is Kind.NOTHING
    found = seen(memory=failed(500, 400, 300, 200), pardon=Pardon("", seen().now))
    assert counted(found).failures == ()


def test_the_last_error_of_a_driver_is_kept() -> None:
    found = after(60, seen(answer=answer(error="no room")), answer=None, pods=(), live=live("FAILING"))
    assert decide(found, LIMITS)[1].error == "no room"
    assert decide(replace(found, answer=answer(error="")), LIMITS)[1].error == "no room"
    assert decide(replace(found, answer=answer(error="another")), LIMITS)[1].error == "another"
