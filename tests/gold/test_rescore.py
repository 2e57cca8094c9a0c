"""A rescore of a small history: labels, times, sums, recovery after a kill, and the streams afterwards."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Event

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from typer.testing import Result

from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from spark_apps.gold import app, parts
from spark_apps.gold.rescore import RescoreResult, rescore
from spark_apps.gold.rewrite import RewriteError, RewrittenPart
from spark_apps.lake import commits, delta_tables
from spark_apps.lake.commits import LakeError, batch_commits, open_table
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.registry.production import ensure_production, promote
from spark_apps.scoring.description import EMBEDDINGS_FILE, MODEL_FILE, Description
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, Table
from tests import process
from tests.conftest import Pipeline, open_pipeline
from tests.exactness import check
from tests.failing_writes import fail_write
from tests.lakes import flat_tweet
from tests.process import Running

pytestmark = pytest.mark.slow

HOURLY = "from spark_apps.gold import parts; parts._PART_ROWS = 1"
HOURLY_COMMAND = [sys.executable, "-c", f"{HOURLY}; from spark_apps.cli.entry import main; main()"]
UNFINISHED = Path("checkpoints", "rescore.json")
OPPOSITE = {"negative": "positive", "neutral": "neutral", "positive": "negative"}


@pytest.fixture(scope="module")
def inverted_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry whose version in production, 2, is the bundled model with the labels negative and positive swapped."""
    home = tmp_path_factory.mktemp("registry")
    folder = home / "inverted_model"
    shutil.copytree(BUNDLED, folder)
    description = Description.read(folder)
    (folder / "description.json").unlink()
    # Without the check file, which would reveal that the labels are swapped.
    files = {name: sum_ for name, sum_ in description.checksums.items() if name in {MODEL_FILE, EMBEDDINGS_FILE}}
    replace(description, labels=description.labels[::-1], checksums=files).write(folder)
    registry = Registry(f"sqlite:///{home / 'registry.db'}", 60)
    ensure_production(registry, BUNDLED)
    promote(registry, registry.register(folder), "me", "to see the difference")
    return registry.uri


@pytest.fixture
def hourly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the parts of a rescore to one hour each."""
    monkeypatch.setattr(parts, "_PART_ROWS", 1)


def release(pipeline: Pipeline, registry: str) -> None:
    pipeline.settings.registry, pipeline.settings.registry_timeout = registry, 60


def land(pipeline: Pipeline, first: int, hours: int, day: str = "2026-01-01") -> Expected:
    """Land one tweet for each of the first `hours` hours of `day`, with ids from `first`."""
    lines = [
        flat_tweet(first + hour, timestamp=f"{day}T{hour:02}:30:00Z", full_text=f"I love @friend{hour % 3} so much!")
        for hour in range(hours)
    ]
    pipeline.land(f"{first}.json", "".join(lines))
    return Expected(hours, hours)


HISTORY = Expected(7, 7)


@pytest.fixture(scope="module")
def history_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake with seven tweets in seven hours of five days, which the bundled model scored."""
    with open_pipeline(spark, tmp_path_factory.mktemp("history")) as pipeline:
        for day, hours in enumerate((2, 2, 1, 1, 1), start=1):
            land(pipeline, 100 * day, hours, f"2026-01-{day:02}")
        pipeline.run_once()
        return Path(pipeline.lake)


@pytest.fixture
def history(spark: SparkSession, tmp_path: Path, history_lake: Path, inverted_model: str) -> Iterator[Pipeline]:
    """A pipeline with a copy of the history, after the release of the inverted model."""
    with open_pipeline(spark, tmp_path, history_lake) as pipeline:
        release(pipeline, inverted_model)
        yield pipeline


def rescore_again(
    pipeline: Pipeline, since: date | None = None, stop: Event | None = None
) -> tuple[RescoreResult, list[RewrittenPart]]:
    reports: list[RewrittenPart] = []
    done = rescore(pipeline.spark, pipeline.settings, since, reports.append, stop or Event())
    return done, reports


def by_id(pipeline: Pipeline) -> dict[str, Row]:
    return {row["id"]: row for row in pipeline.rows(GOLD_SENTIMENT)}


