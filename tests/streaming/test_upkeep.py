"""The streams clean their tables: old files are removed, except those that a stream or the totals still need."""

import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from spark_apps.lake import cleanup, delta_tables
from spark_apps.lake.commits import open_existing_table
from spark_apps.lake.status import read_status
from spark_apps.streaming import checkpoint
from spark_apps.tables import BRONZE_TWEETS, ERASURES, GOLD_MENTIONS, GOLD_SHADOW, SILVER_TWEETS, TABLES, Table
from tests.conftest import Pipeline
from tests.exactness import check

RETENTION_SECONDS = 20.0
# The tables with rows: nothing is erased or shadowed here.
FILLED = tuple(table for table in TABLES if table not in (ERASURES, GOLD_SHADOW))


class AgingPipeline:
    """A pipeline with a short retention. It cleans only the tables in `to_clean`, because VACUUM takes seconds."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.expected = Expected()
        self.to_clean: tuple[Table, ...] = ()
        pipeline.settings.retention_hours = RETENTION_SECONDS / 3600
        self._generator = Generator(6, mix=Mix(duplicates=0.1, malformed=0.3))

    def run(self, *layers: str) -> None:
        """Land two files and run some layers."""
        for file in self._generator.files(40, 20):
            self.pipeline.land(file.name, file.data)
            self.expected += file.expected
        self.pipeline.run_once(*self.pipeline.streams(*layers))

    def run_after_retention(self, to_clean: tuple[Table, ...], *layers: str) -> None:
        """Make all files older than the retention, then run some layers and clean the tables `to_clean`."""
        # Just before a full minute: Delta rounds the cutoff of its log cleanup down, which could hide a late cutoff.
        oldest = time.time() // 60 * 60 - 6000 - 0.5
        for table in TABLES:
            for file in Path(table.path(self.pipeline.lake)).rglob("*"):
                # Delta needs log entries in the order of their times.
                version = int(file.name[:20]) if file.name[:20].isdecimal() else 0
                modified_at = oldest + 120 * version
                os.utime(file, (modified_at, modified_at))
        time.sleep(RETENTION_SECONDS)
        self.to_clean = to_clean
        self.run(*layers)
        self.to_clean = ()

    def check(self) -> None:
        check(self.pipeline.spark, self.pipeline.lake, self.expected)


@pytest.fixture
def aging(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> AgingPipeline:
    monkeypatch.setattr(delta_tables, "_CHECKPOINT_INTERVAL", 2)
    aging, clean = AgingPipeline(pipeline), cleanup.clean

    def clean_some(spark: SparkSession, lake: str, table: Table, *arguments: Any) -> bool:
        return table in aging.to_clean and clean(spark, lake, table, *arguments)

    monkeypatch.setattr(cleanup, "clean", clean_some)
    return aging


def replaced_files(pipeline: Pipeline, table: Table) -> set[str]:
    """Return the data files of a table that its current version does not have."""
    root = Path(table.path(pipeline.lake))
    current = pa.table(open_existing_table(pipeline.lake, table).get_add_actions())["path"].to_pylist()
    return {str(file.relative_to(root)) for file in root.rglob("*.parquet") if "_delta_log" not in file.parts} - {
        *current
    }


def oldest_version(pipeline: Pipeline, table: Table) -> int:
    return min(int(file.stem) for file in Path(table.path(pipeline.lake), "_delta_log").glob("*.json"))


@pytest.mark.slow
def test_replaced_files_and_old_versions_are_removed(aging: AgingPipeline) -> None:
    pipeline = aging.pipeline
    for _ in range(2):
        aging.run()
    for table in FILLED:
        # A killed batch leaves such a file, which belongs to no version.
        file = next(Path(table.path(pipeline.lake)).rglob("part-*.parquet"))
        shutil.copy(file, file.with_name("part-of-a-killed-batch.parquet"))
    replaced_rows = replaced_files(pipeline, GOLD_MENTIONS)
    aging.run_after_retention(FILLED)
    for table in FILLED:
        assert not list(Path(table.path(pipeline.lake)).rglob("*killed*")), table.name
        assert oldest_version(pipeline, table) >= 1, table.name
    assert len(replaced_rows) > 1 and not replaced_rows & replaced_files(pipeline, GOLD_MENTIONS)
    aging.check()

    # The remaining log entries contain the totals, the positions of the streams and the ids of their batches.
    shutil.rmtree(Path(pipeline.lake, "checkpoints"))
    aging.run()
    aging.check()


@pytest.mark.slow
def test_the_input_of_a_stopped_stream_is_kept(aging: AgingPipeline, caplog: pytest.LogCaptureFixture) -> None:
    """Unread input is kept for longer than the retention, and cleaned once the stream has read it."""
    pipeline = aging.pipeline
    aging.run("bronze", "silver")
    aging.run("bronze")
    aging.run("bronze")
    pipeline.spark.sql(f"OPTIMIZE {delta_tables.sql_name(BRONZE_TWEETS.path(pipeline.lake))}")
    replaced = replaced_files(pipeline, BRONZE_TWEETS)
    with caplog.at_level(logging.WARNING):
        aging.run_after_retention((BRONZE_TWEETS,), "bronze")
    assert "bronze/tweets keeps all files and versions: the stream silver has not read version" in caplog.text
    assert len(replaced) > 1 and replaced <= replaced_files(pipeline, BRONZE_TWEETS)

    aging.run("bronze", "silver")
    aging.run_after_retention((BRONZE_TWEETS,), "bronze")
    assert not replaced & replaced_files(pipeline, BRONZE_TWEETS)
    aging.run("bronze", "silver")
    assert read_status(pipeline.lake).tables[SILVER_TWEETS.name].rows == aging.expected.tweets
    assert read_status(pipeline.lake).lag["silver"] == 0


def test_a_table_that_cannot_be_cleaned_does_not_stop_its_stream(
    aging: AgingPipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> bool:
        raise OSError("no space")

    monkeypatch.setattr(cleanup, "clean", refuse)
    aging.run("bronze", "silver")
    # A kill can leave such a file.
    Path(aging.pipeline.lake, "checkpoints", "silver", "upkeep.json").write_text('{"silver/tw')
    monkeypatch.setattr(checkpoint, "save_upkeep", refuse)
    aging.run("bronze", "silver")
    assert read_status(aging.pipeline.lake).tables[SILVER_TWEETS.name].rows == aging.expected.tweets
    assert "bronze/tweets was not cleaned: no space" in caplog.text


def test_a_table_is_cleaned_once_per_interval(aging: AgingPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval outlasts a restart of the stream."""
    cleaned: list[str] = []

    def record(_spark: object, _lake: str, table: Table, *_: object) -> bool:
        cleaned.append(table.name)
        return table is not SILVER_TWEETS

    monkeypatch.setattr(cleanup, "clean", record)
    aging.pipeline.settings.retention_hours = 48
    aging.run("bronze", "silver")
    aging.run("bronze", "silver")
    # silver/tweets was not cleaned the first time, so the second run tries again.
    assert sorted(cleaned) == ["bronze/tweets", "silver/quarantine", "silver/tweets", "silver/tweets"]
