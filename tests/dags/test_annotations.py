"""Stored annotations are read back as they were written, and as people or earlier versions may have left them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tweet_dags.reconcile.annotations import ExpectedRestart, Hold, ReconcileState, effective_hold

TIMES = st.datetimes(timezones=st.just(UTC))


@given(
    st.builds(
        ReconcileState, failures=st.lists(TIMES, max_size=3).map(tuple), since=st.none() | TIMES, last_error=st.text()
    )
)
def test_a_reconcile_state_is_read_back(state: ReconcileState) -> None:
    read = ReconcileState.from_json(state.to_json())
    assert read.last_error == state.last_error[:600]
    assert (read.submission, read.generation, read.failures, read.condition, read.since) == (
        state.submission, state.generation, state.failures, state.condition, state.since,
    )  # fmt: skip


@given(st.builds(ExpectedRestart, at=st.none() | TIMES))
def test_an_expected_restart_is_read_back(restart: ExpectedRestart) -> None:
    assert ExpectedRestart.from_json(restart.to_json()) == restart


@given(st.builds(Hold, owner=st.text(min_size=1)))
def test_a_hold_is_read_back(hold: Hold) -> None:
    assert Hold.from_json(hold.to_json()) == hold


def test_a_reconcile_state_of_an_earlier_version_is_read() -> None:
    """An upgrade of a running installation keeps the history of failures."""
    stored = (
        '{"submission": "one", "asked": "app/1", "failures": ["2026-11-25T11:00:00+00:00"], '
        '"condition": "woken app", "since": "2026-11-25T11:30:00+00:00", "error": "no room on the disk"}'
    )
    assert ReconcileState.from_json(stored) == ReconcileState(
        submission="one",
        generation="app/1",
        failures=(datetime(2026, 11, 25, 11, tzinfo=UTC),),
        condition="woken app",
        since=datetime(2026, 11, 25, 11, 30, tzinfo=UTC),
        last_error="no room on the disk",
    )


@pytest.mark.parametrize("text", [None, "", "{", "[]", "3", '{"since": "now"}', '{"failures": 3}', '{"at": "now"}'])
def test_unreadable_annotations_count_as_empty(text: str | None) -> None:
    assert ReconcileState.from_json(text) == ReconcileState()
    assert ExpectedRestart.from_json(text) == ExpectedRestart()


def test_an_unreadable_hold_is_a_hold() -> None:
    assert Hold.from_json(None) is None and Hold.from_json("") is None
    assert Hold.from_json("ask Ann first") == Hold("an unknown owner", "ask Ann first")


def test_a_start_ends_earlier_holds_only() -> None:
    hold, start = Hold("ann", "disk", "2026-11-25T11:00:00+00:00"), datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert ExpectedRestart("", start).supersedes(hold)
    assert not ExpectedRestart("", None).supersedes(hold)
    assert not ExpectedRestart("", start).supersedes(Hold("ann", "disk", "2026-11-25T13:00:00+00:00"))
    assert not ExpectedRestart("", start).supersedes(Hold("ann", "disk"))


def test_the_copy_of_a_hold_counts_only_if_the_stream_was_not_started_since() -> None:
    hold, copy = Hold("ann", "disk"), Hold("bob", "test", "2026-11-25T11:00:00+00:00")
    start = ExpectedRestart("", datetime(2026, 11, 25, 12, tzinfo=UTC))
    assert effective_hold(hold.to_json(), copy.to_json(), start) == hold
    assert effective_hold(None, copy.to_json(), ExpectedRestart()) == copy
    assert effective_hold(None, copy.to_json(), start) is None
    assert effective_hold(None, None, start) is None
