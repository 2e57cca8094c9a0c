"""Fixtures that several levels share: one Spark for the whole run, and a landing and lake for each test."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession

from spark_apps import storage
from spark_apps.bronze import app as bronze
from spark_apps.gold import app as gold
from spark_apps.lake import delta_tables
from spark_apps.session import make_session
from spark_apps.settings import Settings
from spark_apps.silver import app as silver
from spark_apps.streaming.runner import StreamRunner
from spark_apps.streaming.stream import BatchReport, Stream
from spark_apps.tables import Table


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = make_session(Settings(cores=2))
    yield session
    session.stop()


@dataclass
class Place:
    """A landing and a lake of one test, and the means to run streams over them."""

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

    def layers(self) -> list[Stream]:
        """The streams of all layers, as `run` puts them together."""
        return [stream for app in (bronze, silver, gold) for stream in app.streams(self.spark, self.settings)]

    def rows(self, table: Table) -> list[Row]:
        return delta_tables.read(self.spark, self.lake, table).collect()

    def once(self, *streams: Stream) -> list[BatchReport]:
        """Run the streams over all that is there, as `run --once` does."""
        reports: list[BatchReport] = []
        StreamRunner(self.spark, self.lake, reports.append).run(streams, None)
        return reports


@pytest.fixture
def place(spark: SparkSession, tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "landing").mkdir()
    yield Place(spark, Settings(landing=str(tmp_path / "landing"), lake=str(tmp_path / "lake")))
    # Delta keeps the state of each table for an hour; a run of the tests sees a hundred lakes, a stream one.
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    spark.catalog.clearCache()
