"""The files beside Spark's checkpoint: a kill or a full volume may truncate them."""

from pathlib import Path

from spark_apps.lake.failures import read_failures
from spark_apps.streaming.checkpoint import read_poison
from tests.conftest import Pipeline
from tests.lakes import flat_tweet


def test_truncated_files_do_not_stop_a_stream(pipeline: Pipeline) -> None:
    pipeline.land("1.json", flat_tweet(1))
    pipeline.run_once(*pipeline.streams("bronze"))
    checkpoints = Path(pipeline.lake, "checkpoints")
    for name in ("bronze/poison.json", "bronze/upkeep.json", "bronze.error.json"):
        (checkpoints / name).write_text('{"batch": 0, "ro')
    assert read_failures(pipeline.lake, ["bronze"]) == {}
    assert read_poison(pipeline.spark, pipeline.lake, "bronze") == (-1, ())
    pipeline.land("2.json", flat_tweet(2))
    assert [report.counts["rows"] for report in pipeline.run_once(*pipeline.streams("bronze"))] == [1]
