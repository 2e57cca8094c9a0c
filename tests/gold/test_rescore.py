"""A rescore of a small history: labels, times, sums, what a kill leaves behind, and the streams afterwards."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pyspark.sql import Row

from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from spark_apps.gold import app
from spark_apps.gold import rescore as module
from spark_apps.gold.rescore import PartReport, Rescored, RescoreError, rescore
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import LakeError, batch_commits, open_table
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.scoring.description import EMBEDDINGS_FILE, MODEL_FILE, Description
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, Table
from tests.conftest import Place
from tests.exactness import check
from tests.process import Running, run
from tests.test_streams import flat

UNFINISHED = Path("checkpoints", "rescore.json")
OPPOSITE = {"negative": "positive", "neutral": "neutral", "positive": "negative"}


@pytest.fixture(scope="module")
def contrary(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry whose version in production, 2, calls negative what the bundled model calls positive, and so on."""
    home = tmp_path_factory.mktemp("registry")
    folder = home / "contrary"
    shutil.copytree(BUNDLED, folder)
    description = Description.read(folder)
    (folder / "description.json").unlink()
    # Without what would tell that it is not the model that it says it is.
    files = {name: sum_ for name, sum_ in description.checksums.items() if name in {MODEL_FILE, EMBEDDINGS_FILE}}
    replace(description, labels=description.labels[::-1], checksums=files).write(folder)
    registry = Registry(f"sqlite:///{home / 'registry.db'}", 60)
    registry.ensure_production(BUNDLED)
    registry.promote(registry.register(folder), "me", "to see the difference")
    return registry.uri


@pytest.fixture
def hourly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each hour be a part of its own."""
    monkeypatch.setattr(module, "_PART_TWEETS", 1)


def release(place: Place, registry: str) -> None:
    place.settings.registry, place.settings.registry_timeout = registry, 60


def land(place: Place, first: int, hours: int, day: str = "2026-01-01") -> Expected:
    """Land a tweet for each of so many hours of `day`, the first with the id `first`."""
    lines = [
        flat(first + hour, timestamp=f"{day}T{hour:02}:30:00Z", full_text=f"I love @friend{hour % 3} so much!")
        for hour in range(hours)
    ]
    place.land(f"{first}.json", "".join(lines))
    return Expected(hours, hours)


def again(place: Place, since: date | None = None, stop: Event | None = None) -> tuple[Rescored, list[PartReport]]:
    reports: list[PartReport] = []
    done = rescore(place.spark, place.settings, since, reports.append, stop or Event())
    return done, reports


def by_id(place: Place) -> dict[str, Row]:
    return {row["id"]: row for row in place.rows(GOLD_SENTIMENT)}


def versions(place: Place) -> dict[str, int | None]:
    return {name: table.version for name, table in read_status(place.lake).tables.items()}


def test_history_gets_the_labels_of_the_version_in_production(place: Place, contrary: str) -> None:
    generator = Generator(4, mix=Mix(duplicates=0.1, late=0.1))
    expected = Expected()
    for file in generator.files(300, 100):
        place.land(file.name, file.data)
        expected += file.expected
    # Its date is that of its id, which is not that of its timestamp.
    place.land("snowflake.json", flat(1_050_118_621_198_921_728))
    expected += Expected(1, 1)
    place.once(*place.layers())
    before, totals = by_id(place), read_status(place.lake).tables[GOLD_SENTIMENT.name].totals

    release(place, contrary)
    done, reports = again(place)
    after = by_id(place)
    assert (done.model_version, done.tweets, done.parts) == ("2", expected.tweets, len(reports))
    assert (reports[-1].done, reports[-1].to_do) == (expected.tweets, expected.tweets)
    for id_, row in after.items():
        for label, opposite in OPPOSITE.items():
            assert row[label] == pytest.approx(before[id_][opposite], abs=0.1)
        assert row["score"] == row[row["label"]] == max(row[label] for label in OPPOSITE)
        assert (row["model"], row["model_version"]) == ("tweet-sentiment", "2")
        assert row["scored_at"] == before[id_]["scored_at"] < row["rescored_at"]
    check(place.spark, place.lake, expected)
    assert read_status(place.lake).tables[GOLD_SENTIMENT.name].totals == totals
    assert not Path(place.lake, UNFINISHED).exists()

    # Done again there is nothing to do, and the streams have nothing to read.
    stood = versions(place)
    assert again(place)[0].parts == 0
    assert place.once(*place.layers()) == [] and versions(place) == stood

    expected += land(place, 1, 3)
    place.once(*place.layers())
    check(place.spark, place.lake, expected)
    new = [row for id_, row in by_id(place).items() if id_ not in before]
    assert [(row["model_version"], row["rescored_at"]) for row in new] == [("2", None)] * 3


@pytest.mark.usefixtures("hourly")
def test_it_goes_on_after_a_failure_around_any_write(
    place: Place, contrary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write in turn fails before or after its commit, as by a kill, and each time less is left to do."""
    expected = land(place, 100, 6)
    place.once(*place.layers())
    release(place, contrary)
    left = []
    for table in (GOLD_SENTIMENT, GOLD_TRENDS, GOLD_MENTIONS):
        for when in ("before", "after"):
            with monkeypatch.context() as patch:
                patch.setattr(TableWriter, "replace", _failing(TableWriter.replace, table, when))
                with pytest.raises(RuntimeError, match=f"struck {when} {table.name}"):
                    again(place)
            assert Path(place.lake, UNFINISHED).exists()
            left.append(sum(row["model_version"] != "2" for row in place.rows(GOLD_SENTIMENT)))
        # Somebody lets the streams run in between.
        expected += land(place, 200 + 10 * len(left), 1, "2026-01-02")
        place.once(*place.layers())
    assert left == [5, 3, 0, 0, 0, 0]
    assert again(place)[0].tweets == 0
    check(place.spark, place.lake, expected)
    assert not Path(place.lake, UNFINISHED).exists()