def test_the_history_gets_the_labels_of_the_version_in_production(pipeline: Pipeline, inverted_model: str) -> None:
    generator = Generator(4, mix=Mix(duplicates=0.1, late=0.1))
    expected = Expected()
    for file in generator.files(300, 100):
        pipeline.land(file.name, file.data)
        expected += file.expected
    # The creation date encoded in this id differs from the date of the timestamp.
    pipeline.land("snowflake.json", flat_tweet(1_050_118_621_198_921_728))
    expected += Expected(1, 1)
    pipeline.run_once()
    before, totals = by_id(pipeline), read_status(pipeline.lake).tables[GOLD_SENTIMENT.name].totals

    release(pipeline, inverted_model)
    done, reports = rescore_again(pipeline)
    after = by_id(pipeline)
    assert (done.model_version, done.tweets, done.parts) == ("2", expected.tweets, len(reports))
    assert (reports[-1].done, reports[-1].to_do) == (expected.tweets, expected.tweets)
    for id_, row in after.items():
        for label, opposite in OPPOSITE.items():
            assert row[label] == pytest.approx(before[id_][opposite], abs=0.1)
        assert row["score"] == row[row["label"]] == max(row[label] for label in OPPOSITE)
        assert (row["model"], row["model_version"]) == ("tweet-sentiment", "2")
        assert row["scored_at"] == before[id_]["scored_at"] < row["rescored_at"]
    check(pipeline.spark, pipeline.lake, expected)
    assert read_status(pipeline.lake).tables[GOLD_SENTIMENT.name].totals == totals
    assert not Path(pipeline.lake, UNFINISHED).exists()

    # A repetition does nothing, and the streams have nothing to read.
    before_repetition = pipeline.versions()
    assert rescore_again(pipeline)[0].parts == 0
    assert pipeline.run_once() == [] and pipeline.versions() == before_repetition

    expected += land(pipeline, 1, 3)
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, expected)
    new = [row for id_, row in by_id(pipeline).items() if id_ not in before]
    assert [(row["model_version"], row["rescored_at"]) for row in new] == [("2", None)] * 3


