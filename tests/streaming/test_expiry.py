"""Bronze and the quarantine delete their oldest days: nothing is read again, no sum changes, no reader loses a row."""

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event

import pyarrow as pa
import pytest

from spark_apps.bronze import app as bronze
from spark_apps.bronze import reconcile
from spark_apps.demo.generator import Generator, Mix
from spark_apps.demo.malformed import Expected
from spark_apps.lake.delta_tables import sql_name
from spark_apps.lake.status import read_status
from spark_apps.landing.log import LandingLog
from spark_apps.quality.measurements import waiting_since
from spark_apps.silver.rebuild import rebuild
from spark_apps.silver.replay import ReplayCounts, replay
from spark_apps.streaming.expiry import first_unread_day
from spark_apps.streaming.stream import BatchReport
from spark_apps.tables import BRONZE_TWEETS, QUARANTINE, SILVER_TWEETS, Table
from tests.conftest import Pipeline
from tests.failing_writes import fail_write
from tests.lakes import flat_tweet

DAYS, AGE = 30, 40
EXPIRING = (BRONZE_TWEETS, QUARANTINE)


class AgingPipeline:
    """A pipeline with landed files whose names begin with `old-`: they landed, and were read, 40 days ago."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.expected = Expected()
        self._generator = Generator(7, mix=Mix(duplicates=0.1, malformed=0.3))

    def land(self, prefix: str = "new-") -> None:
        for file in self._generator.files(30, 15):
            self.pipeline.land(prefix + file.name, file.data)
            self.expected += file.expected

    def run(self, *layers: str, prefix: str = "new-") -> list[BatchReport]:
        """Land two files and run Bronze and Silver, or other layers; at its end, the run deletes old rows."""
        self.land(prefix)
        return self.pipeline.run_once(*self.pipeline.streams(*(layers or ("bronze", "silver"))))

    def age(self, *tables: Table) -> None:
        """Let the rows of some tables, by default of all, seem to be read 40 days earlier."""
        for table in tables or (BRONZE_TWEETS, SILVER_TWEETS, QUARANTINE):
            earlier = f"ingested_at - INTERVAL {AGE} DAYS"
            days = f", ingest_date = to_date({earlier})" if table.partition else ""
            name = sql_name(table.path(self.pipeline.lake))
            self.pipeline.spark.sql(f"UPDATE {name} SET ingested_at = {earlier}{days}")

    def reconcile(self) -> None:
        """Let the next batch of Bronze compare the landing with its table."""
        folder = Path(self.pipeline.lake, "checkpoints/bronze/landing")
        LandingLog(str(folder)).request_reconciliation(f"reconciliation-{time.time()}", time.time())

    def expired(self) -> dict[str, int]:
        tables = read_status(self.pipeline.lake).tables
        return {table.name: tables[table.name].expired for table in EXPIRING if tables[table.name].expired}

    def check(self) -> None:
        """Assert that each record is counted once, and that tables and totals agree."""
        status, expected = read_status(self.pipeline.lake), self.expected
        for table, rows in ((BRONZE_TWEETS, expected.documents), (QUARANTINE, expected.quarantine.total())):
            assert len(self.pipeline.rows(table)) + status.tables[table.name].expired == rows, table.name
        assert status.quarantine == expected.quarantine
        ids = [row["id"] for row in self.pipeline.rows(SILVER_TWEETS)]
        assert len(ids) == len(set(ids)) == expected.tweets
        totals = status.tables[SILVER_TWEETS.name].totals
        counts = totals["documents"], totals["rows"], totals["duplicates"]
        assert counts == (expected.documents, expected.tweets, expected.duplicates)
        assert status.lag["silver"] == 0


def aged_lister(
    landing: str, after: float, before: float
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return the lister of a reconciliation, for which the files `old-…` landed 40 days ago."""

    def rows(nothing: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # The name is not patched in the process of a task.
        for batch in reconcile._lister(landing, 0.0, before)(nothing):
            files = batch.to_pylist()
            for file in files:
                file["landed_at"] -= AGE * 86_400.0 * ("/old-" in file["uri"])
            yield pa.RecordBatch.from_pylist([file for file in files if after < file["landed_at"]], batch.schema)

    return rows


@pytest.fixture
def aging(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> AgingPipeline:
    monkeypatch.setattr(reconcile, "_lister", aged_lister)
    pipeline.settings.bronze_days = pipeline.settings.quarantine_days = DAYS
    return AgingPipeline(pipeline)


@pytest.mark.slow
def test_old_days_are_deleted_and_no_sum_changes(aging: AgingPipeline) -> None:
    pipeline = aging.pipeline
    aging.run(prefix="old-")
    old, rejected = aging.expected.documents, aging.expected.quarantine.total()
    aging.age()
    aging.run()
    assert aging.expired() == {QUARANTINE.name: rejected}  # no reconciliation has found all files in Bronze yet
    aging.reconcile()
    aging.run()
    assert aging.expired() == {BRONZE_TWEETS.name: old, QUARANTINE.name: rejected}
    aging.check()

    # Neither a reconciliation nor a checkpoint without its log reads the files of deleted documents again.
    aging.reconcile()
    assert sum(report.counts.get("missed", 0) for report in aging.run()) == 0
    aging.check()
    shutil.rmtree(Path(pipeline.lake, "checkpoints"))
    aging.land()  # only the reconciliation finds these files
    aging.run()
    aging.check()
    assert aging.expired() == {BRONZE_TWEETS.name: old, QUARANTINE.name: rejected}


@pytest.mark.slow
def test_documents_stay_until_silver_has_read_them(aging: AgingPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = aging.pipeline
    pipeline.settings.bronze_days, pipeline.settings.quarantine_days = -1, 0  # the documents of today are too old
    monkeypatch.setattr(bronze, "reconciled_until", lambda _: date.max)
    aging.run("bronze")
    assert aging.expired() == {}  # Silver has not begun
    pipeline.run_once(*pipeline.streams("silver"))
    aging.run("bronze")
    assert aging.expired() == {}  # Silver has not read the newest commit
    aging.run()
    assert aging.expired() == {BRONZE_TWEETS.name: aging.expected.documents}
    aging.run("bronze")
    aging.run()
    aging.check()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failed_deletion_is_repeated(aging: AgingPipeline, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    aging.run(prefix="old-")
    aging.age()
    aging.reconcile()
    with monkeypatch.context() as patch:
        for table in EXPIRING:
            fail_write(patch, "expire", table, when)
        aging.run()
    assert len(aging.expired()) == (2 if when == "after" else 0)
    aging.run()
    assert len(aging.expired()) == 2
    aging.check()


@pytest.mark.slow
def test_silver_can_be_computed_again_from_the_documents_that_are_left(aging: AgingPipeline) -> None:
    pipeline = aging.pipeline
    aging.run(prefix="old-")
    aging.age()
    aging.reconcile()
    aging.run()
    left = len(pipeline.rows(BRONZE_TWEETS))
    assert 0 < left < aging.expected.documents
    shutil.rmtree(Path(pipeline.lake, "silver"))
    shutil.rmtree(Path(pipeline.lake, "checkpoints", "silver"))
    aging.run()
    status = read_status(pipeline.lake)
    assert status.tables[SILVER_TWEETS.name].totals["documents"] == len(pipeline.rows(BRONZE_TWEETS))
    assert status.lag["silver"] == 0
    assert waiting_since(pipeline.lake, BRONZE_TWEETS, SILVER_TWEETS, "documents") is None


@pytest.mark.slow
def test_a_rebuild_of_silver_does_not_bring_rejected_records_back(aging: AgingPipeline) -> None:
    pipeline = aging.pipeline
    pipeline.settings.bronze_days = 0
    aging.run(prefix="old-")
    aging.age()
    aging.run()
    before, rows = aging.expired(), sorted(pipeline.rows(QUARANTINE))
    assert before.keys() == {QUARANTINE.name}
    done = rebuild(pipeline.spark, pipeline.settings, None, lambda _: None, Event())
    assert (done.corrections.rejected, done.documents_since) == (0, None)
    assert (aging.expired(), sorted(pipeline.rows(QUARANTINE))) == (before, rows)

    pipeline.settings.bronze_days = DAYS
    aging.reconcile()
    aging.run()
    done = rebuild(pipeline.spark, pipeline.settings, None, lambda _: None, Event())
    assert done.corrections.rejected == 0
    assert done.documents_since == datetime.now(UTC).date() - timedelta(days=DAYS)
    aging.check()


@pytest.mark.slow
def test_a_replaced_character_is_not_replayed_once_its_document_is_gone(aging: AgingPipeline) -> None:
    """Only Bronze knows that the text had invalid bytes."""
    pipeline = aging.pipeline
    pipeline.settings.quarantine_days = 0
    streams = pipeline.streams("bronze", "silver")
    pipeline.land("old-1.json", flat_tweet(1, full_text="caf?").encode().replace(b"?", b"\xe9"))
    pipeline.run_once(*streams)
    aging.age()
    aging.reconcile()
    pipeline.land("2.json", flat_tweet(2))
    pipeline.run_once(*streams)
    assert len(pipeline.rows(BRONZE_TWEETS)) == 1
    (row,) = pipeline.rows(QUARANTINE)
    assert row["reason"] == "bad_encoding" and "\ufffd" in row["raw"]
    done = replay(pipeline.spark, pipeline.settings, ["bad_encoding"], None, lambda _: None, Event())
    assert done == ReplayCounts(rows=0) and len(pipeline.rows(QUARANTINE)) == 1


@pytest.mark.slow
def test_deleted_rows_leave_the_disk_even_if_no_batch_writes_the_table(aging: AgingPipeline) -> None:
    pipeline = aging.pipeline
    pipeline.settings.retention_hours = 15 / 3600
    streams = pipeline.streams("bronze", "silver")
    pipeline.land("old-1.json", '{"a secret": 1}')
    pipeline.run_once(*streams)
    aging.age()
    pipeline.run_once(*streams)

    def files() -> list[Path]:
        return list(Path(QUARANTINE.path(pipeline.lake)).glob("ingest_date=*/*.parquet"))

    assert pipeline.rows(QUARANTINE) == [] and files()
    time.sleep(16)
    pipeline.run_once(*streams)
    assert not files()


def test_a_day_counts_as_unread_unless_a_stream_has_read_all_its_rows(aging: AgingPipeline) -> None:
    pipeline = aging.pipeline
    spark, lake, today = pipeline.spark, pipeline.lake, datetime.now(UTC).date()
    aging.run("bronze")
    assert first_unread_day(spark, lake, BRONZE_TWEETS, "silver") == date.min
    pipeline.run_once(*pipeline.streams("silver"))
    assert first_unread_day(spark, lake, BRONZE_TWEETS, "silver") == date.max
    # A kill has left the last batch planned but not processed.
    commits = Path(lake, "checkpoints", "silver", "commits")
    newest = max(commits.glob("[0-9]*"), key=lambda file: int(file.name))
    newest.unlink()
    assert first_unread_day(spark, lake, BRONZE_TWEETS, "silver") == date.min
    pipeline.run_once(*pipeline.streams("silver"))
    aging.run("bronze")
    assert first_unread_day(spark, lake, BRONZE_TWEETS, "silver") == today - timedelta(days=1)