def _failing(write: Callable[..., None], table: Table, when: str) -> Callable[..., None]:
    """Return `write` as it is when a kill strikes: with the second part, or with the aggregate."""

    def wrapped(self: TableWriter, rows: Any, number: int, *where: str) -> None:
        struck = self.table.name == table.name and (number == 1 or table is not GOLD_SENTIMENT)
        if not struck or when == "after":
            write(self, rows, number, *where)
        if struck:
            raise RuntimeError(f"struck {when} {table.name}")

    return wrapped


@pytest.mark.usefixtures("hourly")
def test_streams_find_their_batches_below_many_parts(place: Place, contrary: str) -> None:
    expected = land(place, 100, 24) + land(place, 200, 3, "2026-01-02")
    place.once(*place.layers())
    (checkpoint,) = {commit.metadata.app for commit in batch_commits(open_table(place.lake, GOLD_SENTIMENT))}  # type: ignore[arg-type]
    release(place, contrary)
    _, reports = again(place)
    # The newest first.
    assert len(reports) == 27 and (reports[0].day, reports[-1].day) == ("2026-01-02", "2026-01-01")
    assert "part 27 of 27: 1 tweets of 2026-01-01 in " in str(reports[-1]) and "100% of 27" in str(reports[-1])
    last = read_status(place.lake).tables[GOLD_SENTIMENT.name].last_batch
    assert last and (last.query, last.counts) == ("rescore", {})
    writer = TableWriter(place.lake, GOLD_SENTIMENT, "gold", checkpoint)
    assert writer.is_committed(0) and not writer.is_committed(9)
    expected += land(place, 300, 2)
    place.once(*place.layers())
    assert place.once(*place.layers()) == []
    check(place.spark, place.lake, expected)


