"""The queries of the dashboard agree with pandas, and take less than 2 s on a million rows."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from spark_apps.dashboard import queries
from spark_apps.dashboard.queries import Filters
from spark_apps.lake.journey import journey
from spark_apps.lake.status import read_status
from spark_apps.tables import GOLD_SENTIMENT
from tests.lakes import fill, gold_rows, put

SPANS = {"30 minutes": timedelta(minutes=30), "2 days": timedelta(days=2), "all": None}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("lake")
    return str(folder), fill(folder, 20_000, timedelta(days=3))


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("langs", [(), ("en",), ("en", "ja")])
def test_totals_and_mentions_agree_with_the_rows(
    lake: tuple[str, pd.DataFrame], span: str, langs: tuple[str, ...]
) -> None:
    folder, frame = lake
    length = SPANS[span]
    # The aggregates have whole minutes only.
    since = pd.Timestamp(datetime.now(UTC) - length).ceil("min").to_pydatetime() if length else None
    filters = Filters(since, langs)
    chosen = frame[frame["lang"].isin(langs)] if langs else frame
    chosen = chosen[chosen["timestamp"] >= since] if since else chosen
    assert queries.totals(folder, filters) == {
        label: int((chosen["label"] == label).sum()) for label in ("negative", "neutral", "positive")
    }
    chart, step = queries.sentiment_over_time(folder, filters)
    # The charts begin where most of the tweets begin, and omit the few earlier tweets.
    assert 0.9 * len(chosen) <= chart["tweets"].sum() <= len(chosen)
    assert len(chart) / 3 <= 125 and step >= 5
    if span != "2 days":  # in a long span, mentions are counted by whole days
        top = queries.top_mentions(folder, filters).groupby("mention")["tweets"].sum()
        counts = chosen["mentions"].str[0].value_counts()
        assert all(counts[str(mention)] == tweets for mention, tweets in top.items())


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("langs", [(), ("en", "ja")])
def test_languages_agree_with_the_rows(lake: tuple[str, pd.DataFrame], span: str, langs: tuple[str, ...]) -> None:
    folder, frame = lake
    length = SPANS[span]
    since = pd.Timestamp(datetime.now(UTC) - length).ceil("min").to_pydatetime() if length else None
    chosen = frame[frame["lang"].isin(langs)] if langs else frame
    chosen = chosen[chosen["timestamp"] >= since] if since else chosen
    expected = pd.crosstab(chosen["lang"], chosen["label"])
    counts = queries.by_language(folder, Filters(since, langs), 10)
    assert counts.set_index("lang").sort_index().to_dict() == expected.to_dict()
    sums = counts[["negative", "neutral", "positive"]].sum(axis=1)
    assert sums.is_monotonic_decreasing
    assert list(queries.by_language(folder, Filters(since, langs), 1)["lang"]) == ["en"]


def test_freshness_and_the_latest_tweets_agree_with_the_rows(lake: tuple[str, pd.DataFrame]) -> None:
    folder, frame = lake
    freshness = queries.freshness(folder, read_status(folder))
    assert freshness is not None
    assert [freshness.median, freshness.p95] == pytest.approx([3, 3], abs=0.01)
    newest = queries.latest(folder, read_status(folder), Filters(), 5)
    assert list(newest["id"]) == list(frame.sort_values("timestamp")["id"][::-1][:5])
    assert queries.newest_model_version(folder, read_status(folder)) == "7"
    assert queries.languages(folder)[0] == "en"


def test_the_charts_include_tweets_that_are_not_aggregated_yet(tmp_path: Path) -> None:
    put(tmp_path, GOLD_SENTIMENT, gold_rows(300, timedelta(minutes=5)), rows=300)
    charted, _ = queries.sentiment_over_time(str(tmp_path), Filters(datetime.now(UTC) - timedelta(minutes=15)))
    assert charted["tweets"].sum() > 250


def test_queries_of_a_lake_without_tables_are_empty(tmp_path: Path) -> None:
    lake = str(tmp_path / "none")
    assert queries.totals(lake, Filters()) == {"negative": 0, "neutral": 0, "positive": 0}
    assert queries.languages(lake) == []
    assert len(queries.sentiment_over_time(lake, Filters())[0]) == 0
    assert len(queries.latest(lake, read_status(lake, missing_ok=True), Filters())) == 0
    assert len(queries.top_mentions(lake, Filters())) == 0
    assert list(queries.by_language(lake, Filters(), 9)) == ["lang", "negative", "neutral", "positive"]
    assert queries.freshness(lake, read_status(lake, missing_ok=True)) is None


def test_a_filter_value_cannot_inject_sql(lake: tuple[str, pd.DataFrame]) -> None:
    assert sum(queries.totals(lake[0], Filters(langs=("en' OR '1'='1",))).values()) == 0
    assert journey(lake[0], "1' OR '1'='1", datetime(2020, 1, 1, tzinfo=UTC)) == {}


def over_time(counts: list[int]) -> pd.DataFrame:
    times = pd.date_range("2026-01-01", periods=len(counts), freq="60s", tz="UTC")
    negative = pd.DataFrame({"time": times, "label": "negative", "tweets": counts})
    neutral = pd.DataFrame({"time": times, "label": "neutral", "tweets": 20})
    return pd.concat([neutral, negative])


def test_a_spike_is_found_once_and_noise_is_not_a_spike() -> None:
    quiet = [20, 24, 17, 22, 19, 23, 18, 21]
    spikes = queries.spikes(over_time([*quiet, 90, 95, 60, *quiet]))
    assert list(spikes["label"]) == ["negative"]
    assert spikes["tweets"][0] == 90 and spikes["times"][0] == pytest.approx(4.4, abs=0.3)
    assert len(queries.spikes(over_time(quiet * 4))) == 0
    assert len(queries.spikes(over_time([0, 0, 90]))) == 0


def test_queries_over_a_million_rows_take_less_than_two_seconds(tmp_path: Path) -> None:
    fill(tmp_path, 1_000_000, timedelta(days=30))
    lake = str(tmp_path)
    for span in (timedelta(minutes=15), timedelta(days=7), None):
        filters = Filters(datetime.now(UTC) - span if span else None)
        began = time.monotonic()
        status = read_status(lake)
        queries.languages(lake)
        queries.totals(lake, filters)
        queries.freshness(lake, status)
        queries.spikes(queries.sentiment_over_time(lake, filters)[0])
        queries.top_mentions(lake, filters)
        queries.latest(lake, status, filters)
        queries.by_language(lake, filters, 13)
        assert time.monotonic() - began < 2
