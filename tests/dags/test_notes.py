"""What stands on the chart's map is read as it was written, and as people may have left it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tweet_dags.notes import Hold, Memory, Pardon, standing

TIMES = st.datetimes(timezones=st.just(UTC))


@given(st.builds(Memory, failures=st.lists(TIMES, max_size=3).map(tuple), since=st.none() | TIMES, error=st.text()))
def test_a_memory_comes_back(memory: Memory) -> None:
    found = Memory.of(memory.to_text())
    assert found.error == memory.error[:600]
    assert (found.submission, found.asked, found.failures, found.condition, found.since) == (
        memory.submission, memory.asked, memory.failures, memory.condition, memory.since,
    )  # fmt: skip


@given(st.builds(Pardon, at=st.none() | TIMES))
def test_a_pardon_comes_back(pardon: Pardon) -> None:
    assert Pardon.of(pardon.to_text()) == pardon


@given(st.builds(Hold, owner=st.text(min_size=1)))
def test_a_hold_comes_back(hold: Hold) -> None:
    assert Hold.of(hold.to_text()) == hold


@pytest.mark.parametrize("text", [None, "", "{", "[]", "3", '{"since": "now"}', '{"failures": 3}', '{"at": "now"}'])
def test_what_somebody_has_written_over_is_forgotten(text: str | None) -> None:
    assert Memory.of(text) == Memory()
    assert Pardon.of(text) == Pardon()


def test_a_hold_that_cannot_be_read_is_a_hold() -> None:
    assert Hold.of(None) is None and Hold.of("") is None
    assert Hold.of("ask Ann first") == Hold("somebody", "ask Ann first")


def test_a_pardon_covers_what_it_came_after() -> None:
    hold, start = Hold("ann", "disk", "2026-11-25T11:00:00+00:00"), datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert Pardon("", start).covers(hold)
    assert not Pardon("", None).covers(hold)
    assert not Pardon("", start).covers(Hold("ann", "disk", "2026-11-25T13:00:00+00:00"))
    assert not Pardon("", start).covers(Hold("ann", "disk"))


def test_the_map_counts_and_the_copy_only_where_the_stream_was_not_started_since() -> None:
    hold, copy = Hold("ann", "disk"), Hold("bob", "test", "2026-11-25T11:00:00+00:00")
    start = Pardon("", datetime(2026, 11, 25, 12, tzinfo=UTC))
    assert standing(hold.to_text(), copy.to_text(), start) == hold
    assert standing(None, copy.to_text(), Pardon()) == copy
    assert standing(None, copy.to_text(), start) is None
    assert standing(None, None, start) is None
