"""All layers process every record exactly once: in repeated runs, and after failures at any point."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from spark_apps import tables
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected, GeneratedFile
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import LakeError
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.streaming.checkpoint import last_error
from spark_apps.streaming.query_group import StreamError
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import BRONZE_TWEETS
from tests.conftest import Pipeline
from tests.exactness import check
from tests.waiting import until

MIX = Mix(duplicates=0.1, late=0.1, malformed=0.05)


def land(pipeline: Pipeline, files: list[GeneratedFile], prefix: str = "") -> Expected:
    total = Expected()
    for file in files:
        pipeline.land(prefix + file.name, file.data)
        total += file.expected
    return total


def versions(pipeline: Pipeline) -> dict[str, int | None]:
    return {name: table.version for name, table in read_status(pipeline.lake).tables.items()}


def test_every_record_is_in_exactly_one_table_after_repeated_runs(pipeline: Pipeline) -> None:
    generator = Generator(11, mix=MIX)
    first, second = list(generator.files(900, 150)), list(generator.files(300, 100))
    expected = land(pipeline, first + generator.malformed_files())
    pipeline.run_once()
    before = versions(pipeline)

    assert pipeline.run_once() == []
    assert versions(pipeline) == before

    # The same records in files of other names: all tweets are duplicates, all rejects are rejected again.
    again = Expected()
    for file in first:
        again += land(pipeline, [file], "again/")
    expected += land(pipeline, second)
    pipeline.run_once()
    repeated = Expected(again.documents, 0, again.tweets + again.duplicates, again.quarantine)
    check(pipeline.spark, pipeline.lake, expected + repeated)


def test_a_kill_before_the_first_commit_loses_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    # Killed while it created the tables: their logs are empty, or hold temporary files.
    temporary = [".00000000000000000000.json.1f.tmp", "..00000000000000000000.json.1f.tmp.crc"]
    for lake, files in ((str(tmp_path / "empty logs"), []), (pipeline.lake, temporary)):
        for table in tables.TABLES:
            log = Path(table.path(lake), "_delta_log")
            log.mkdir(parents=True)
            for name in files:
                (log / name).write_bytes(b"half")
            delta_tables.create_or_evolve(pipeline.spark, lake, table)
            assert delta_tables.read(pipeline.spark, lake, table).count() == 0

    # Killed while it planned the first batch: each checkpoint holds a temporary offset file.
    pipeline.run_once()  # nothing has landed: this creates checkpoints without a batch
    for stream in ("bronze", "silver", "gold", "gold-aggregates"):
        offsets = Path(pipeline.lake, "checkpoints", stream, "offsets")
        offsets.mkdir(exist_ok=True)
        (offsets / ".0.5a6ecb50-e408-45fd-bbbc-6ef2f7722d72.tmp").write_bytes(b"v1")
    expected = land(pipeline, list(Generator(3, mix=MIX).files(40, 20)))
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, expected)


def test_a_single_layer_waits_for_the_tables_of_the_previous_layer(pipeline: Pipeline) -> None:
    """A layer creates only its own tables: on S3 it may not create others, and two processes would race."""
    silver = pipeline.streams("silver")
    with pytest.raises(LakeError, match=r"bronze/tweets does not exist yet: run the layer that writes the table first"):
        pipeline.run_once(*silver)
    assert not Path(BRONZE_TWEETS.path(pipeline.lake)).exists()

    expected = land(pipeline, list(Generator(3, mix=MIX).files(40, 20)))
    stop, waited, reports = threading.Event(), threading.Event(), list[BatchReport]()
    runner = StreamRunner(pipeline.spark, pipeline.lake, reports.append, stop, on_wait=lambda _: waited.set())
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


WRITES = [
    "bronze/tweets",
    "silver/quarantine",
    "silver/tweets",
    "gold/sentiment",
    "gold/trends",
    "gold/mentions",
]


def test_a_failure_before_or_after_any_commit_loses_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write fails before its commit and, when the batch is repeated, after its commit, as by a kill."""
    generator = Generator(5, mix=MIX)
    expected = Expected()
    for table in WRITES:
        expected += land(pipeline, list(generator.files(40, 20)))
        for when in ("before", "after"):
            with monkeypatch.context() as patch:
                for write in ("append", "merge"):
                    patch.setattr(TableWriter, write, _failing(getattr(TableWriter, write), table, when))
                with pytest.raises(StreamError, match=f"failed {when} the commit of {table}"):
                    pipeline.run_once()
            stream = "gold-aggregates" if table in WRITES[-2:] else table.partition("/")[0]
            error = json.loads(Path(pipeline.lake, "checkpoints", f"{stream}.error.json").read_text())
            streams = [stream.name for stream in pipeline.streams()]
            assert f"failed {when} the commit of {table}" in (last_error(pipeline.spark, pipeline.lake, streams) or "")
            assert f"failed {when} the commit of {table}" in error["error"]
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, expected)


def _failing(write: Any, table: str, when: str) -> Any:
    def wrapped(self: TableWriter, *args: Any) -> None:
        if self.table.name != table or when == "after":
            write(self, *args)
        if self.table.name == table:
            raise RuntimeError(f"failed {when} the commit of {table}")

    return wrapped
