"""Settings from options and the environment; all errors are reported together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.settings import SettingsError, load, seconds


def test_options_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWEETS_LAKE", "/from/environment")
    monkeypatch.setenv("TWEETS_TRIGGER", "5 seconds")
    assert load().lake == "/from/environment"
    assert load(lake="/from/option", trigger=None).lake == "/from/option"
    assert load().trigger == "5 seconds"


def test_all_errors_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWEETS_TRIGGER", "often")
    monkeypatch.setenv("TWEETS_CORES", "0")
    with pytest.raises(SettingsError) as caught:
        load(landing="s3://bucket/x", lake="ftp://host/x")
    message = str(caught.value)
    for part in ("--landing: ", "s3a://bucket/x", "--lake: ", "TWEETS_TRIGGER: ", "TWEETS_CORES: "):
        assert part in message
    # There is no option --cores.
    assert "--cores" not in message


@pytest.mark.parametrize(
    ("landing", "lake"), [("/a", "/a/lake"), ("/a/b", "/a"), ("/a", "/a/"), ("s3a://b/x", "s3a://b")]
)
def test_landing_and_lake_must_not_overlap(landing: str, lake: str) -> None:
    with pytest.raises(SettingsError, match="overlap"):
        load(landing=landing, lake=lake)


@pytest.mark.parametrize("uri", ["/a/lake", "/a/lake/", "file:/a/lake", "file:///a/lake"])
def test_a_folder_may_be_a_path_or_a_file_uri(uri: str) -> None:
    assert load(lake=uri).lake == "/a/lake"


def test_folders_with_a_common_prefix_do_not_overlap() -> None:
    assert load(landing="/a/landing", lake="/a/landing2").landing == "/a/landing"


def test_all_missing_settings_are_named_together() -> None:
    with pytest.raises(SettingsError, match=r"(?s)--landing .*--lake"):
        load().require("landing", "lake")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60 seconds", 60),
        ("500 ms", 0.5),
        ("500 milliseconds", 0.5),
        ("1 Millisecond", 0.001),
        ("1 min", 60),
        ("2 hours", 7200),
        ("0 seconds", 0),
        ("1.5s", 1.5),
        ("3 minutes", 180),
    ],
)
def test_intervals_are_converted_to_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


@given(st.text())
def test_any_other_text_is_refused_as_an_interval(text: str) -> None:
    try:
        assert seconds(text) >= 0
    except ValueError as error:
        assert "write a number and a unit" in str(error)


def test_a_queue_needs_a_landing_on_s3() -> None:
    with pytest.raises(SettingsError, match="TWEETS_LANDING_QUEUE is set, but landing /x is not on S3"):
        load(landing="/x", landing_queue="https://sqs/landing")
