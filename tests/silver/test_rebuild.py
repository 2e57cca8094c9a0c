"""`rebuild silver` corrects the tables by the documents of Bronze, and changes nothing else."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from typer.testing import Result

from spark_apps.cli.options import parse_since
from spark_apps.demo.malformed import Expected
from spark_apps.erasure.request import make_request
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import LakeError
from spark_apps.lake.delta_tables import sql_name
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.silver import rebuild as module
from spark_apps.silver import transform
from spark_apps.silver.corrections import Corrections
from spark_apps.silver.rebuild import RebuildError, RebuildResult, RebuiltPart, rebuild
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, QUARANTINE, SILVER_TWEETS, Table
from tests.conftest import Pipeline, open_pipeline
from tests.exactness import check
from tests.failing_writes import fail_write
from tests.lakes import flat_tweet
from tests.silver.lake import copy_of, declare_format, update, write_lake

pytestmark = pytest.mark.slow

LANDED = Expected(
    documents=16, tweets=9, duplicates=3, quarantine=Counter({"not_a_tweet": 2, "cut_off": 1, "no_tweets": 1})
)


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lake(spark, tmp_path_factory.mktemp("lake"))


@pytest.fixture
def pipeline(spark: SparkSession, tmp_path: Path, lake: Path) -> Iterator[Pipeline]:
    with copy_of(spark, lake, tmp_path) as pipeline:
        yield pipeline


def rebuild_silver(
    pipeline: Pipeline, since: date | None = None, stop: Event | None = None
) -> tuple[RebuildResult, list[RebuiltPart]]:
    reports: list[RebuiltPart] = []
    return rebuild(pipeline.spark, pipeline.settings, since, reports.append, stop or Event()), reports


def by_id(pipeline: Pipeline, table: Table = SILVER_TWEETS) -> dict[str, Row]:
    return {row["id"]: row for row in pipeline.rows(table)}


def damage(pipeline: Pipeline) -> None:
    """Give the tables the rows of an older parser: a wrong text, a wrong id, a missed reject and a wrong reason."""
    tweets = SILVER_TWEETS.path(pipeline.lake)
    update(pipeline, tweets, "full_text = 'cut'", "id = '1'")
    update(pipeline, tweets, "id = '999'", "id = '7'")
    rejects = delta_tables.read(pipeline.spark, pipeline.lake, QUARANTINE).where("reason <> 'no_tweets'")
    renamed = F.when(F.col("reason") == "cut_off", "not_json").otherwise(F.col("reason"))
    counts = {"no_tweets": -1, "cut_off": -1, "not_json": 1}
    older = TableWriter(pipeline.lake, QUARANTINE, "older", "older")
    older.replace(rejects.withColumn("reason", renamed), 0, counts=counts)


def test_an_unchanged_lake_stays_as_it_is(pipeline: Pipeline) -> None:
    before = pipeline.versions()
    done, reports = rebuild_silver(pipeline)
    assert (done.documents, done.corrections, len(reports)) == (16, Corrections(), 1)
    assert pipeline.versions() == before
    check(pipeline.spark, pipeline.lake, LANDED)


def test_the_tables_are_corrected_by_the_documents(pipeline: Pipeline) -> None:
    before, rejected = by_id(pipeline), sorted(pipeline.rows(QUARANTINE))
    damage(pipeline)
    done, _ = rebuild_silver(pipeline)
    assert done.corrections == Corrections(added=1, changed=1, removed=1, rejected=1)
    assert by_id(pipeline) == before and sorted(pipeline.rows(QUARANTINE)) == rejected

    # Gold labels the added tweet.
    labelled = by_id(pipeline, GOLD_SENTIMENT)
    assert [report.counts["rows"] for report in pipeline.run_once() if report.stream == "gold"] == [1]
    assert by_id(pipeline, GOLD_SENTIMENT).keys() - labelled.keys() == set()  # it had labelled the tweet before


def test_documents_in_a_declared_format_become_tweets(pipeline: Pipeline, tmp_path: Path) -> None:
    declare_format(pipeline, tmp_path)
    assert rebuild_silver(pipeline)[0].corrections == Corrections(added=1, rejected=-2)
    pipeline.run_once()
    row = by_id(pipeline)["901"]
    assert (row["format"], row["full_text"], row["ingested_at"].date()) == (
        "notes",
        "lovely @bo",
        by_id(pipeline)["1"]["ingested_at"].date(),
    )
    # The copy of tweet 2 was not counted as a duplicate when it was read.
    without = LANDED.quarantine - Counter(not_a_tweet=2)
    check(pipeline.spark, pipeline.lake, Expected(16, 10, 3, without))


def test_a_column_of_a_newer_version_is_filled(pipeline: Pipeline) -> None:
    update(pipeline, SILVER_TWEETS.path(pipeline.lake), "format = NULL")
    assert rebuild_silver(pipeline)[0].corrections == Corrections(changed=9)
    assert {row["format"] for row in pipeline.rows(SILVER_TWEETS)} == {"flat"}


def test_new_documents_are_read_by_the_stream_and_counted_once(pipeline: Pipeline) -> None:
    pipeline.land("third.json", flat_tweet(20) + flat_tweet(1))
    pipeline.run_once(*pipeline.streams("bronze"))
    assert rebuild_silver(pipeline)[0].corrections == Corrections()
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, LANDED + Expected(2, 1, 1))


# The moments between two commits, and after the last one.
@pytest.mark.parametrize(
    ("method", "table", "when"),
    [
        ("merge", SILVER_TWEETS, "before"),
        ("append", SILVER_TWEETS, "before"),
        ("append", SILVER_TWEETS, "after"),
    ],
)
def test_a_failed_rebuild_is_finished_by_the_next_one(pipeline: Pipeline, method: str, table: Table, when: str) -> None:
    before = by_id(pipeline)
    damage(pipeline)
    with pytest.MonkeyPatch.context() as patch:
        fail_write(patch, method, table, when)
        with pytest.raises(RuntimeError, match=f"failed {when} the commit of {table.name}"):
            rebuild_silver(pipeline)
    rebuild_silver(pipeline)
    assert by_id(pipeline) == before
    status = read_status(pipeline.lake)
    assert status.quarantine == LANDED.quarantine
    # A tweet was added and one removed.
    assert status.tables[SILVER_TWEETS.name].totals["rows"] == 10
    assert status.tables[SILVER_TWEETS.name].totals["deleted"] == 1


def test_since_leaves_earlier_documents(pipeline: Pipeline) -> None:
    damage(pipeline)
    done, _ = rebuild_silver(pipeline, datetime.now(UTC).date())
    assert (done.documents, done.corrections) == (7, Corrections(added=1, removed=1, rejected=1))
    assert by_id(pipeline)["1"]["full_text"] == "cut"


def test_a_stopped_rebuild_continues_with_the_next_part(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PART_DOCUMENTS", 1)
    damage(pipeline)
    stop = Event()
    with pytest.raises(RebuildError, match="stopped with 1 of 2 parts left: run the same command"):
        rebuild(pipeline.spark, pipeline.settings, None, lambda _: stop.set(), stop)
    done, reports = rebuild_silver(pipeline)
    assert [report.documents for report in reports] == [7]
    assert done.corrections == Corrections(added=1, removed=1, rejected=1)
    assert "part 1 of 1: 7 documents of 20" in str(reports[0])
    # The next rebuild begins with the first part.
    assert len(rebuild_silver(pipeline)[1]) == 2


def test_a_rebuild_with_another_parser_begins_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_PART_DOCUMENTS", 1)
    stop = Event()
    with pytest.raises(RebuildError, match="with 1 of 2 parts left"):
        rebuild(pipeline.spark, pipeline.settings, None, lambda _: stop.set(), stop)
    declare_format(pipeline, tmp_path)
    done, reports = rebuild_silver(pipeline)
    assert len(reports) == 2 and done.corrections == Corrections(added=1, rejected=-2)


def test_a_row_stays_if_its_document_is_gone(pipeline: Pipeline) -> None:
    bronze = BRONZE_TWEETS.path(pipeline.lake)
    pipeline.spark.sql(f"DELETE FROM {sql_name(bronze)} WHERE source_file LIKE '%first%'")
    before = by_id(pipeline)
    assert rebuild_silver(pipeline)[0].corrections == Corrections()
    assert by_id(pipeline) == before


def test_a_document_that_ends_its_task_is_rejected(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.streaming.test_poison import poison_each

    pipeline.land("third.json", flat_tweet(30, full_text="POISON"))
    pipeline.run_once()
    poison_each(monkeypatch, transform, "_reader")
    assert rebuild_silver(pipeline)[0].corrections == Corrections(removed=1, rejected=1)
    assert [row["source_file"][-10:] for row in pipeline.rows(QUARANTINE) if row["reason"] == "internal_error"] == [
        "third.json"
    ]


def test_erased_tweets_stay_out(pipeline: Pipeline) -> None:
    pipeline.land("erasure.json", json.dumps(make_request(["4", "9"], [], "a request").to_json()))
    pipeline.run_once()
    before = by_id(pipeline)
    rejected = sorted(pipeline.rows(QUARANTINE))
    assert "4" not in before and "9" not in before
    assert rebuild_silver(pipeline)[0].corrections == Corrections()
    assert by_id(pipeline) == before and sorted(pipeline.rows(QUARANTINE)) == rejected


def test_texts_that_only_silver_has_erased_are_not_brought_back(pipeline: Pipeline) -> None:
    pipeline.land("erasure.json", json.dumps(make_request(["4"], [], "a request").to_json()))
    streams: list[Any] = pipeline.streams("bronze", "silver")
    pipeline.runner().run(streams[:1], None)
    pipeline.runner().run(streams[1:], None)
    with pytest.raises(RebuildError, match="still has tweets that were erased from Silver"):
        rebuild_silver(pipeline)


def test_the_command(command: Callable[..., Result], pipeline: Pipeline, tmp_path: Path) -> None:
    damage(pipeline)
    done = command("rebuild", "silver", "--lake", pipeline.lake, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["documents"], result["corrections"]["added"]) == (16, 1)
    refused = command("rebuild", "silver", "--lake", tmp_path / "typo")
    assert refused.exit_code == 2 and "typo does not exist" in refused.stderr
    assert parse_since("2026-01-31") == date(2026, 1, 31)


def test_a_lake_without_rows_needs_no_rebuild(spark: SparkSession, tmp_path: Path) -> None:
    with open_pipeline(spark, tmp_path) as pipeline:
        pipeline.run_once(*pipeline.streams("bronze"))
        assert rebuild_silver(pipeline)[0].documents == 0


def test_a_lake_without_documents_is_refused(spark: SparkSession, pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.settings.lake = str(tmp_path)
    with pytest.raises(LakeError, match="bronze/tweets does not exist: check --lake"):
        rebuild(spark, pipeline.settings, None, lambda _: None, Event())
