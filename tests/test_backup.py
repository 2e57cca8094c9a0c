"""A backup is taken while the streams run. The restored lake loses no tweet and counts none twice."""

import shutil
import threading
from pathlib import Path

import pytest
from deltalake import DeltaTable

from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from spark_apps.gold import app as gold
from spark_apps.lake.backup import back_up, restore
from spark_apps.lake.status import read_status
from spark_apps.settings import Settings
from spark_apps.silver import app as silver
from spark_apps.streaming.runner import StreamError
from spark_apps.tables import (
    BRONZE_TWEETS,
    GOLD_MENTIONS,
    GOLD_SENTIMENT,
    GOLD_TRENDS,
    QUARANTINE,
    SILVER_TWEETS,
    TABLES,
    Table,
)
from tests.conftest import Pipeline
from tests.exactness import assert_aggregates_match, check
from tests.test_erasure import request, tweet
from tests.waiting import until

pytestmark = pytest.mark.slow

MIX = Mix(duplicates=0.1, malformed=0.1)


class Feed:
    """Lands generated files and adds up what to expect of them."""

    def __init__(self, pipeline: Pipeline, seed: int) -> None:
        self._pipeline = pipeline
        self._generator = Generator(seed, mix=MIX)
        self.expected = Expected()

    def land(self, tweets: int) -> None:
        for file in self._generator.files(tweets, 20):
            self._pipeline.land(file.name, file.data)
            self.expected += file.expected


def restored(pipeline: Pipeline, backup: Path, lake: Path) -> Pipeline:
    """Restore a backup to another place, with the landing of the original."""
    restore(str(backup), str(lake))
    return Pipeline(pipeline.spark, Settings(landing=pipeline.landing, lake=str(lake)))


def wait_for_commit(pipeline: Pipeline, table: Table) -> None:
    before = pipeline.versions()[table.name]
    until(lambda: pipeline.versions()[table.name] != before, 300, f"a commit of {table.name}", every=0.01)


def lose_lake(pipeline: Pipeline) -> None:
    shutil.rmtree(pipeline.lake)
    # In reality the streams start in a new JVM.
    pipeline.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]


def test_backups_of_running_streams_are_exact(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Take backups just after commits of four tables; restore them in other places, and in the same place."""
    monkeypatch.setattr(gold, "_AGGREGATES_TRIGGER", "0 seconds")
    feed, runner = Feed(pipeline, seed=1), pipeline.runner()
    feed.land(60)
    pipeline.run_once()
    streams = threading.Thread(target=runner.run, args=(pipeline.streams(), "0 seconds"))
    streams.start()
    try:
        for name, table in (
            ("first", QUARANTINE),
            ("updated", BRONZE_TWEETS),
            ("updated", GOLD_SENTIMENT),
            ("last", GOLD_TRENDS),
        ):
            feed.land(60)
            wait_for_commit(pipeline, table)
            back_up(pipeline.lake, str(tmp_path / name))
    finally:
        runner.stopping.set()
        streams.join()
    feed.land(60)
    for name in ("first", "updated"):
        lake = restored(pipeline, tmp_path / name, tmp_path / "restored" / name)
        assert read_status(lake.lake).tables[BRONZE_TWEETS.name].rows < feed.expected.documents
        lake.run_once()
        check(pipeline.spark, lake.lake, feed.expected)
    lose_lake(pipeline)
    restore(str(tmp_path / "last"), pipeline.lake)
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, feed.expected)


@pytest.mark.parametrize(
    ("stream", "module", "function"),
    [("silver", silver, "distinct_tweets"), ("gold-aggregates", gold, "_merge_mentions")],
)
def test_a_half_committed_batch_is_completed_after_the_restore(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str, module: object, function: str
) -> None:
    feed = Feed(pipeline, seed=2)
    feed.land(60)
    pipeline.run_once()
    feed.land(60)
    with monkeypatch.context() as patch, pytest.raises(StreamError, match=rf"stream {stream}(, batch .*)? failed"):
        patch.setattr(module, function, lambda *_: 1 / 0)
        pipeline.run_once()
    back_up(pipeline.lake, str(tmp_path / "backup"))
    lake = restored(pipeline, tmp_path / "backup", tmp_path / "restored")
    lake.run_once()
    check(pipeline.spark, lake.lake, feed.expected)


def test_an_erasure_after_the_backup_is_applied_again(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.land("1.json", tweet(1) + tweet(2))
    pipeline.run_once()
    for table in (BRONZE_TWEETS, GOLD_SENTIMENT):  # as after a cleanup of the log, which then begins with a checkpoint
        DeltaTable(table.path(pipeline.lake)).create_checkpoint()
        Path(table.path(pipeline.lake), "_delta_log", f"{0:020}.json").unlink()
    back_up(pipeline.lake, str(tmp_path / "backup"))
    pipeline.land("2.json", tweet(3))
    pipeline.land("3.json", request(["2", "3"]))
    for _ in range(2):
        pipeline.run_once()
        assert [row["id"] for row in pipeline.rows(GOLD_SENTIMENT)] == ["1"]
        assert not any("tweet 2" in str(row["raw"]) for row in pipeline.rows(BRONZE_TWEETS))
        assert_aggregates_match(pipeline.spark, pipeline.lake)
        lose_lake(pipeline)
        restore(str(tmp_path / "backup"), pipeline.lake)
        assert sorted(row["id"] for row in pipeline.rows(GOLD_SENTIMENT)) == ["1", "2"]


def test_a_copy_of_one_table_after_another_is_not_exact(pipeline: Pipeline, tmp_path: Path) -> None:
    """Why the command exists: the streams commit two batches after a plain copy has copied its first table."""
    feed, first_tables = Feed(pipeline, seed=3), (BRONZE_TWEETS, GOLD_MENTIONS)
    for number in range(3):
        feed.land(40)
        pipeline.run_once()
        if number == 0:
            for first in first_tables:
                shutil.copytree(first.path(pipeline.lake), first.path(str(tmp_path / first.name)))
    feed.land(40)
    for first, incomplete in zip(first_tables, (SILVER_TWEETS, GOLD_MENTIONS), strict=True):
        lake = Pipeline(pipeline.spark, Settings(landing=pipeline.landing, lake=str(tmp_path / first.name)))
        for table in TABLES:
            if table is not first:
                shutil.copytree(table.path(pipeline.lake), table.path(lake.lake))
        lake.run_once()
        assert read_status(lake.lake).tables[incomplete.name].totals["rows"] < feed.expected.tweets
