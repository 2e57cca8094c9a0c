"""Shared fixtures: a Spark session per test worker and a pipeline per test. Also the order of the test files."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from typer.testing import CliRunner, Result

from spark_apps import storage
from spark_apps.bronze import app as bronze
from spark_apps.cli.main import app
from spark_apps.demo import jvm
from spark_apps.gold import app as gold
from spark_apps.lake import delta_tables
from spark_apps.lake.status import read_status
from spark_apps.session import make_session
from spark_apps.settings import Settings
from spark_apps.silver import app as silver
from spark_apps.streaming import query_group
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport, Stream
from spark_apps.tables import Table

# The slowest files, slowest first. An idle worker takes the next file: with the fast files at the end, all workers
# finish at about the same time.
LONGEST = [
    "gold/test_rescore.py",
    "gold/test_rebuild.py",
    "streaming/test_expiry.py",
    "test_layout.py",
    "silver/test_replay.py",
    "silver/test_rebuild.py",
    "test_outages.py",
    "test_full_disk.py",
    "test_undo_restore.py",
    "test_erasure.py",
    "test_upgrades.py",
    "test_backup.py",
    "streaming/test_recovery.py",
    "streaming/test_poison.py",
    "streaming/test_upkeep.py",
    "test_exactly_once.py",
    "test_two_drivers.py",
    "test_erasure_files.py",
    "bronze/test_parts.py",
    "test_chaos.py",
    "gold/test_shadow.py",
    "demo/test_demo.py",
    "monitoring/test_scrape.py",
    "test_s3.py",
    "model/test_release.py",
    "lake/test_java_classes.py",
    "lake/test_writer.py",
    "test_cli.py",
    "test_table_checks.py",
    "test_readme.py",
    "gold/test_live_model.py",
    "test_large.py",
    "model/test_registry.py",
    "test_layers.py",
    "bronze/test_stream.py",
    "dashboard/test_app.py",
    "dashboard/test_login.py",
    "test_imports.py",
    "model/test_evaluate.py",
    "quality/test_drift.py",
    "quality/test_findings.py",
    "bronze/test_documents.py",
    "scoring/test_self_check.py",
    "silver/test_hostile_input.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    with pytest.MonkeyPatch.context() as patch:
        # This JVM runs hundreds of batches, but with a new plan in almost each of them: as in the demo, the C2 compiler
        # does not pay off. With the small young generation that the JVM begins with, it collects garbage every second.
        patch.setenv("SPARK_SUBMIT_OPTS", f"{jvm.options()} -Xms1g -Xmn512m")
        session = make_session(Settings(cores=2))
    # The plans of a test have few rows: to interpret them takes less time than to compile them. Tests that start
    # processes use generated code.
    session.conf.set("spark.sql.codegen.wholeStage", "false")
    session.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    with pytest.MonkeyPatch.context() as patch:
        # A run over all input waits for the end of four queries, one after the other.
        patch.setattr(query_group, "_POLL_SECONDS", 0.05)
        yield session
    session.stop()


@pytest.fixture
def command(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `tweet-sentiment` in this process with the tests' Spark session, because a new JVM takes seconds to start."""
    # The command must not stop the session of the tests.
    monkeypatch.setattr(SparkSession, "stop", lambda _: None)

    def run(*arguments: str | Path, **env: str) -> Result:
        return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200", **env})

    assert spark
    return run


@dataclass
class Pipeline:
    """The landing and the lake of a test, and the streams between them."""

    spark: SparkSession
    settings: Settings

    @property
    def landing(self) -> str:
        return str(self.settings.landing)

    @property
    def lake(self) -> str:
        return str(self.settings.lake)

    def land(self, name: str, data: bytes | str) -> str:
        return storage.put(self.landing, name, data.encode() if isinstance(data, str) else data)

    def streams(self, *layers: str) -> list[Stream]:
        """Return the streams of `layers`, by default of all layers, in the order of `run`."""
        apps = {"bronze": bronze, "silver": silver, "gold": gold}
        return [stream for layer in layers or apps for stream in apps[layer].streams(self.spark, self.settings)]

    def rows(self, table: Table) -> list[Row]:
        return delta_tables.read(self.spark, self.lake, table).collect()

    def runner(self, on_batch: Callable[[BatchReport], None] = lambda _: None, **options: Any) -> StreamRunner:
        """Return a runner of the lake; `options` are further arguments of `StreamRunner`."""
        return StreamRunner(self.spark, self.lake, self.settings.retention_seconds, on_batch, **options)

    def run_once(self, *streams: Stream) -> list[BatchReport]:
        """Process all input with `streams`, by default the streams of all layers, like `run --once`."""
        reports: list[BatchReport] = []
        self.runner(reports.append).run(streams or self.streams(), None)
        return reports

    def versions(self) -> dict[str, int | None]:
        """Return the version of each table."""
        return {name: table.version for name, table in read_status(self.lake).tables.items()}


@contextmanager
def open_pipeline(spark: SparkSession, folder: Path, lake: Path | None = None) -> Iterator[Pipeline]:
    """Yield a pipeline in `folder`; its lake is empty, or a copy of `lake`.

    A copy has the table ids, commits and checkpoints of the original. Its landing is empty: the files that the original
    has read are not read again.
    """
    (folder / "landing").mkdir()
    if lake is not None:
        shutil.copytree(lake, folder / "lake")
    yield Pipeline(spark, Settings(landing=str(folder / "landing"), lake=str(folder / "lake")))
    # Delta caches the state of each table for an hour, and the tests open a hundred lakes.
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    spark.catalog.clearCache()


@pytest.fixture
def pipeline(spark: SparkSession, tmp_path: Path) -> Iterator[Pipeline]:
    with open_pipeline(spark, tmp_path) as pipeline:
        yield pipeline