@pytest.mark.usefixtures("hourly")
def test_a_rescore_continues_after_a_failure_around_any_write(
    history: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write fails once before and once after its commit, as by a kill; less work is left each time."""
    expected = HISTORY
    left = []
    for table in (GOLD_SENTIMENT, GOLD_TRENDS, GOLD_MENTIONS):

        def is_struck(_rows: DataFrame, number: int, *_: object, table: Table = table) -> bool:
            return table is not GOLD_SENTIMENT or number == 1  # the second part, or an aggregate

        for when in ("before", "after"):
            with monkeypatch.context() as patch:
                fail_write(patch, "replace", table, when, is_struck)
                with pytest.raises(RuntimeError, match=f"failed {when} the commit of {table.name}"):
                    rescore_again(history)
            assert Path(history.lake, UNFINISHED).exists()
            left.append(sum(row["model_version"] != "2" for row in history.rows(GOLD_SENTIMENT)))
        # The streams run between two attempts.
        expected += land(history, 600 + 10 * len(left), 1, "2026-02-01")
        history.run_once()
    assert left == [6, 4, 0, 0, 0, 0]
    assert rescore_again(history)[0].tweets == 0
    check(history.spark, history.lake, expected)
    assert not Path(history.lake, UNFINISHED).exists()


@pytest.mark.usefixtures("hourly")
def test_streams_find_their_last_batch_before_many_rescore_commits(
    history: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A rescore makes more commits than this: the last batch of the stream is not among the commits that are read first.
    monkeypatch.setattr(commits, "_PARALLEL_READS", 3)
    (checkpoint,) = {commit.metadata.app for commit in batch_commits(open_table(history.lake, GOLD_SENTIMENT))}  # type: ignore[arg-type]
    _, reports = rescore_again(history)
    # The newest part comes first.
    assert len(reports) == 7 and (reports[0].day, reports[-1].day) == ("2026-01-05", "2026-01-01")
    assert "part 7 of 7: 1 tweets of 2026-01-01 in " in str(reports[-1]) and "100% of 7" in str(reports[-1])
    last = read_status(history.lake).tables[GOLD_SENTIMENT.name].last_batch
    assert last and (last.query, last.counts) == ("rescore", {})
    writer = TableWriter(history.lake, GOLD_SENTIMENT, "gold", checkpoint)
    assert writer.is_committed(0) and not writer.is_committed(9)
    expected = HISTORY + land(history, 600, 2)
    history.run_once()
    assert history.run_once() == []
    check(history.spark, history.lake, expected)


def test_a_lake_without_the_column_rescored_at_is_rescored(
    pipeline: Pipeline, inverted_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = tuple(column for column in GOLD_SENTIMENT.columns if column.name != "rescored_at")
    with monkeypatch.context() as patch:
        patch.setattr(app, "GOLD_SENTIMENT", replace(GOLD_SENTIMENT, columns=columns))
        expected = land(pipeline, 100, 2)
        pipeline.run_once()
        assert "rescored_at" not in pipeline.rows(GOLD_SENTIMENT)[0]
    release(pipeline, inverted_model)
    assert rescore_again(pipeline)[0].tweets == 2
    expected += land(pipeline, 200, 2)
    pipeline.run_once()
    rows = by_id(pipeline)
    assert {id_ for id_, row in rows.items() if row["rescored_at"] is not None} == {"100", "101"}
    check(pipeline.spark, pipeline.lake, expected)


def test_since_leaves_older_days_unchanged(history: Pipeline) -> None:
    done, reports = rescore_again(history, date(2026, 1, 2))
    assert (done.tweets, [(report.day, report.last_day) for report in reports]) == (5, [("2026-01-02", "2026-01-05")])
    rows = by_id(history)
    assert {id_ for id_, row in rows.items() if row["model_version"] == "2"} == {"200", "201", "300", "400", "500"}
    assert all((row["rescored_at"] is None) == (row["model_version"] != "2") for row in rows.values())
    check(history.spark, history.lake, HISTORY)


def test_tweets_of_the_version_in_production_are_left_unchanged(history: Pipeline) -> None:
    """In an hour with tweets of both versions, only the tweets of the old version are scored again."""
    expected = HISTORY + land(history, 600, 1)
    history.run_once()
    before = by_id(history)
    assert rescore_again(history)[0].tweets == HISTORY.tweets
    after = by_id(history)
    assert after["600"] == before["600"] and after["100"]["model_version"] == "2"
    check(history.spark, history.lake, expected)


@pytest.mark.usefixtures("hourly")
def test_a_stop_ends_a_rescore_after_the_current_part(history: Pipeline) -> None:
    stop, since = Event(), date(2026, 1, 3)
    with pytest.raises(RewriteError, match=r"with 2 of 3 parts left: run the same command"):
        rescore(history.spark, history.settings, since, lambda _: stop.set(), stop)
    assert sum(row["model_version"] == "2" for row in history.rows(GOLD_SENTIMENT)) == 1
    assert rescore_again(history, since)[0].tweets == 2
    check(history.spark, history.lake, HISTORY)


@pytest.mark.usefixtures("hourly")
def test_a_second_writer_on_the_table_ends_a_rescore(history: Pipeline) -> None:
    row = delta_tables.read(history.spark, history.lake, GOLD_SENTIMENT).limit(1)
    other = TableWriter(history.lake, GOLD_SENTIMENT, "gold", "gold:other")
    written: list[RewrittenPart] = []

    def interfere(report: RewrittenPart) -> None:
        written.append(report)
        TableWriter(history.lake, GOLD_SENTIMENT, "gold", "gold:other").append(row, 7, {"rows": 1})

    with pytest.raises(LakeError, match=r"gold/sentiment was written by another process .*batch 7 of gold"):
        rescore(history.spark, history.settings, None, interfere, Event())
    assert len(written) == 1
    with pytest.raises(LakeError, match="was written by another process"):
        other.append(row, 8, {"rows": 1})


def test_a_missing_table_and_a_missing_model_are_reported(pipeline: Pipeline) -> None:
    with pytest.raises(LakeError, match=r"gold/sentiment does not exist yet: run the streams"):
        rescore_again(pipeline)
    pipeline.settings.registry, pipeline.settings.registry_timeout = "http://127.0.0.1:9", 1
    with pytest.raises(RewriteError, match=r"no model to rescore with \(.*release a model"):
        rescore_again(pipeline)


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("hourly")
def test_the_rescore_command_continues_after_an_interrupt(
    history: Pipeline, command: Callable[..., Result], inverted_model: str, tmp_path: Path
) -> None:
    refused = command("rescore", "--lake", history.lake, "--since", "yesterday")
    assert refused.exit_code == 2 and "--since yesterday is not a date: write a day such as" in refused.stderr
    arguments = ("rescore", "--lake", history.lake, "--since", "2026-01-01")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWEETS_REGISTRY", inverted_model)
        patch.setenv("TWEETS_REGISTRY_TIMEOUT", "60")
        patch.setattr(process, "COMMAND", HOURLY_COMMAND)
        running = Running(tmp_path / "rescore.log", *arguments)
        running.wait_for("part 1 of 7: 1 tweets of 2026-01-05")
        assert running.interrupt(60) == 1
        assert "run the same command to continue" in running.output
        done = command(*arguments, "--json", TWEETS_MONITOR_PORT="8090")
    assert done.exit_code == 0, done.output
    *parts, result = (json.loads(line) for line in done.stdout.splitlines())
    assert 0 < len(parts) < 7
    tweets = sum(part["tweets"] for part in parts)
    assert (parts[-1]["event"], parts[-1]["day"], parts[-1]["done"]) == ("rescored", "2026-01-01", tweets)
    assert (result["tweets"], result["model_version"], result["parts"]) == (tweets, "2", len(parts))
    check(history.spark, history.lake, HISTORY)
