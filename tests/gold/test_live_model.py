"""The Gold stream while the model in production changes or is missing."""

import threading
import time
from pathlib import Path

import pytest

from spark_apps.lake.status import read_status
from spark_apps.model.release.release import rollback
from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.registry.production import ensure_production, promote
from spark_apps.settings import Settings
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS
from tests.conftest import Pipeline
from tests.lakes import flat_tweet
from tests.waiting import until


def row_count(lake: str, table: str) -> int:
    return read_status(lake, missing_ok=True).tables[table].totals.get("rows", 0)


@pytest.mark.slow
def test_the_next_batch_uses_the_version_in_production(pipeline: Pipeline, tmp_path: Path) -> None:
    registry = f"sqlite:///{tmp_path / 'registry.db'}"
    settings = Settings(landing=pipeline.landing, lake=pipeline.lake, registry=registry, registry_timeout=60)
    live = Pipeline(pipeline.spark, settings)
    reports: list[BatchReport] = []
    runner = live.runner(reports.append)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            runner.run(live.streams(), "0 seconds")
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        # Without a model Gold waits; Bronze and Silver continue.
        live.land("1.json", flat_tweet(1) + flat_tweet(2))
        until(lambda: row_count(pipeline.lake, SILVER_TWEETS.name) == 2, 240, "2 tweets in Silver")
        live.land("2.json", flat_tweet(3))
        until(lambda: row_count(pipeline.lake, SILVER_TWEETS.name) == 3, 240, "3 tweets in Silver")
        assert row_count(pipeline.lake, GOLD_SENTIMENT.name) == 0

        releases = Registry(registry, 60)
        ensure_production(releases, BUNDLED)
        until(lambda: row_count(pipeline.lake, GOLD_SENTIMENT.name) == 3, 240, "3 tweets in Gold")

        second = promote(releases, releases.register(BUNDLED), "me", "the same once more")
        live.land("3.json", flat_tweet(4))
        until(lambda: row_count(pipeline.lake, GOLD_SENTIMENT.name) == 4, 240, "4 tweets in Gold")

        assert rollback(releases, None, "me", "the first was better") == (second, "1")
        live.land("4.json", flat_tweet(5))
        until(lambda: row_count(pipeline.lake, GOLD_SENTIMENT.name) == 5, 240, "5 tweets in Gold")
    finally:
        runner.stopping.set()
        thread.join(60)
    assert not errors and not thread.is_alive()
    versions = {row["id"]: row["model_version"] for row in live.rows(GOLD_SENTIMENT)}
    assert versions == {"1": "1", "2": "1", "3": "1", "4": second, "5": "1"}


def test_a_stop_interrupts_waiting_for_a_model(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.settings.registry = f"sqlite:///{tmp_path / 'empty.db'}"
    pipeline.land("1.json", flat_tweet(1))
    stop, stopped_at = threading.Event(), list[float]()

    def stop_the_second_time(stream: str, _: str) -> None:
        """Stop at the second call: then Gold waits between two requests for a model."""
        if stream in waiting:
            stopped_at.append(time.monotonic())
            stop.set()
        waiting.add(stream)

    waiting = set[str]()
    runner = pipeline.runner(stop=stop, on_wait=stop_the_second_time)
    runner.run(pipeline.streams(), None)
    assert waiting == {"gold"} and time.monotonic() - stopped_at[0] < 25
    assert row_count(pipeline.lake, SILVER_TWEETS.name) == 1 and row_count(pipeline.lake, GOLD_SENTIMENT.name) == 0
    # The tweet was not skipped: it is scored once a model exists.
    pipeline.settings.registry = None
    pipeline.run_once()
    assert row_count(pipeline.lake, GOLD_SENTIMENT.name) == 1
