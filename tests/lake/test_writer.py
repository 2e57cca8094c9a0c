"""Two writers of one table: whenever the second one commits, a write of the first one is refused."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from spark_apps.lake import delta_tables
from spark_apps.lake.commits import BatchMetadata, LakeError
from spark_apps.lake.expired import read_expired
from spark_apps.lake.writer import TableWriter
from spark_apps.tables import GOLD_TRENDS, QUARANTINE, ddl

LAKE_ERROR = r"gold/trends was written by another process \(version \d+: batch 1 of gold-aggregates\)"
COUNTS = {"rows": 1}
ROW = (datetime(2026, 1, 1, tzinfo=UTC), "en", "positive", 1, 0.5, date(2026, 1, 1))

Write = Callable[[TableWriter, DataFrame, int], None]


def append(writer: TableWriter, rows: DataFrame, batch: int) -> None:
    writer.append(rows, batch, COUNTS)


def merge(writer: TableWriter, rows: DataFrame, batch: int) -> None:
    session = rows.sparkSession
    target = DeltaTable.forPath(session, GOLD_TRENDS.path(writer.lake)).alias("t")
    matched = target.merge(rows.alias("s"), "t.minute = s.minute").whenMatchedUpdate(
        set={"tweets": "t.tweets + s.tweets"}
    )
    writer.merge(matched.whenNotMatchedInsertAll(), session, batch, COUNTS)


def replace(writer: TableWriter, rows: DataFrame, batch: int) -> None:
    writer.replace(rows, batch, "minute >= '2026-01-01'")


WRITES = [append, merge, replace]


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Iterator[str]:
    delta_tables.create_or_evolve(spark, str(tmp_path), GOLD_TRENDS, retention=3600)
    writer = TableWriter(str(tmp_path), GOLD_TRENDS, "gold-aggregates", "gold-aggregates:1")
    append(writer, one_row(spark), 0)
    yield str(tmp_path)
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]


def one_row(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([ROW], GOLD_TRENDS.column_names)


def make_writer(lake: str) -> TableWriter:
    """Return a writer like the one of another driver that runs the same query from the same checkpoint."""
    return TableWriter(lake, GOLD_TRENDS, "gold-aggregates", "gold-aggregates:1")


def tweets(spark: SparkSession, lake: str) -> int:
    return sum(row["tweets"] for row in delta_tables.read(spark, lake, GOLD_TRENDS).collect())


@pytest.mark.parametrize("others", WRITES)
@pytest.mark.parametrize("write", WRITES)
def test_a_commit_after_the_check_refuses_a_write(
    spark: SparkSession, lake: str, write: Write, others: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_writer(lake), make_writer(lake)
    check = first._metadata

    def check_and_pause(batch: int, counts: Mapping[str, int]) -> BatchMetadata:
        metadata = check(batch, counts)
        others(second, one_row(spark), 1)
        return metadata

    monkeypatch.setattr(first, "_metadata", check_and_pause)
    with pytest.raises(LakeError, match=LAKE_ERROR):
        write(first, one_row(spark), 1)
    assert tweets(spark, lake) == (1 if others is replace else 2)
    monkeypatch.undo()
    # The first writer stays refused, and the second one goes on.
    with pytest.raises(LakeError, match=LAKE_ERROR):
        write(first, one_row(spark), 2)
    others(second, one_row(spark), 2)


@pytest.mark.parametrize("write", WRITES)
def test_a_commit_during_a_write_refuses_the_write(
    spark: SparkSession, lake: str, write: Write, tmp_path: Path
) -> None:
    began, may_end = tmp_path / "began", tmp_path / "may end"

    def wait(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        began.touch()
        deadline = time.monotonic() + 60
        while not may_end.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield from parts

    rows = one_row(spark)
    slow = rows.coalesce(1).mapInPandas(wait, rows.schema)
    first, second = make_writer(lake), make_writer(lake)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write, first, slow, 1)
        try:
            while not began.exists() and not writing.done():
                time.sleep(0.05)
            append(second, rows, 1)
        finally:
            may_end.touch()
        with pytest.raises(LakeError, match=LAKE_ERROR):
            writing.result()
    assert tweets(spark, lake) == 2


@pytest.mark.parametrize("write", [append, merge])
def test_a_compaction_after_the_check_refuses_no_write(
    spark: SparkSession, lake: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(make_writer(lake), one_row(spark), 1)
    writer = make_writer(lake)
    check = writer._metadata

    def check_and_compact(batch: int, counts: Mapping[str, int]) -> BatchMetadata:
        metadata = check(batch, counts)
        DeltaTable.forPath(spark, GOLD_TRENDS.path(lake)).optimize().executeCompaction()
        return metadata

    monkeypatch.setattr(writer, "_metadata", check_and_compact)
    write(writer, one_row(spark), 2)
    assert tweets(spark, lake) == (3 if write is append else 4)


def test_old_days_are_deleted_in_a_commit_of_the_only_writer(spark: SparkSession, tmp_path: Path) -> None:
    lake, days = str(tmp_path), [date(2026, 1, 1), date(2026, 1, 2)]
    delta_tables.create_or_evolve(spark, lake, QUARANTINE, retention=3600)
    first = TableWriter(lake, QUARANTINE, "silver", "silver:1")
    rows = [("{", "not_json", None, "file", datetime(2026, 1, day.day, tzinfo=UTC), day) for day in days * 2]
    first.append(spark.createDataFrame(rows, ddl(QUARANTINE.columns)), 0, {"not_json": 4})
    second = TableWriter(lake, QUARANTINE, "silver", "silver:1")

    def remaining() -> list[date]:
        return sorted(row["ingest_date"] for row in delta_tables.read(spark, lake, QUARANTINE).collect())

    version = first.current_version()
    first.expire(spark, days[0])
    assert first.current_version() == version and read_expired(lake, QUARANTINE) is None
    first.expire(spark, days[1])
    assert remaining() == [days[1]] * 2
    with pytest.raises(LakeError, match=r"silver/quarantine was written by another process"):
        second.expire(spark, date(2026, 1, 3))
    # All later commits repeat what was deleted, and the totals still count it.
    first.erase(spark, {"table": "1", "batch": 7}, None, {})
    first.append(spark.createDataFrame(rows[1:2], ddl(QUARANTINE.columns)), 1, {"not_json": 1})
    for writer in (first, TableWriter(lake, QUARANTINE, "silver", "silver:1")):
        assert writer.expired is not None and (writer.expired.before, writer.expired.rows) == (days[1], 2)
        assert writer.totals == {"not_json": 5} and writer.erased == {"table": "1", "batch": 7}
        assert writer.is_committed(1)
    # A batch writes rows of a deleted day, after the limit of age was raised.
    late = [("{", "not_json", None, "file", datetime(2025, 12, 1, tzinfo=UTC), date(2025, 12, 1))]
    first.append(spark.createDataFrame(late, ddl(QUARANTINE.columns)), 2, {"not_json": 1})
    first.expire(spark, days[0])
    assert (expired := read_expired(lake, QUARANTINE)) and (expired.before, expired.rows) == (days[1], 3)
    first.expire(spark, date(2026, 2, 1))
    assert remaining() == [] and (expired := read_expired(lake, QUARANTINE)) and expired.rows == 6
    assert expired.before == date(2026, 2, 1)
    assert first.erased == {"table": "1", "batch": 7}


def test_a_restore_between_two_writes_refuses_the_second_one(spark: SparkSession, lake: str) -> None:
    writer = make_writer(lake)
    version = writer.current_version()
    append(writer, one_row(spark), 1)
    spark.sql(f"RESTORE TABLE {delta_tables.sql_name(GOLD_TRENDS.path(lake))} TO VERSION AS OF {version}")
    for other in (writer.current_version, lambda: append(writer, one_row(spark), 2), lambda: make_writer(lake)):
        with pytest.raises(LakeError, match="gold/trends was set back by RESTORE"):
            other()
    assert tweets(spark, lake) == 1
