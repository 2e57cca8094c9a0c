"""Gold as a running stream while the model in production changes, or is not there."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from spark_apps.lake.status import read_status
from spark_apps.model.release.release import rollback
from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.settings import Settings
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS
from tests.conftest import Place
from tests.test_streams import flat


def wait_for(what: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def rows(lake: str, table: str) -> int:
    return read_status(lake, missing_ok=True).tables[table].totals.get("rows", 0)


def test_the_next_batch_uses_the_version_in_production(place: Place, tmp_path: Path) -> None:
    registry = f"sqlite:///{tmp_path / 'registry.db'}"
    settings = Settings(landing=place.landing, lake=place.lake, registry=registry, registry_timeout=60)
    live = Place(place.spark, settings)
    reports: list[BatchReport] = []
    streams = StreamRunner(place.spark, place.lake, reports.append)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            streams.run(live.layers(), "0 seconds")
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        # No model yet: Gold waits, the layers before it do not.
        live.land("1.json", flat(1) + flat(2))
        wait_for(lambda: rows(place.lake, SILVER_TWEETS.name) == 2)
        live.land("2.json", flat(3))
        wait_for(lambda: rows(place.lake, SILVER_TWEETS.name) == 3)
        assert rows(place.lake, GOLD_SENTIMENT.name) == 0

        releases = Registry(registry, 60)
        releases.ensure_production(BUNDLED)
        wait_for(lambda: rows(place.lake, GOLD_SENTIMENT.name) == 3)

        second = releases.promote(releases.register(BUNDLED), "me", "the same once more")
        live.land("3.json", flat(4))
        wait_for(lambda: rows(place.lake, GOLD_SENTIMENT.name) == 4)

        assert rollback(releases, None, "me", "the first was better") == (second, "1")
        live.land("4.json", flat(5))
        wait_for(lambda: rows(place.lake, GOLD_SENTIMENT.name) == 5)
    finally:
        streams.stopping.set()
        thread.join(60)
    assert not failed and not thread.is_alive()
    found = {row["id"]: row["model_version"] for row in live.rows(GOLD_SENTIMENT)}
    assert found == {"1": "1", "2": "1", "3": "1", "4": second, "5": "1"}


def test_a_stop_ends_a_wait_for_a_model(place: Place, tmp_path: Path) -> None:
    place.settings.registry = f"sqlite:///{tmp_path / 'empty.db'}"
    place.land("1.json", flat(1))
    stop = threading.Event()
    threading.Timer(15, stop.set).start()
    began = time.monotonic()
    StreamRunner(place.spark, place.lake, lambda _: None, stop).run(place.layers(), None)
    assert time.monotonic() - began < 40
    assert rows(place.lake, SILVER_TWEETS.name) == 1 and rows(place.lake, GOLD_SENTIMENT.name) == 0
    # Nothing was skipped: with a model, the tweet is scored.
    place.settings.registry = None
    place.once(*place.layers())
    assert rows(place.lake, GOLD_SENTIMENT.name) == 1


def test_odd_texts_do_not_stop_gold(place: Place) -> None:
    texts = ["", "  ", "x" * 20_000, "\x00", "plain"]
    place.land("1.json", "".join(flat(number + 1, full_text=text) for number, text in enumerate(texts)))
    place.once(*place.layers())
    assert rows(place.lake, GOLD_SENTIMENT.name) == 3
