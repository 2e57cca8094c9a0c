"""The page of the dashboard: in Streamlit's test runner, and in a browser."""

import html
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from streamlit.testing.v1 import AppTest

from spark_apps.dashboard import queries
from spark_apps.lake.commits import LakeError
from spark_apps.lake.failures import FailedBatch, Failure
from spark_apps.registry.client import BUNDLED, NoProductionError
from spark_apps.registry.requests import RegistryError
from spark_apps.scoring.description import Description
from spark_apps.settings import Settings
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, GOLD_SHADOW, SILVER_TWEETS
from tests.dashboard import browser
from tests.lakes import fill, gold_rows, put, put_failure, put_report
from tests.waiting import until

APP = Path(__file__).parents[2] / "spark_apps" / "dashboard" / "app.py"
EVIL = "<script>document.title = 'owned'</script> **bold** $x^2$ :tada: [link](http://example.com) <b>b</b>"


def no_production(_: object) -> str:
    raise NoProductionError("no version is in production: release one")


def no_answer(*_: object) -> Any:
    raise RegistryError("the registry x is down")


def pieces_of_html(app: AppTest) -> list[str]:
    """Return the HTML on the page, in its order."""
    return [str(element.proto.body) for element in app.get("html")]


def text(app: AppTest) -> str:
    return " ".join(str(element.value) for element in [*app.markdown, *app.info, *app.caption, *app.error])


def test_a_missing_lake_shows_how_to_start_the_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWEETS_LAKE", str(tmp_path / "none"))
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    assert not app.exception
    assert "start the streams with `tweet-sentiment run`" in text(app)
    assert not app.text_input  # without a landing there is no tweet form


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    fill(folder, 3_000, timedelta(minutes=14))
    evil = gold_rows(1, timedelta(seconds=0)).assign(id="666", full_text=EVIL, lang="<i>en</i>")
    put(folder, GOLD_SENTIMENT, evil, rows=3_001)
    return folder


def test_the_page_shows_the_streams_and_accepts_a_filter(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWEETS_LAKE", str(lake))
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    assert not app.exception
    shown = text(app)
    assert "version **7** scored the newest tweets" in shown
    assert any("5 documents waiting" in piece for piece in pieces_of_html(app))
    app.multiselect[0].select("es").run()
    assert not app.exception


def test_a_lake_that_becomes_unreadable_is_named_in_the_panels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 30, timedelta(minutes=5))
    monkeypatch.setenv("TWEETS_LAKE", str(tmp_path))

    def unreadable(*_: object) -> None:
        raise LakeError("gold/sentiment is not readable: check the permissions")

    monkeypatch.setattr(queries, "latest", unreadable)
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    assert not app.exception
    assert {error.value for error in app.error} == {"gold/sentiment is not readable: check the permissions"}


def test_a_typed_tweet_that_cannot_land_is_an_error_on_the_page(
    lake: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "landing").write_text("a file instead of a folder")
    monkeypatch.setenv("TWEETS_LAKE", str(lake))
    monkeypatch.setenv("TWEETS_LANDING", str(tmp_path / "landing"))
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    app.text_input[0].input("I love this!")
    app.button[0].click().run()
    assert not app.exception
    assert "The tweet was not sent" in app.error[0].value


def test_a_failed_stream_is_at_the_top_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 30, timedelta(minutes=5))
    failed = Failure("silver", datetime.now(UTC) + timedelta(hours=1), EVIL, FailedBatch(641, "document 2 of a.json"))
    put_failure(tmp_path, failed)
    monkeypatch.setenv("TWEETS_LAKE", str(tmp_path))
    shown = pieces_of_html(AppTest.from_file(str(APP), default_timeout=120).run())
    problem = next(index for index, piece in enumerate(shown) if 'class="problem"' in piece)
    assert problem < next(index for index, piece in enumerate(shown) if 'class="kpi"' in piece)
    assert "silver: failed" in shown[problem] and "silver, batch 641, document 2 of a.json: " in shown[problem]
    assert html.escape(EVIL) in shown[problem] and "docs/operations.md#stream-failed" in shown[problem]


