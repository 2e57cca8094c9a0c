"""The layout of the tables: few files for tweets of many days, and lakes of an earlier version."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import Result

from spark_apps import relayout as relayout_module
from spark_apps.demo.malformed import Expected
from spark_apps.gold.rescore import rescore
from spark_apps.gold.rewrite import RewrittenPart
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import open_existing_table
from spark_apps.lake.ranges import join_ranges
from spark_apps.lake.status import read_status
from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.registry.production import ensure_production
from spark_apps.relayout import RelayoutError, TableReport, relayout
from spark_apps.streaming.runner import StreamError
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, SILVER_TWEETS, Table
from tests.conftest import Pipeline
from tests.exactness import check
from tests.failing_writes import fail_write
from tests.lakes import flat_tweet

TABLES = (SILVER_TWEETS, GOLD_SENTIMENT, GOLD_TRENDS, GOLD_MENTIONS)
DAYS = 500


def land(pipeline: Pipeline, first: int, tweets: int) -> Expected:
    """Land `tweets` tweets with ids from `first`, one a day from 2016-01-01 on."""
    start = datetime(2016, 1, 1, tzinfo=UTC)
    lines = (
        flat_tweet(
            first + number,
            timestamp=f"{start + timedelta(days=number):%Y-%m-%dT%H:%M:%SZ}",
            full_text=f"I love @friend{number % 3} so much!",
        )
        for number in range(tweets)
    )
    pipeline.land(f"{first}.json", "".join(lines))
    return Expected(tweets, tweets)


def folders(pipeline: Pipeline, table: Table) -> list[str]:
    return [path.name for path in Path(table.path(pipeline.lake)).iterdir() if path.name.startswith("tweet_date=")]


@pytest.mark.slow
def test_tweets_of_hundreds_of_days_make_few_files(pipeline: Pipeline) -> None:
    expected = land(pipeline, 100_000, DAYS)
    pipeline.run_once()
    # The same days again: the MERGEs change rows of all days.
    expected += land(pipeline, 200_000, DAYS)
    pipeline.run_once()
    for name, table in read_status(pipeline.lake).tables.items():
        assert table.files <= 8, name
    assert not any(folders(pipeline, table) for table in TABLES)
    check(pipeline.spark, pipeline.lake, expected)
    status = read_status(pipeline.lake)
    assert all(status.tables[table.name].rows == len(pipeline.rows(table)) for table in TABLES)


@pytest.mark.parametrize("number", [0, 1, 32, 33, 10_000])
def test_neighbouring_ranges_are_joined(number: int) -> None:
    ranges = [(f"{start:06}", f"{start + 5:06}") for start in range(0, 10 * number, 10)]
    joined = join_ranges(reversed(ranges))
    assert len(joined) <= 32 and (number > 32 or joined == ranges)
    assert all(any(low <= first and last <= high for low, high in joined) for first, last in ranges)


@pytest.fixture
def by_day(pipeline: Pipeline) -> Pipeline:
    """A pipeline with a lake of an earlier version: a partition per day."""
    for table in TABLES:
        earlier = replace(table, partition="tweet_date", order=None, merged=False)
        delta_tables.create_or_evolve(pipeline.spark, pipeline.lake, earlier, pipeline.settings.retention_seconds)
    return pipeline


def partitions(pipeline: Pipeline) -> list[list[str]]:
    return [open_existing_table(pipeline.lake, table).metadata().partition_columns for table in TABLES]


@pytest.mark.slow
def test_the_streams_and_a_rescore_accept_a_partition_per_day(by_day: Pipeline, tmp_path: Path) -> None:
    expected = land(by_day, 100, 5)
    by_day.run_once()
    expected += land(by_day, 200, 5)
    by_day.run_once()
    registry = Registry(f"sqlite:///{tmp_path / 'registry.db'}", 60)
    ensure_production(registry, BUNDLED)
    by_day.settings.registry, by_day.settings.registry_timeout = registry.uri, 60
    reports: list[RewrittenPart] = []
    done = rescore(by_day.spark, by_day.settings, None, reports.append, Event())
    # One part: a part is limited by its rows, not by days.
    assert (done.tweets, done.parts) == (10, 1)
    assert "10 tweets of 2016-01-01 to 2016-01-05 in" in str(reports[0])
    expected += land(by_day, 300, 2)
    by_day.run_once()
    check(by_day.spark, by_day.lake, expected)
    assert partitions(by_day) == [["tweet_date"]] * 4 and len(folders(by_day, SILVER_TWEETS)) == 5


@pytest.mark.slow
def test_relayout_rewrites_the_tables_and_the_streams_continue(
    by_day: Pipeline, command: Callable[..., Result]
) -> None:
    expected = land(by_day, 100, 40)
    by_day.run_once()
    # Gold has not read these tweets yet.
    expected += land(by_day, 200, 40)
    by_day.run_once(*by_day.streams("bronze", "silver"))
    done = command("relayout", "--lake", by_day.lake, "--json")
    assert done.exit_code == 0, done.output
    assert [table["table"] for table in json.loads(done.stdout)["tables"]] == [table.name for table in TABLES]
    assert "silver/tweets: 80 files → 1 in" in done.stderr
    check(by_day.spark, by_day.lake, expected)
    status = read_status(by_day.lake)
    assert partitions(by_day) == [[]] * 4 and all(status.tables[table.name].files == 1 for table in TABLES)
    assert status.tables[GOLD_MENTIONS.name].newest == datetime(2016, 2, 9, tzinfo=UTC)

    # The streams read only new tweets.
    assert by_day.run_once() == []
    expected += land(by_day, 300, 40)
    by_day.run_once()
    check(by_day.spark, by_day.lake, expected)
    # The new files have statistics, `tweet_date` included.
    actions = pa.table(open_existing_table(by_day.lake, SILVER_TWEETS).get_add_actions(flatten=True))
    assert actions["max.tweet_date"].null_count == 0
    trends = read_status(by_day.lake).tables[GOLD_TRENDS.name]
    assert trends.rows == 40 and trends.files > 1

    again = command("relayout", "--lake", by_day.lake)
    assert again.exit_code == 0 and "all tables have the current layout" in again.stderr
    missing = command("relayout", "--lake", f"{by_day.lake}-typo")
    assert missing.exit_code == 2 and "-typo does not exist" in missing.stderr


@pytest.mark.slow
def test_relayout_continues_after_a_failure_around_any_write(by_day: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = land(by_day, 100, 10)
    by_day.run_once()
    for number, (table, when) in enumerate(((SILVER_TWEETS, "after"), (GOLD_SENTIMENT, "before"))):
        with monkeypatch.context() as patch:
            fail_write(patch, "replace", table, when)
            with pytest.raises(RuntimeError, match=f"failed {when} the commit of {table.name}"):
                relayout(by_day.spark, by_day.settings, lambda _: None, Event())
        # A person starts the streams too early: Gold refuses the rewritten table until the command is repeated.
        expected += land(by_day, 200 + 100 * number, 10)
        by_day.run_once(*by_day.streams("bronze", "silver"))
        if when == "after":
            with pytest.raises(StreamError, match=r"stream gold(, batch .*)? failed"):
                by_day.run_once()
            assert "DELTA_SCHEMA_CHANGED" in Path(by_day.lake, "checkpoints", "gold.error.json").read_text()
    stop, reports = Event(), list[TableReport]()

    def stop_after(report: TableReport) -> None:
        reports.append(report)
        stop.set()

    with pytest.raises(RelayoutError, match="stopped before it was finished: run it again"):
        relayout(by_day.spark, by_day.settings, stop_after, stop)
    assert [report.table for report in reports] == [GOLD_SENTIMENT.name]
    # A failure after the rewrite of all tables, before the streams have read past its commits.
    with monkeypatch.context() as patch:
        patch.setattr(relayout_module, "_run_readers", _failing_second(relayout_module._run_readers))
        with pytest.raises(RuntimeError, match="failed before the streams"):
            relayout(by_day.spark, by_day.settings, lambda _: None, Event())
    assert partitions(by_day) == [[]] * 4
    assert relayout(by_day.spark, by_day.settings, lambda _: None, Event()) == []
    expected += land(by_day, 900, 10)
    by_day.run_once()
    check(by_day.spark, by_day.lake, expected)


def _failing_second(run: Callable[..., None]) -> Callable[..., None]:
    """Return a function like `run` that fails at its second call."""
    calls: list[int] = []

    def wrapped(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("failed before the streams")
        run(*arguments)

    return wrapped
