"""A checkpoint is deleted, emptied or replaced by an older copy: no tweet is lost or counted twice."""

import shutil
from pathlib import Path

import pytest

from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from spark_apps.gold import app as gold
from spark_apps.lake.commits import LakeError
from spark_apps.silver import app as silver
from spark_apps.streaming.runner import StreamError
from spark_apps.tables import BRONZE_TWEETS, SILVER_TWEETS
from tests.conftest import Pipeline
from tests.exactness import check
from tests.lakes import flat_tweet

STREAMS = ("bronze", "silver", "gold", "gold-aggregates")


def checkpoint(pipeline: Pipeline, stream: str) -> Path:
    return Path(pipeline.lake, "checkpoints", stream)


@pytest.mark.slow
def test_damaged_checkpoints_do_not_lose_or_repeat_a_tweet(pipeline: Pipeline, tmp_path: Path) -> None:
    generator = Generator(4, mix=Mix(duplicates=0.1, malformed=0.1))
    expected, backup = Expected(), tmp_path / "backup"

    def land_and_run() -> None:
        nonlocal expected
        for file in generator.files(80, 40):
            pipeline.land(file.name, file.data)
            expected += file.expected
        pipeline.run_once()

    def delete() -> None:
        shutil.rmtree(Path(pipeline.lake, "checkpoints"))

    def restore_backup() -> None:
        delete()
        shutil.copytree(backup, Path(pipeline.lake, "checkpoints"))

    def empty() -> None:
        for stream in STREAMS:
            shutil.rmtree(checkpoint(pipeline, stream) / "offsets")
            shutil.rmtree(checkpoint(pipeline, stream) / "commits")

    land_and_run()
    shutil.copytree(Path(pipeline.lake, "checkpoints"), backup)
    land_and_run()
    for damage in (delete, restore_backup, empty):
        damage()
        land_and_run()
        check(pipeline.spark, pipeline.lake, expected)


@pytest.mark.slow
def test_a_half_committed_batch_is_completed_without_its_checkpoint(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stream with two tables fails between its two commits, and then loses its checkpoint."""
    generator = Generator(5, mix=Mix(malformed=0.3))
    expected = Expected()
    for stream, module, function in (
        ("silver", silver, "distinct_tweets"),
        ("gold-aggregates", gold, "_merge_mentions"),
    ):
        for file in generator.files(60, 30):
            pipeline.land(file.name, file.data)
            expected += file.expected
        with monkeypatch.context() as patch, pytest.raises(StreamError, match=rf"stream {stream}(, batch .*)? failed"):
            patch.setattr(module, function, lambda *_: 1 / 0)
            pipeline.run_once()
        shutil.rmtree(checkpoint(pipeline, stream))
        pipeline.run_once()
        check(pipeline.spark, pipeline.lake, expected)


def test_an_offset_of_another_driver_is_replaced_by_the_committed_one(pipeline: Pipeline) -> None:
    """The commit of the other driver was refused, after its plan had replaced the one of the batch."""
    layers = pipeline.streams("bronze", "silver")
    for number in range(3):
        pipeline.land(f"{number}.json", flat_tweet(number + 1))
        pipeline.run_once(*layers)
        for stream in ("bronze", "silver") if number else ():
            offsets = checkpoint(pipeline, stream) / "offsets"
            (offsets / str(number)).write_text((offsets / str(number - 1)).read_text())
    # Of the last batch, the other driver has also removed that it is processed.
    (checkpoint(pipeline, "silver") / "commits" / "2").unlink()
    pipeline.run_once(*layers)
    assert sorted(row["id"] for row in pipeline.rows(SILVER_TWEETS)) == ["1", "2", "3"]
    assert len(pipeline.rows(BRONZE_TWEETS)) == 3


def test_commits_without_a_position_are_refused(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commits of an earlier version have no position, so they cannot replace a checkpoint."""
    pipeline.land("1.json", flat_tweet(1))
    with monkeypatch.context() as patch:
        patch.setattr("spark_apps.streaming.checkpoint.read_offset", lambda *_: None)
        pipeline.run_once(*pipeline.streams("bronze"))
    pipeline.run_once(*pipeline.streams("bronze"))
    shutil.rmtree(checkpoint(pipeline, "bronze"))
    with pytest.raises(LakeError, match=r"checkpoints/bronze is behind .*bronze/tweets, which an earlier version"):
        pipeline.run_once(*pipeline.streams("bronze"))


def test_a_stream_does_not_continue_with_another_source(pipeline: Pipeline) -> None:
    pipeline.land("1.json", flat_tweet(1))
    pipeline.run_once(*pipeline.streams("bronze", "silver"))
    shutil.rmtree(Path(pipeline.lake, "bronze"))
    shutil.rmtree(Path(pipeline.lake, "checkpoints"))
    with pytest.raises(LakeError, match=r"silver/erasures were computed from another .*bronze/tweets"):
        pipeline.run_once(*pipeline.streams("bronze", "silver"))
