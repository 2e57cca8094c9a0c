"""`quarantine replay` moves quarantined tweets to silver/tweets, and the sums stay exact."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event

import pytest
from pyspark.sql import Row, SparkSession
from typer.testing import Result

from spark_apps.demo.malformed import Expected
from spark_apps.erasure.request import make_request
from spark_apps.lake.status import read_status
from spark_apps.silver import replay as module
from spark_apps.silver import transform
from spark_apps.silver.replay import ReplayCounts, ReplayedPart, ReplayError, replay
from spark_apps.tables import GOLD_SENTIMENT, QUARANTINE, SILVER_TWEETS, Table
from tests.conftest import Pipeline
from tests.exactness import check
from tests.failing_writes import fail_write
from tests.silver.lake import POSTS, copy_of, declare_format, write_lake
from tests.streaming.test_poison import poison_each

pytestmark = pytest.mark.slow

# The lake as if the declared format had been known from the beginning.
REPLAYED = Expected(documents=16, tweets=10, duplicates=4, quarantine=Counter({"cut_off": 1, "no_tweets": 1}))
MOVED = ReplayCounts(rows=2, moved=2, tweets=1, duplicates=1)


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lake(spark, tmp_path_factory.mktemp("lake"))


@pytest.fixture
def pipeline(spark: SparkSession, tmp_path: Path, lake: Path) -> Iterator[Pipeline]:
    with copy_of(spark, lake, tmp_path) as pipeline:
        declare_format(pipeline, tmp_path)
        yield pipeline


def replay_rows(
    pipeline: Pipeline, reasons: Sequence[str] = ("not_a_tweet",), since: date | None = None, stop: Event | None = None
) -> tuple[ReplayCounts, list[ReplayedPart]]:
    reports: list[ReplayedPart] = []
    return replay(pipeline.spark, pipeline.settings, reasons, since, reports.append, stop or Event()), reports


def tweet(pipeline: Pipeline, id_: str, table: Table = SILVER_TWEETS) -> Row:
    (row,) = (row for row in pipeline.rows(table) if row["id"] == id_)
    return row


def test_tweets_move_to_silver_and_gold_labels_them(pipeline: Pipeline) -> None:
    moved, reports = replay_rows(pipeline)
    assert (moved, [report.moved for report in reports]) == (MOVED, [MOVED])
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, REPLAYED)
    row, other = tweet(pipeline, "901"), tweet(pipeline, "1")
    # The document was read with tweet 1, long before the replay.
    assert (row["landed_at"], row["ingested_at"]) == (other["landed_at"], other["ingested_at"])
    assert (row["format"], row["full_text"], row["mentions"]) == ("notes", "lovely @bo", ["bo"])
    assert tweet(pipeline, "901", GOLD_SENTIMENT)["label"] == "positive"

    before = pipeline.versions()
    assert replay_rows(pipeline) == (ReplayCounts(), [])
    assert pipeline.versions() == before


def test_rows_without_a_tweet_stay(pipeline: Pipeline) -> None:
    before = pipeline.versions()
    assert replay_rows(pipeline, ["cut_off", "no_tweets"])[0] == ReplayCounts(rows=2)
    assert pipeline.versions() == before


def test_since_leaves_earlier_rows(pipeline: Pipeline) -> None:
    assert replay_rows(pipeline, since=datetime.now(UTC).date())[0] == ReplayCounts()


# Between the two commits, and after them.
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failed_replay_is_finished_by_the_next_one(pipeline: Pipeline, when: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fail_write(patch, "replace", QUARANTINE, when)
        with pytest.raises(RuntimeError, match=f"failed {when} the commit of silver/quarantine"):
            replay_rows(pipeline)
    # The stream may run in between, and reject records of the same hour.
    pipeline.land("third.json", "[]\n")
    pipeline.run_once()
    replay_rows(pipeline)
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, REPLAYED + Expected(1, quarantine=Counter({"no_tweets": 1})))


def test_an_abandoned_replay_leaves_exact_totals(pipeline: Pipeline) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fail_write(patch, "append", SILVER_TWEETS, "after")
        with pytest.raises(RuntimeError, match="failed after the commit of silver/tweets"):
            replay_rows(pipeline)
    # Another replay may come next: the tweet is in silver/tweets, and its record is still in the quarantine.
    assert replay_rows(pipeline, ["no_tweets"])[0] == ReplayCounts(rows=1)
    totals = read_status(pipeline.lake).tables[SILVER_TWEETS.name].totals
    assert (totals["rows"], totals["duplicates"]) == (10, 2)  # their sum with the rejects is the number of records
    assert replay_rows(pipeline)[0] == ReplayCounts(rows=2, moved=2, duplicates=2)
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, REPLAYED)


def test_a_stopped_replay_continues(pipeline: Pipeline) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(ReplayError, match="stopped with 1 of 1 parts left: run the same command to continue"):
        replay_rows(pipeline, stop=stop)
    assert replay_rows(pipeline)[0] == MOVED


def test_a_part_is_read_at_a_time(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PART_ROWS", 1)
    pipeline.settings.formats = None
    pipeline.land("third.json", json.dumps(POSTS[0]) + "\n")
    pipeline.run_once()
    declare_format(pipeline, Path(pipeline.landing).parent)
    moved, reports = replay_rows(pipeline)
    assert [report.moved.rows for report in reports] == [2, 1]
    assert (moved.tweets, moved.duplicates) == (1, 2)
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, REPLAYED + Expected(1, duplicates=1))


def test_a_row_with_replaced_bytes_is_not_read(pipeline: Pipeline) -> None:
    pipeline.settings.formats = None
    pipeline.land("third.json", json.dumps(POSTS[0] | {"number": 902}).encode().replace(b"lovely", b"caf\xe9") + b"\n")
    pipeline.run_once()
    declare_format(pipeline, Path(pipeline.landing).parent)
    assert replay_rows(pipeline)[0] == MOVED


def test_an_erased_tweet_leaves_the_quarantine_but_does_not_come_back(pipeline: Pipeline) -> None:
    pipeline.settings.formats = None
    pipeline.land("erasure.json", json.dumps(make_request([], ["ann"], "a request").to_json()))
    pipeline.run_once()
    pipeline.land("third.json", json.dumps(POSTS[0]) + "\n")
    pipeline.run_once()
    declare_format(pipeline, Path(pipeline.landing).parent)
    moved, _ = replay_rows(pipeline)
    assert (moved.tweets, moved.duplicates) == (0, 0) and moved.erased > 0
    assert "901" not in {row["id"] for row in pipeline.rows(SILVER_TWEETS)}
    # The erasure had removed the texts of the other rows.
    assert {row["raw"] for row in pipeline.rows(QUARANTINE) if row["reason"] == "not_a_tweet"} == {None}


def test_a_row_that_ends_its_task_stays(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.settings.formats = None
    pipeline.land("third.json", json.dumps(POSTS[0] | {"number": 903, "note": "POISON"}) + "\n")
    pipeline.run_once()
    declare_format(pipeline, Path(pipeline.landing).parent)
    poison_each(monkeypatch, transform, "_reader")
    assert (replay_rows(pipeline)[0].tweets, read_status(pipeline.lake).quarantine["not_a_tweet"]) == (1, 1)


def test_the_command(command: Callable[..., Result], pipeline: Pipeline) -> None:
    arguments = ("quarantine", "replay", "--lake", pipeline.lake, "--reason")
    done = command(*arguments, "not_a_tweet", "--json", TWEETS_FORMATS=str(pipeline.settings.formats))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tweets"] == 1 and "2 of 2 rows had tweets: 1 new, 1 duplicates" in done.stderr
    refused = command(*arguments, "not_a_twet")
    assert refused.exit_code == 1 and "unknown reason not_a_twet: the reasons are" in refused.stderr
