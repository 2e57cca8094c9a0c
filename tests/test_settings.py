"""Settings: typed, from flags and environment, all errors at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.settings import SettingsError, load, seconds


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWEETS_LAKE", "/from/environment")
    monkeypatch.setenv("TWEETS_TRIGGER", "5 seconds")
    assert load().lake == "/from/environment"
    assert load(lake="/from/flag", trigger=None).lake == "/from/flag"
    assert load().trigger == "5 seconds"


def test_all_errors_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWEETS_TRIGGER", "often")
    monkeypatch.setenv("TWEETS_CORES", "0")
    with pytest.raises(SettingsError) as caught:
        load(landing="s3://bucket/x", lake="ftp://host/x")
    told = str(caught.value)
    for part in ("--landing (or TWEETS_LANDING)", "s3a://bucket/x", "--lake", "--trigger", "--cores"):
        assert part in told


@pytest.mark.parametrize(
    ("landing", "lake"), [("/a", "/a/lake"), ("/a/b", "/a"), ("/a", "/a/"), ("s3a://b/x", "s3a://b")]
)
def test_landing_and_lake_may_not_hold_each_other(landing: str, lake: str) -> None:
    with pytest.raises(SettingsError, match="overlap"):
        load(landing=landing, lake=lake)


def test_neighbours_are_no_overlap() -> None:
    assert load(landing="/a/landing", lake="/a/landing2").landing == "/a/landing"


def test_what_is_missing_is_named_together() -> None:
    with pytest.raises(SettingsError, match=r"(?s)--landing .*--lake"):
        load().require("landing", "lake")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60 seconds", 60),
        ("500 ms", 0.5),
        ("1 min", 60),
        ("2 hours", 7200),
        ("0 seconds", 0),
        ("1.5s", 1.5),
        ("3 minutes", 180),
    ],
)
def test_intervals(text: str, value: float) -> None:
    assert seconds(text) == value


@given(st.text())
def test_any_text_is_an_interval_or_a_clear_error(text: str) -> None:
    try:
        assert seconds(text) >= 0
    except ValueError as error:
        assert "write a number and a unit" in str(error)
