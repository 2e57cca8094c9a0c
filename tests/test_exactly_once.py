"""All layers process every record exactly once: in repeated runs, and after failures at any point."""

import json
import threading
from pathlib import Path

import pytest

from spark_apps import tables
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected, GeneratedFile
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import LakeError
from spark_apps.lake.failures import newest_failure
from spark_apps.streaming.runner import StreamError
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import BRONZE_TWEETS, ERASURES, GOLD_SHADOW
from tests.conftest import Pipeline
from tests.exactness import check
from tests.failing_writes import fail_write
from tests.waiting import until

MIX = Mix(duplicates=0.1, late=0.1, malformed=0.05)


def land(pipeline: Pipeline, files: list[GeneratedFile], prefix: str = "") -> Expected:
    total = Expected()
    for file in files:
        pipeline.land(prefix + file.name, file.data)
        total += file.expected
    return total


def test_every_record_is_in_exactly_one_table_after_repeated_runs(pipeline: Pipeline) -> None:
    generator = Generator(11, mix=MIX)
    first, second = list(generator.files(900, 150)), list(generator.files(300, 100))
    expected = land(pipeline, first + generator.malformed_files())
    pipeline.run_once()
    before = pipeline.versions()

    assert pipeline.run_once() == []
    assert pipeline.versions() == before

    # The same records in files with other names: all tweets are duplicates, all rejects are rejected again.
    again = Expected()
    for file in first:
        again += land(pipeline, [file], "again/")
    expected += land(pipeline, second)
    pipeline.run_once()
    repeated = Expected(again.documents, 0, again.tweets + again.duplicates, again.quarantine)
    check(pipeline.spark, pipeline.lake, expected + repeated)


@pytest.mark.slow
def test_a_kill_before_the_first_commit_loses_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    # A kill during the creation of the tables: their logs are empty, or contain temporary files.
    temporary = [".00000000000000000000.json.1f.tmp", "..00000000000000000000.json.1f.tmp.crc"]
    for lake, files in ((str(tmp_path / "empty logs"), []), (pipeline.lake, temporary)):
        for table in tables.TABLES:
            log = Path(table.path(lake), "_delta_log")
            log.mkdir(parents=True)
            for name in files:
                (log / name).write_bytes(b"half")
            delta_tables.create_or_evolve(pipeline.spark, lake, table, pipeline.settings.retention_seconds)
            assert delta_tables.read(pipeline.spark, lake, table).count() == 0

    # A kill during the planning of the first batch: each checkpoint contains a temporary offset file.
    pipeline.run_once()  # nothing has landed: this creates checkpoints without a batch
    for stream in ("bronze", "silver", "gold", "gold-aggregates"):
        offsets = Path(pipeline.lake, "checkpoints", stream, "offsets")
        offsets.mkdir(exist_ok=True)
        (offsets / ".0.5a6ecb50-e408-45fd-bbbc-6ef2f7722d72.tmp").write_bytes(b"v1")
    expected = land(pipeline, list(Generator(3, mix=MIX).files(40, 20)))
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, expected)


def test_a_single_layer_waits_for_the_tables_of_the_previous_layer(pipeline: Pipeline) -> None:
    """A layer creates only its own tables: on S3 it may not create others, and two processes would compete."""
    silver = pipeline.streams("silver")
    with pytest.raises(LakeError, match=r"bronze/tweets does not exist yet: run the layer that writes the table first"):
        pipeline.run_once(*silver)
    assert not Path(BRONZE_TWEETS.path(pipeline.lake)).exists()

    expected = land(pipeline, list(Generator(3, mix=MIX).files(40, 20)))
    stop, waited, reports = threading.Event(), threading.Event(), list[BatchReport]()
    runner = pipeline.runner(reports.append, stop=stop, on_wait=lambda *_: waited.set())
    run = threading.Thread(target=runner.run, args=(silver, "0 seconds"))
    run.start()
    try:
        assert waited.wait(30)
        pipeline.run_once(*pipeline.streams("bronze"))
        until(lambda: sum(report.counts["rows"] for report in reports) >= expected.tweets, 240, "all tweets in Silver")
        assert run.is_alive()
    finally:
        stop.set()
        run.join(60)


@pytest.mark.slow
def test_a_failure_before_or_after_any_commit_loses_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write fails before its commit, as by a kill, and after its commit when the batch is repeated."""
    generator = Generator(5, mix=MIX)
    expected = Expected()
    # Without a shadow version, nothing writes gold/shadow: see gold/test_shadow.py.
    for table in (table for table in tables.TABLES if table is not GOLD_SHADOW):
        expected += land(pipeline, list(generator.files(40, 20)))
        if table is ERASURES:
            notice = b'{"delete": {"status": {"id_str": "1800000000000000001"}}}'
            expected += land(pipeline, [GeneratedFile("deletion.json", notice, Expected(1))])
        for when in ("before", "after"):
            with monkeypatch.context() as patch:
                for method in ("append", "merge"):
                    fail_write(patch, method, table, when)
                with pytest.raises(StreamError, match=f"failed {when} the commit of {table.name}"):
                    pipeline.run_once()
            stream = "gold-aggregates" if table.merged else table.name.partition("/")[0]
            error = json.loads(Path(pipeline.lake, "checkpoints", f"{stream}.error.json").read_text())
            streams = [stream.name for stream in pipeline.streams()]
            failure = f"failed {when} the commit of {table.name}"
            assert failure in str(newest_failure(pipeline.lake, streams))
            assert failure in error["error"]
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, expected)
