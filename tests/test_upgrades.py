"""Lakes of other schema versions: an older one is upgraded in place, a newer one is refused before any write."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from spark_apps import relayout as relayout_module
from spark_apps import storage, tables
from spark_apps.gold import app as gold
from spark_apps.lake.backup import back_up
from spark_apps.lake.commits import LakeError, open_existing_table
from spark_apps.lake.delta_tables import sql_name
from spark_apps.lake.status import read_status
from spark_apps.relayout import relayout
from spark_apps.silver import app as silver
from spark_apps.tables import (
    BRONZE_TWEETS,
    ERASURES,
    GOLD_MENTIONS,
    GOLD_SENTIMENT,
    QUARANTINE,
    SCHEMA_VERSION_PROPERTY,
    SILVER_TWEETS,
    Column,
    Table,
)
from spark_apps.undo_restore import undo_restore
from tests.conftest import Pipeline
from tests.exactness import check
from tests.lakes import flat_tweet
from tests.old_lakes import ADDITIONS, downgrade
from tests.test_backup import Feed, restored, wait_for_commit

REFUSED = r"was written by a newer version of this program \(schema \d+; .*restore a backup from before the upgrade"


def run_under_load(pipeline: Pipeline, feed: Feed) -> None:
    """Run the streams while tweets land, and stop them before they have read all."""
    runner = pipeline.runner()
    streams = threading.Thread(target=runner.run, args=(pipeline.streams(), "0 seconds"))
    feed.land(40)
    streams.start()
    try:
        wait_for_commit(pipeline, GOLD_SENTIMENT)
        feed.land(40)
        wait_for_commit(pipeline, SILVER_TWEETS)
        feed.land(40)
    finally:
        runner.stopping.set()
        streams.join()


def clear_cache(pipeline: Pipeline) -> None:
    # In reality another process opens the lake.
    pipeline.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]


def schema_versions(pipeline: Pipeline) -> set[int | None]:
    tables = read_status(pipeline.lake).tables.values()
    return {table.schema_version for table in tables if table.exists}


def files(pipeline: Pipeline) -> dict[str, bytes | None]:
    """Return the files of the lake with their content, but for the saved errors of the streams."""
    paths = (path for path in storage.paths(pipeline.lake) if not path.endswith(".error.json"))
    return {path: storage.read(f"{pipeline.lake}/{path}") for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 3])
def test_an_older_lake_is_upgraded_under_load(pipeline: Pipeline, version: int) -> None:
    assert max(ADDITIONS) == tables.SCHEMA_VERSION, "describe the new schema version in tests/old_lakes.py"
    pipeline.run_once()  # the tables exist before tweets land
    feed = Feed(pipeline, seed=version)
    run_under_load(pipeline, feed)
    downgrade(Path(pipeline.lake), version)
    clear_cache(pipeline)
    assert not Path(ERASURES.path(pipeline.lake)).exists()
    assert "retweet_of" not in open_existing_table(pipeline.lake, GOLD_SENTIMENT).schema().to_json()
    before = {row["id"] for row in pipeline.rows(GOLD_SENTIMENT)}
    assert before and read_status(pipeline.lake).tables[GOLD_SENTIMENT.name].schema_version == version

    run_under_load(pipeline, feed)
    pipeline.run_once()
    check(pipeline.spark, pipeline.lake, feed.expected)
    assert schema_versions(pipeline) == {tables.SCHEMA_VERSION}
    rows = pipeline.rows(GOLD_SENTIMENT)
    assert {row["id"] for row in rows if row["retweet_of"]} and len(rows) > len(before)
    assert not [row for row in rows if row["id"] in before and row["retweet_of"]]


def upgrade(patch: pytest.MonkeyPatch) -> Table:
    """Make this program its next version, which has another column; return the table with the column."""
    likes = Column("likes", "BIGINT", "number of likes", json_path="stats.likes")
    table = replace(SILVER_TWEETS, columns=(*SILVER_TWEETS.columns, likes))
    patch.setattr(silver, "SILVER_TWEETS", table)
    patch.setattr(tables, "SCHEMA_VERSION", tables.SCHEMA_VERSION + 1)
    return table


@pytest.mark.slow
def test_after_an_upgrade_the_way_back_is_a_backup_from_before(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N−1, N, N−1 and N again: the streams are stopped and started while tweets land."""
    pipeline.run_once()
    feed = Feed(pipeline, seed=5)
    run_under_load(pipeline, feed)
    back_up(pipeline.lake, str(tmp_path / "backup"))
    with monkeypatch.context() as patch:
        evolved = upgrade(patch)
        run_under_load(pipeline, feed)
        pipeline.run_once()
        check(pipeline.spark, pipeline.lake, feed.expected)
    before = files(pipeline)
    for layer in ("bronze", "silver", "gold"):
        with pytest.raises(LakeError, match=REFUSED):
            pipeline.run_once(*pipeline.streams(layer))
    assert files(pipeline) == before

    older = restored(pipeline, tmp_path / "backup", tmp_path / "restored")
    older.run_once()
    check(older.spark, older.lake, feed.expected)
    assert schema_versions(older) == {tables.SCHEMA_VERSION}
    # Nothing was written, so the newer version continues where it was.
    with monkeypatch.context() as patch:
        upgrade(patch)
        pipeline.land("likes.json", flat_tweet(77, stats={"likes": 7}))
        pipeline.run_once()
        assert {row["likes"] for row in pipeline.rows(evolved)} == {None, 7}