def test_a_lake_from_before_there_were_rescores(place: Place, contrary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = tuple(column for column in GOLD_SENTIMENT.columns if column.name != "rescored_at")
    with monkeypatch.context() as patch:
        patch.setattr(app, "GOLD_SENTIMENT", replace(GOLD_SENTIMENT, columns=columns))
        expected = land(place, 100, 2)
        place.once(*place.layers())
        assert "rescored_at" not in place.rows(GOLD_SENTIMENT)[0]
    release(place, contrary)
    assert again(place)[0].tweets == 2
    expected += land(place, 200, 2)
    place.once(*place.layers())
    found = by_id(place)
    assert {id_ for id_, row in found.items() if row["rescored_at"] is not None} == {"100", "101"}
    check(place.spark, place.lake, expected)


def test_since_leaves_older_days_as_they_are(place: Place, contrary: str) -> None:
    expected = land(place, 100, 2) + land(place, 200, 2, "2026-01-02") + land(place, 300, 1, "2026-01-03")
    place.once(*place.layers())
    release(place, contrary)
    done, reports = again(place, date(2026, 1, 2))
    assert (done.tweets, [report.day for report in reports]) == (3, ["2026-01-03", "2026-01-02"])
    found = by_id(place)
    assert {id_ for id_, row in found.items() if row["model_version"] == "2"} == {"200", "201", "300"}
    assert all((row["rescored_at"] is None) == (row["model_version"] != "2") for row in found.values())
    check(place.spark, place.lake, expected)


def test_tweets_of_the_version_are_left_as_they_are(place: Place, contrary: str) -> None:
    """In an hour that has tweets of both versions, only those of the other one are scored."""
    expected = land(place, 100, 1)
    place.once(*place.layers())
    release(place, contrary)
    expected += land(place, 200, 1)
    place.once(*place.layers())
    before = by_id(place)
    assert again(place)[0].tweets == 1
    after = by_id(place)
    assert after["200"] == before["200"] and after["100"]["model_version"] == "2"
    check(place.spark, place.lake, expected)


@pytest.mark.usefixtures("hourly")
def test_a_stop_ends_it_after_the_part_in_flight(place: Place, contrary: str) -> None:
    expected = land(place, 100, 3)
    place.once(*place.layers())
    release(place, contrary)
    stop = Event()
    with pytest.raises(RescoreError, match=r"with 2 of 3 parts to go: the same command goes on"):
        rescore(place.spark, place.settings, None, lambda _: stop.set(), stop)
    assert sum(row["model_version"] == "2" for row in place.rows(GOLD_SENTIMENT)) == 1
    assert again(place)[0].tweets == 2
    check(place.spark, place.lake, expected)


@pytest.mark.usefixtures("hourly")
def test_a_second_process_on_the_table_ends_it(place: Place, contrary: str) -> None:
    land(place, 100, 3)
    place.once(*place.layers())
    release(place, contrary)
    row = delta_tables.read(place.spark, place.lake, GOLD_SENTIMENT).limit(1)
    other = TableWriter(place.lake, GOLD_SENTIMENT, "gold", "gold:other")
    written: list[PartReport] = []

    def interfere(report: PartReport) -> None:
        written.append(report)
        TableWriter(place.lake, GOLD_SENTIMENT, "gold", "gold:other").append(row, 7, {"rows": 1})

    with pytest.raises(LakeError, match=r"gold/sentiment was written by another process .*batch 7 of gold"):
        rescore(place.spark, place.settings, None, interfere, Event())
    assert len(written) == 1
    with pytest.raises(LakeError, match="was written by another process"):
        other.append(row, 8, {"rows": 1})


def test_what_cannot_work_is_named(place: Place) -> None:
    with pytest.raises(LakeError, match=r"gold/sentiment is not there yet: run the streams"):
        again(place)
    place.settings.registry, place.settings.registry_timeout = "http://127.0.0.1:9", 1
    with pytest.raises(RescoreError, match=r"no model to rescore with: .*Release one"):
        again(place)


@pytest.mark.timeout(600)
@pytest.mark.timeout(600)
def test_the_command(place: Place, contrary: str, tmp_path: Path) -> None:
    done = run("rescore", "--lake", place.lake, "--since", "yesterday")
    assert done.returncode == 2 and "--since yesterday: write a day such as 2026-01-31" in done.stderr
    days = 5
    for day in range(1, days + 1):
        land(place, day * 100, 1, f"2026-01-{day:02}")
    place.once(*place.layers())
    arguments = ("rescore", "--lake", place.lake, "--since", "2026-01-01")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWEETS_REGISTRY", contrary)
        patch.setenv("TWEETS_REGISTRY_TIMEOUT", "60")
        running = Running(tmp_path / "rescore.log", *arguments)
        running.wait_for(f"part 1 of {days}: 1 tweets of 2026-01-{days:02}")
        assert running.interrupt(60) == 1
        assert "the same command goes on from here" in running.said
        done = run(*arguments, "--json", env={"TWEETS_MONITOR_PORT": "8090"})
    assert done.returncode == 0, done.stderr
    *parts, result = (json.loads(line) for line in done.stdout.splitlines())
    assert 0 < len(parts) < days
    assert (parts[-1]["event"], parts[-1]["day"], parts[-1]["done"]) == ("rescored", "2026-01-01", len(parts))
    assert (result["tweets"], result["model_version"], result["parts"]) == (len(parts), "2", len(parts))
    check(place.spark, place.lake, Expected(days, days))