def test_a_held_stream_is_named_before_the_first_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    since = datetime.now(UTC) - timedelta(hours=2)
    hold = {"owner": "operate-stream", "reason": "disk is full (ann)", "since": since.isoformat()}
    link = "https://example.com/run#stream-held"
    put_report(tmp_path / "status", "bronze", datetime.now(UTC))
    put_report(tmp_path / "status", "silver", datetime.now(UTC), state="held", hold=hold, remedy="start it", link=link)
    put(tmp_path / "lake", BRONZE_TWEETS, pd.DataFrame({"ingest_date": [since.date()]}), rows=5)
    monkeypatch.setenv("TWEETS_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("TWEETS_STREAM_STATUS", str(tmp_path / "status"))
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    (problem,) = [piece for piece in pieces_of_html(app) if 'class="problem held"' in piece]
    assert "silver: held" in problem and "held by operate-stream" in problem and "disk is full (ann)" in problem
    assert "start it" in problem and f'href="{link}"' in problem


def test_tweets_that_wait_for_gold_explain_an_empty_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page once said "13,246 tweets wait" beside "no tweets: choose a longer span"."""
    put(
        tmp_path, GOLD_SENTIMENT, gold_rows(5, timedelta(seconds=1)).assign(timestamp=pd.Timestamp(0, tz="UTC")), rows=5
    )
    monkeypatch.setenv("TWEETS_LAKE", str(tmp_path))
    shown = text(AppTest.from_file(str(APP), default_timeout=120).run())
    assert "No tweets in this time span. Choose a longer one" in shown
    put(tmp_path, SILVER_TWEETS, gold_rows(1, timedelta(seconds=1)), rows=13_251)
    st.cache_data.clear()
    shown = text(AppTest.from_file(str(APP), default_timeout=120).run())
    assert "No tweet of this time span has a label yet: 13,246 tweets wait for Gold" in shown
    assert "Choose a longer one" not in shown


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda _: "7", "the alias `production` points to this version"),
        (lambda _: "8", "the alias `production` points to version **8**"),
        (no_production, "no version is in production"),
        (
            no_answer,
            "the version in production is unknown, and Gold continues with this version: `the registry x is down",
        ),
    ],
    ids=["this version", "another version", "no version", "no answer"],
)
def test_the_page_tells_a_silent_registry_from_a_registry_without_a_version_in_production(
    lake: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[[object], str], expected: str
) -> None:
    monkeypatch.setattr("spark_apps.registry.client.Registry.production", answer)
    monkeypatch.setenv("TWEETS_LAKE", str(lake))
    # The page keeps the answers of a registry by its URI.
    monkeypatch.setenv("TWEETS_REGISTRY", f"http://127.0.0.1:1/{len(expected)}")
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    until(lambda: "asking the registry" not in text(app.run()), 30, "the answer of the registry")
    assert expected in text(app)


def test_the_page_compares_the_shadow_version_only_if_there_is_one(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadowed = shutil.copytree(lake, tmp_path / "lake")
    row = {"lang": EVIL, "production_label": "positive", "model_version": "8", "milliseconds": 1.5}
    times = {"scored_at": datetime.now(UTC)}
    for label in ("positive", "negative"):
        put(shadowed, GOLD_SHADOW, pd.DataFrame([{**row, **times, "label": label}] * 50), rows=50)
    monkeypatch.setenv("TWEETS_LAKE", str(shadowed))
    monkeypatch.setattr("spark_apps.registry.client.Registry.production", lambda _: "7")

    def shown(alias: str | None) -> str:
        monkeypatch.setattr("spark_apps.registry.client.Registry.alias", lambda *_: alias)
        monkeypatch.setenv("TWEETS_REGISTRY", f"http://127.0.0.1:1/shadow-{alias}")
        app = AppTest.from_file(str(APP), default_timeout=120).run()
        until(lambda: "points to this version" in text(app.run()), 30, "the answer of the registry")
        app.run()  # the alias `shadow` is asked for after `production`
        assert not app.exception
        return " ".join(pieces_of_html(app))

    assert "Shadow version" not in shown(None)
    panel = shown("8")
    assert "Shadow version 8" in panel and "50.0%" in panel and "1.5 ms a tweet" in panel
    assert "50% <small>-50.0</small>" in panel and "<script>" not in panel
    assert "No tweet is scored yet" in shown("9")


def test_the_page_marks_the_languages_on_which_the_model_was_not_trained(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = Description.read(BUNDLED)
    answers_by_uri = {
        "known": lambda *_: replace(bundled, provenance={"languages": {"en": 9_000, "es": 70}}),
        "unnamed": lambda *_: replace(bundled, provenance={}),
        "silent": no_answer,
    }
    monkeypatch.setenv("TWEETS_LAKE", str(lake))
    monkeypatch.setattr("spark_apps.registry.client.Registry.production", lambda _: "7")

    def shown(uri: str) -> tuple[str, str]:
        """Return the table and the captions of the page, once the registry at `uri` has answered."""
        monkeypatch.setattr("spark_apps.registry.client.Registry.description", answers_by_uri[uri])
        monkeypatch.setenv("TWEETS_REGISTRY", f"http://127.0.0.1:1/{uri}")
        app = AppTest.from_file(str(APP), default_timeout=120).run()
        until(lambda: "reading the training languages" not in text(app.run()), 30, "the description")
        assert not app.exception
        return next(piece for piece in pieces_of_html(app) if 'class="languages"' in piece), text(app)

    table, captions = shown("known")
    marked = [row for row in table.split("<tr")[2:] if "not trained on this language" in row]
    assert [any(name in row for row in marked) for name in ("English", "Spanish", "Japanese")] == [False, False, True]
    assert "trained on 70 tweets" in table and "<i>en" not in table and "&lt;i&gt;en" in table
    assert "No language is marked" not in captions
    table, captions = shown("unnamed")
    assert "trained" not in table and "the description of version 7 does not name its training languages" in captions
    table, captions = shown("silent")
    assert "trained" not in table and "of version 7 are unknown: `the registry x is down`" in captions


def test_no_heading_is_above_nothing(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a query of the panel takes long, or fails, its heading is not shown either."""
    monkeypatch.setenv("TWEETS_LAKE", str(lake))

    def fail(*_: object) -> str:
        raise LakeError("the lake is slow")

    monkeypatch.setattr("spark_apps.dashboard.queries.newest_model_version", fail)
    st.cache_data.clear()  # the page keeps the version for three seconds
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    assert not app.exception and "the lake is slow" in text(app)
    headings = ("Model in production", "Sentiment by language")
    assert not [piece for piece in pieces_of_html(app) if any(heading in piece for heading in headings)]


def test_an_unreadable_lake_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "gold" / "trends" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("no log at all")
    monkeypatch.setenv("TWEETS_LAKE", str(tmp_path))
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    assert not app.exception
    assert "gold/trends cannot be read" in text(app)


@pytest.fixture
def page(lake: Path, tmp_path: Path) -> Iterator[webdriver.Chrome]:
    (tmp_path / "landing").mkdir()
    with browser.page(Settings(lake=str(lake), landing=str(tmp_path / "landing")), tmp_path) as opened:
        yield opened


@pytest.mark.browser
def test_a_browser_shows_updates_and_the_label_of_a_typed_tweet(
    page: webdriver.Chrome, lake: Path, tmp_path: Path
) -> None:
    wait = WebDriverWait(page, 180)

    def body() -> str:
        return page.find_element(By.TAG_NAME, "body").text

    wait.until(lambda _: "Latest tweets" in body() and "Quarantine by reason" in body() and "<script>" in body())
    wait.until(lambda _: len(page.find_elements(By.CSS_SELECTOR, "canvas, .vega-embed svg")) >= 3)

    # The text of a tweet is shown unchanged: HTML and Markdown have no effect.
    assert EVIL in body()
    assert page.title == "Tweet sentiment"
    assert page.find_elements(By.CSS_SELECTOR, ".tweet .text b, .tweet .text a, .tweet script, .tweet i") == []
    assert page.find_elements(By.CSS_SELECTOR, ".languages th i") == []
    # One script, because the page replaces the rows every three seconds.
    rows = page.execute_script(
        "return [...document.querySelectorAll('.languages tbody tr')].map(row => row.textContent)"
    )
    assert [row for row in rows if row.startswith("<i>en</i> <i>en</i>1fewer than 50 tweets")]

    # The page shows new tweets without a reload.
    fresh = gold_rows(1, timedelta(seconds=0)).assign(id="777", full_text="news of this second")
    put(lake, GOLD_SENTIMENT, fresh, rows=3_002)
    wait.until(lambda _: "news of this second" in body())

    # A typed tweet lands as a file, and the page shows its progress until it has a label.
    box = page.find_element(By.CSS_SELECTOR, "input[aria-label^='Type a tweet']")
    box.send_keys("I love <i>this</i>", Keys.ENTER)
    landing = tmp_path / "landing"
    wait.until(lambda _: any(landing.glob("typed-*.json")))
    (file,) = landing.glob("typed-*.json")
    tweet = json.loads(file.read_text())
    assert tweet["full_text"] == "I love <i>this</i>"
    wait.until(lambda _: "Bronze and Silver" in body())
    row = gold_rows(1, timedelta(seconds=0)).assign(
        id=tweet["id"], full_text=tweet["full_text"], label="positive", score=0.97
    )
    row["ingested_at"] = pd.Timestamp(datetime.now(UTC))
    put(lake, SILVER_TWEETS, row, rows=3_003, documents=3_003)
    put(lake, GOLD_SENTIMENT, row, rows=3_003)
    wait.until(lambda _: "97%, after" in body())