@pytest.fixture
def partly_newer(pipeline: Pipeline) -> Pipeline:
    """A pipeline with a lake of which a newer version has written two tables; others are still to be upgraded."""
    pipeline.land("1.json", flat_tweet(1) + "{")
    pipeline.run_once()
    others = dict.fromkeys((BRONZE_TWEETS, SILVER_TWEETS, GOLD_SENTIMENT), tables.SCHEMA_VERSION - 1)
    for table, version in {**others, **dict.fromkeys((QUARANTINE, GOLD_MENTIONS), tables.SCHEMA_VERSION + 1)}.items():
        version_property = f"'{SCHEMA_VERSION_PROPERTY}' = '{version}'"
        pipeline.spark.sql(f"ALTER TABLE {sql_name(table.path(pipeline.lake))} SET TBLPROPERTIES ({version_property})")
    entry = max(Path(GOLD_MENTIONS.path(pipeline.lake), "_delta_log").glob("*.json"))
    metadata = {"query": "gold-aggregates", "app": "gold-aggregates:1", "batch": 7, "counts": {}, "totals": {"rows": 1}}
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["userMetadata"] = json.dumps({**metadata, "key_of_a_newer_version": 1})
    entry.write_text("".join(f"{json.dumps(action)}\n" for action in actions))
    clear_cache(pipeline)
    pipeline.land("2.json", flat_tweet(2))
    return pipeline


@pytest.mark.slow
def test_a_partly_newer_lake_is_refused_before_any_table_is_written(
    partly_newer: Pipeline, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, lake = partly_newer, partly_newer.lake
    before = files(pipeline)

    def refused(call: Callable[[], object]) -> None:
        with pytest.raises(LakeError, match=REFUSED):
            call()
        assert files(pipeline) == before

    refused(pipeline.run_once)
    refused(lambda: pipeline.run_once(*pipeline.streams("silver")))
    refused(lambda: pipeline.run_once(*gold.streams(pipeline.spark, pipeline.settings)))
    refused(lambda: undo_restore(pipeline.spark, lake))
    with monkeypatch.context() as patch:
        patch.setattr(relayout_module, "_is_current", lambda _: False)
        refused(lambda: relayout(pipeline.spark, pipeline.settings, lambda _: None, threading.Event()))
    for arguments in (
        ("rescore",),
        ("rebuild", "gold"),
        ("rebuild", "silver"),
        ("quarantine", "replay", "--reason", "not_json"),
    ):
        done = command(*arguments, "--lake", lake)
        assert done.exit_code == 2 and "run that version or a later one" in done.stderr, (arguments, done.output)
        assert files(pipeline) == before, arguments
    # Commands that only read, and Bronze, whose tables are not newer, do not stop.
    assert command("tables", "--lake", lake).exit_code == 0
    pipeline.run_once(*pipeline.streams("bronze"))
    assert len(pipeline.rows(BRONZE_TWEETS)) == 3
