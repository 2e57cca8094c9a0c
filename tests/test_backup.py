"""A backup is taken while the streams run. The restored lake loses no tweet and counts none twice."""

import shutil
import threading
import time
from pathlib import Path
from random import Random

import pytest

from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from spark_apps.gold import app as gold
from spark_apps.lake.backup import back_up, restore
from spark_apps.lake.status import read_status
from spark_apps.settings import Settings
from spark_apps.silver import app as silver
from spark_apps.streaming.runner import StreamError
from spark_apps.tables import BRONZE_TWEETS
from tests.conftest import Pipeline
from tests.exactness import check

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


def lose_lake(pipeline: Pipeline) -> None:
    shutil.rmtree(pipeline.lake)
    # In reality the streams start in a new JVM.
    pipeline.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]


def test_backups_of_running_streams_are_exact(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gold, "_AGGREGATES_TRIGGER", "0 seconds")
    random, feed, runner = Random(1), Feed(pipeline, seed=1), pipeline.runner()
    feed.land(60)
    pipeline.run_once()
    streams = threading.Thread(target=runner.run, args=(pipeline.streams(), "0 seconds"))
    streams.start()
    backups = [tmp_path / name for name in ("first", "updated", "last")]
    try:
        for backup in (backups[0], *4 * backups[1:2], backups[2]):
            for _ in range(random.randint(1, 4)):
                feed.land(40)
                time.sleep(random.uniform(0.3, 1.5))
            back_up(pipeline.lake, str(backup))
    finally:
        runner.stopping.set()
        streams.join()
    feed.land(40)
    for backup in backups:
        lake = restored(pipeline, backup, tmp_path / "restored" / backup.name)
        assert read_status(lake.lake).tables[BRONZE_TWEETS.name].rows < feed.expected.documents
        lake.run_once()
        check(pipeline.spark, lake.lake, feed.expected)
    lose_lake(pipeline)
    restore(str(backups[-1]), pipeline.lake)
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
    with monkeypatch.context() as patch, pytest.raises(StreamError, match=f"stream {stream} failed"):
        patch.setattr(module, function, lambda *_: 1 / 0)
        pipeline.run_once()
    back_up(pipeline.lake, str(tmp_path / "backup"))
    lake = restored(pipeline, tmp_path / "backup", tmp_path / "restored")
    lake.run_once()
    check(pipeline.spark, lake.lake, feed.expected)
