"""The page of the dashboard: in Streamlit's test runner, and in a browser."""

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from streamlit.testing.v1 import AppTest

from spark_apps.dashboard.launch import start_child
from spark_apps.settings import Settings
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS
from tests.lakes import fill, gold_rows, put
from tests.process import free_port
from tests.waiting import answers, until

APP = Path(__file__).parents[2] / "spark_apps" / "dashboard" / "app.py"
EVIL = "<script>document.title = 'owned'</script> **bold** $x^2$ :tada: [link](http://example.com) <b>b</b>"


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
    assert "5 documents waiting" in shown
    app.multiselect[0].select("es").run()
    assert not app.exception


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
    port = free_port()
    (tmp_path / "landing").mkdir()
    server = start_child(Settings(lake=str(lake), landing=str(tmp_path / "landing")), port, tmp_path / "log")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--window-size=1500,1300", f"--user-data-dir={tempfile.mkdtemp(dir=tmp_path)}"):  # fmt: skip
        options.add_argument(argument)

    def is_healthy() -> bool:
        assert server.poll() is None, (tmp_path / "log").read_text()
        return answers(f"http://127.0.0.1:{port}/_stcore/health")

    try:
        until(is_healthy, 180, "a healthy dashboard")
        with webdriver.Chrome(options) as browser:
            browser.get(f"http://127.0.0.1:{port}")
            yield browser
    finally:
        assert server.stdin
        server.stdin.close()
        server.wait(10)


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
