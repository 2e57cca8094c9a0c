"""The panel to label tweets: which tweets it offers, and what a click writes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from spark_apps.dashboard import labelling, queries
from spark_apps.dashboard.queries import Filters
from spark_apps.lake.commits import LakeError, open_existing_table
from spark_apps.lake.human_labels import HumanLabel, append
from spark_apps.lake.status import read_status
from spark_apps.tables import GOLD_SENTIMENT, HUMAN_LABELS
from tests.dashboard.test_app import APP, EVIL, pieces_of_html
from tests.lakes import gold_rows, put

PROBABILITIES = {
    "certain": (0.05, 0.05, 0.9),
    "two close": (0.48, 0.06, 0.46),
    "three close": (0.34, 0.33, 0.33),
    "retweet": (0.34, 0.33, 0.33),
    "unlikely": (0.2, 0.3, 0.5),
    "unscored": (None, None, None),
}


@pytest.fixture
def lake(tmp_path: Path) -> str:
    tweets = gold_rows(len(PROBABILITIES), timedelta(minutes=5)).assign(id=list(PROBABILITIES), lang="en")
    tweets[["negative", "neutral", "positive"]] = pd.DataFrame(PROBABILITIES.values()).astype("float32")
    tweets.loc[tweets["id"] == "unscored", "label"] = None
    tweets.loc[tweets["id"] == "retweet", "retweet_of"] = "three close"
    tweets.loc[tweets["id"] == "unlikely", "full_text"] = f"Größe {EVIL}"
    put(tmp_path, GOLD_SENTIMENT, tweets, rows=len(tweets))
    return str(tmp_path)


def uncertain(lake: str, words: str | None = None, langs: tuple[str, ...] = ()) -> list[str]:
    frame = queries.uncertain(lake, read_status(lake), Filters(langs=langs), words, 10)
    return list(frame["id"])


def label(id_: str) -> HumanLabel:
    return HumanLabel(id_, None, None, datetime.now(UTC), "neutral", "7")


def test_the_least_certain_tweets_come_first_and_labelled_tweets_not_again(lake: str) -> None:
    assert uncertain(lake) == ["three close", "two close", "unlikely", "certain"]
    append(lake, label("two close"))
    append(lake, label("certain"))
    assert uncertain(lake) == ["three close", "unlikely"]
    assert uncertain(lake, "GRÖSSE") == [] and uncertain(lake, "größe") == ["unlikely"]
    assert uncertain(lake, "%") == [] and uncertain(lake, "' OR '1'='1") == []
    assert uncertain(lake, langs=("de",)) == []


def app(lake: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """Return the page with the panel switched on."""
    monkeypatch.setenv("TWEETS_LAKE", lake)
    monkeypatch.setenv("TWEETS_LABELLING", "true")
    page = AppTest.from_file(str(APP), default_timeout=120).run()
    page.toggle[0].set_value(True).run()
    assert not page.exception
    return page


def click(page: AppTest, text: str) -> None:
    next(button for button in page.button if button.label == text).click()
    page.run()
    assert not page.exception


def test_a_click_saves_the_label_and_shows_the_next_tweet(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = app(lake, monkeypatch)
    for text in ("negative", "cannot tell", "positive"):
        click(page, text)
    rows = open_existing_table(lake, HUMAN_LABELS).to_pyarrow_table().sort_by("labelled_at").to_pylist()
    assert [(row["id"], row["label"], row["labelled_by"], row["model_version"]) for row in rows] == [
        ("three close", "negative", None, "7"),
        ("two close", None, None, "7"),
        ("unlikely", "positive", None, "7"),
    ]
    assert any("3 labels so far" in caption.value for caption in page.caption)
    click(page, "neutral")
    assert any("has a label of a person" in caption.value for caption in page.caption)


def test_the_text_of_a_tweet_is_escaped(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = app(lake, monkeypatch)
    page.text_input[0].input("größe").run()
    shown = [piece for piece in pieces_of_html(page) if "Größe" in piece]
    assert shown and not any("<script>" in piece for piece in shown)


def test_a_label_that_cannot_be_saved_is_an_error_and_the_tweet_stays(
    lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = app(lake, monkeypatch)

    def refuse(*_: object) -> None:
        raise LakeError("human_labels cannot be written: read-only")

    monkeypatch.setattr(labelling, "append", refuse)
    click(page, "negative")
    assert [error.value for error in page.error] == [
        "The label was not saved: human_labels cannot be written: read-only"
    ]
    monkeypatch.setattr(labelling, "append", append)
    click(page, "negative")
    rows = open_existing_table(lake, HUMAN_LABELS).to_pyarrow_table().to_pylist()
    assert [row["id"] for row in rows] == ["three close"]


@pytest.mark.parametrize(("enabled", "roles"), [("false", {"releaser"}), ("true", {"viewer", "operator"})])
def test_only_people_with_the_right_see_the_panel(
    lake: str, monkeypatch: pytest.MonkeyPatch, enabled: str, roles: set[str]
) -> None:
    monkeypatch.setenv("TWEETS_LAKE", lake)
    monkeypatch.setenv("TWEETS_LABELLING", enabled)
    monkeypatch.setattr("spark_apps.dashboard.login.log_in", lambda: frozenset(roles))
    page = AppTest.from_file(str(APP), default_timeout=120).run()
    assert not page.exception and not page.toggle
    st.cache_data.clear()
