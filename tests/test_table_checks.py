"""The streams add columns to their tables, and refuse tables and checkpoints that are not theirs."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from spark_apps import tables
from spark_apps.lake import delta_tables
from spark_apps.lake.commits import LakeError
from spark_apps.lake.failures import newest_failure
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.silver import app as silver
from spark_apps.tables import SILVER_TWEETS, Column
from tests.conftest import Pipeline, open_pipeline
from tests.lakes import flat_tweet

LAYERS = ("bronze", "silver")


@pytest.fixture(scope="module")
def one_tweet(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake with one tweet in Bronze and Silver."""
    with open_pipeline(spark, tmp_path_factory.mktemp("one-tweet")) as pipeline:
        pipeline.land("1.json", flat_tweet(1, stats={"likes": 5}))
        pipeline.run_once(*pipeline.streams(*LAYERS))
        return Path(pipeline.lake)


@pytest.fixture
def filled(spark: SparkSession, tmp_path: Path, one_tweet: Path) -> Iterator[Pipeline]:
    """Yield a pipeline with a copy of the lake with one tweet."""
    with open_pipeline(spark, tmp_path, one_tweet) as pipeline:
        yield pipeline


def test_a_field_of_the_json_becomes_a_column_when_the_schema_has_it(
    filled: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tables.SCHEMA_VERSION + 1
    with monkeypatch.context() as patch:
        # The same as an edit of tables.py.
        likes = Column("likes", "BIGINT", "number of likes", json_path="stats.likes")
        evolved = replace(SILVER_TWEETS, columns=(*SILVER_TWEETS.columns, likes))
        patch.setattr(silver, "SILVER_TWEETS", evolved)
        patch.setattr(tables, "SCHEMA_VERSION", newer)
        filled.land(
            "2.json", flat_tweet(2, stats={"likes": 7}) + flat_tweet(3, stats={"likes": "many"}) + flat_tweet(4)
        )
        filled.run_once(*filled.streams(*LAYERS))
        likes_by_id = {row["id"]: row["likes"] for row in filled.rows(evolved)}
        assert likes_by_id == {"1": None, "2": 7, "3": None, "4": None}
        assert read_status(filled.lake).tables[SILVER_TWEETS.name].schema_version == newer
    # Bronze keeps the value that does not fit the column.
    assert any('"many"' in row["raw"] for row in filled.rows(tables.BRONZE_TWEETS))

    with pytest.raises(LakeError, match="written by a newer version of this program"):
        filled.run_once(*filled.streams(*LAYERS))


def test_a_column_of_another_type_is_refused_by_name(filled: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = tuple(
        replace(column, type="BIGINT") if column.name == "user_id" else column for column in SILVER_TWEETS.columns
    )
    monkeypatch.setattr(silver, "SILVER_TWEETS", replace(SILVER_TWEETS, columns=columns))
    with pytest.raises(LakeError, match="user_id is STRING, not BIGINT"):
        filled.run_once(*filled.streams(*LAYERS))


def test_a_lake_without_the_table_of_erasures_gets_one(filled: Pipeline) -> None:
    """An earlier version of the program did not write this table."""
    shutil.rmtree(tables.ERASURES.path(filled.lake))
    identity = Path(filled.lake, "checkpoints", "silver", "identity.json")
    saved = json.loads(identity.read_text())
    del saved["tables"][tables.ERASURES.name]
    identity.write_text(json.dumps(saved))
    filled.land("2.json", json.dumps({"delete": {"status": {"id_str": "1"}}}))
    filled.run_once(*filled.streams(*LAYERS))
    assert [row["key"] for row in filled.rows(tables.ERASURES)] == ["1"]
    assert filled.rows(SILVER_TWEETS) == []
    assert tables.ERASURES.name in json.loads(identity.read_text())["tables"]


def test_a_checkpoint_of_other_tables_is_refused(filled: Pipeline, tmp_path: Path) -> None:
    Path(filled.lake, "silver", "tweets").rename(tmp_path / "moved")
    with pytest.raises(
        LakeError, match=r"checkpoints/silver belongs to other tables .*silver/tweets recreated"
    ) as refused:
        filled.run_once(*filled.streams(*LAYERS))
    # The remedy is to compute the tables of Silver again: Bronze must not be deleted.
    assert "silver/quarantine" in str(refused.value) and "bronze/tweets" not in str(refused.value)
    # The lake keeps the reason after the process has ended.
    error = str(newest_failure(filled.lake, ["bronze", "silver"]))
    assert "bronze: " in error and "belongs to other tables" in error


def test_a_second_writer_of_a_table_stops_with_an_error(filled: Pipeline) -> None:
    first = TableWriter(filled.lake, SILVER_TWEETS, "silver", "silver:one")
    second = TableWriter(filled.lake, SILVER_TWEETS, "silver", "silver:two")
    row = delta_tables.read(filled.spark, filled.lake, SILVER_TWEETS).limit(1)
    for batch in (1, 2):
        first.append(row, batch, {"rows": 1})
    # Maintenance between two batches is not another writer.
    DeltaTable.forPath(filled.spark, SILVER_TWEETS.path(filled.lake)).optimize().executeCompaction()
    first.append(row, 3, {"rows": 1})
    first.append(row, 3, {"rows": 1})
    assert TableWriter(filled.lake, SILVER_TWEETS, "silver", "silver:one").is_committed(3)
    assert not second.is_committed(0)
    with pytest.raises(LakeError, match=r"silver/tweets was written by another process \(version \d+: batch 3 of"):
        second.append(row, 1, {"rows": 1})
    assert delta_tables.read(filled.spark, filled.lake, SILVER_TWEETS).count() == 1 + 3


def test_a_lake_that_is_not_writable_is_named(pipeline: Pipeline) -> None:
    Path(pipeline.lake).write_text("a file in place of the lake")
    with pytest.raises(LakeError, match=f"cannot create or update {pipeline.lake}/bronze/tweets"):
        pipeline.run_once(*pipeline.streams(*LAYERS))
