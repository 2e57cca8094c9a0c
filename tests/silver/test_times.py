"""Parse the time formats of tweets, and refuse values that are not times."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.silver.times import parse_time

MOMENT = datetime(2009, 4, 7, 5, 19, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "Tue Apr 07 05:19:45 +0000 2009",
        "Mon Apr 06 22:19:45 PDT 2009",
        "Tue Apr 07 05:19:45 2009",
        "Tue Apr 07 05:19:45 UTC 2009",
        "Tue, 07 Apr 2009 05:19:45 GMT",
        "Tue, 07 Apr 2009 07:19:45 +0200",
        "2009-04-07T05:19:45Z",
        "2009-04-07T05:19:45.000Z",
        "2009-04-07 05:19:45",
        "2009-04-07T10:49:45+05:30",
        "2009-04-07T10:49:45+0530",
        " 2009-04-07T05:19:45 ",
        1239081585,
        "1239081585",
        1239081585000,
        "1239081585000",
        1239081585000000,
        1239081585.0,
    ],
)
def test_formats_of_apis_are_parsed(value: object) -> None:
    assert parse_time(value) == MOMENT


def test_fractions_of_a_second_are_kept() -> None:
    assert parse_time("2009-04-07T05:19:45.123456Z") == MOMENT + timedelta(microseconds=123456)
    assert parse_time(1239081585123) == MOMENT + timedelta(milliseconds=123)


@pytest.mark.parametrize(
    "value",
    [
        None, True, "", "yesterday", "2009-02-30T00:00:00Z", "2009-04-07T25:00:00Z", "Mon Foo 06 22:19:45 PDT 2009",
        "Mon Apr 06 22:19:45 XYZ 2009", "0", 12, -1, "1999-01-01T00:00:00Z", "2101-01-01T00:00:00Z", float("nan"),
        float("inf"), 10**30, [], {}, "2009-04-07T05:19:45+0099", "9" * 400,
    ],
)  # fmt: skip
def test_values_that_are_not_times_return_none(value: object) -> None:
    assert parse_time(value) is None


# Hypothesis requires bounds without a time zone.
FIRST = datetime(2006, 1, 2, tzinfo=UTC).replace(tzinfo=None)
LAST = datetime(2099, 12, 30, tzinfo=UTC).replace(tzinfo=None)


@given(st.datetimes(FIRST, LAST), st.integers(-14 * 60, 14 * 60))
def test_any_moment_in_any_time_zone_is_parsed(moment: datetime, minutes: int) -> None:
    offset = timedelta(minutes=minutes)
    sign, size = ("-" if minutes < 0 else "+"), abs(minutes)
    text = (moment + offset).isoformat() + f"{sign}{size // 60:02}:{size % 60:02}"
    assert parse_time(text) == moment.replace(tzinfo=UTC)


@given(st.text() | st.integers() | st.floats() | st.none() | st.lists(st.integers()))
def test_any_value_is_a_time_in_range_or_none(value: object) -> None:
    time = parse_time(value)
    assert time is None or 2006 <= time.year <= 2100


@pytest.mark.parametrize(
    "value",
    [
        "11/28/2022 10:11:12 PM",
        "28/11/2022 22:11:12",
        "11/28/2022 22:11:12",
        "20221128221112",
        "lun. nov. 28 22:11:12 +0000 2022",
        "Mo, 28 Nov 2022 22:11:12 +0000",
    ],
)
def test_formats_of_exports_are_parsed(value: str) -> None:
    assert parse_time(value) == datetime(2022, 11, 28, 22, 11, 12, tzinfo=UTC)


def test_the_format_of_the_web_client_is_parsed() -> None:
    assert parse_time("12:11 AM · Nov 28, 2022") == datetime(2022, 11, 28, 0, 11, tzinfo=UTC)
    assert parse_time("12:11 PM · Nov 28, 2022") == datetime(2022, 11, 28, 12, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", ["03/04/2022 10:11", "13:11 PM · Nov 28, 2022", "31/11/2022 10:11", "28/28/2022 10:11"]
)
def test_ambiguous_and_impossible_dates_return_none(value: str) -> None:
    assert parse_time(value) is None
