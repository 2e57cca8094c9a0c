"""Delta's RESTORE of a table: the streams refuse to continue, and one command brings the rows back."""

import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer.testing import Result

from spark_apps.lake.commits import LakeError, open_existing_table
from spark_apps.lake.delta_tables import sql_name
from spark_apps.lake.reverted import version_before_restore
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.streaming.stream import Stream
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, QUARANTINE, SILVER_TWEETS, Table
from spark_apps.undo_restore import undo_restore
from tests import process
from tests.conftest import Pipeline
from tests.exactness import assert_aggregates_match
from tests.lakes import flat_tweet
from tests.s3_server import S3Server

# Each table, and a layer that writes it and one that reads it.
TABLES: list[tuple[Table, str, str]] = [
    (BRONZE_TWEETS, "bronze", "silver"),
    (SILVER_TWEETS, "silver", "gold"),
    (GOLD_SENTIMENT, "gold", "gold"),
]


def restore(pipeline: Pipeline, table: Table, version: int) -> None:
    name = sql_name(table.path(pipeline.lake))
    pipeline.spark.sql(f"RESTORE TABLE {name} TO VERSION AS OF {version}")


def version(pipeline: Pipeline, table: Table) -> int:
    return open_existing_table(pipeline.lake, table).version()


@pytest.mark.slow
def test_a_restored_table_is_refused_until_the_restore_is_undone(
    pipeline: Pipeline, command: Callable[..., Result]
) -> None:
    versions = {}
    for number in range(1, 4):
        pipeline.land(f"{number}.json", flat_tweet(number))
        pipeline.run_once()
        versions[number] = {table: version(pipeline, table) for table, *_ in TABLES}
    for table, *_ in TABLES:
        restore(pipeline, table, versions[1][table])
    pipeline.land("4.json", flat_tweet(4))
    before = pipeline.versions()
    for _, *layers in TABLES:
        for layer in layers:
            with pytest.raises(LakeError, match=r"was set back by RESTORE after version \d+.*undo-restore --lake"):
                pipeline.run_once(*pipeline.streams(layer))
    refused = command("rescore", "--lake", pipeline.lake)
    assert "was set back by RESTORE" in refused.output
    assert pipeline.versions() == before

    done = command("undo-restore", "--lake", pipeline.lake)
    assert done.exit_code == 0, done.output
    assert "bronze/tweets: the rows of version" in done.output
    pipeline.run_once()
    for table, key in ((BRONZE_TWEETS, "source_file"), (SILVER_TWEETS, "id"), (GOLD_SENTIMENT, "id")):
        rows = pipeline.rows(table)
        assert len(rows) == len({row[key] for row in rows}) == 4, table.name
    assert_aggregates_match(pipeline.spark, pipeline.lake)
    assert "no table was set back by RESTORE" in command("undo-restore", "--lake", pipeline.lake).output


@pytest.mark.slow
def test_only_a_restore_that_reverts_a_batch_counts(pipeline: Pipeline) -> None:
    def is_reverted() -> bool:
        return version_before_restore(open_existing_table(pipeline.lake, BRONZE_TWEETS)) is not None

    for number in range(1, 3):
        pipeline.land(f"{number}.json", flat_tweet(number))
        pipeline.run_once(*pipeline.streams("bronze"))
    last = version(pipeline, BRONZE_TWEETS)
    pipeline.spark.sql(f"OPTIMIZE {sql_name(BRONZE_TWEETS.path(pipeline.lake))}")
    restore(pipeline, BRONZE_TWEETS, last)
    assert not is_reverted()
    restore(pipeline, BRONZE_TWEETS, last - 1)
    assert is_reverted()
    reverted = version(pipeline, BRONZE_TWEETS)
    restore(pipeline, BRONZE_TWEETS, last)
    assert not is_reverted()
    restore(pipeline, BRONZE_TWEETS, reverted)
    assert is_reverted()


@pytest.mark.slow
def test_a_restore_back_and_forth_is_not_read_as_new_rows(pipeline: Pipeline) -> None:
    """The second RESTORE only adds files: files that the next stream has read, and a file that it has not read."""
    first: dict[Table, int] = {}
    for number in range(1, 3):
        pipeline.land(f"{number}.json", flat_tweet(number))
        pipeline.run_once()
        first = first or {table: version(pipeline, table) for table, *_ in TABLES}
    for unread, (table, *_) in enumerate(TABLES, start=3):
        pipeline.land(f"{unread}.json", flat_tweet(unread))
        pipeline.run_once(*before(pipeline, str(table.reader)))
        last = version(pipeline, table)
        restore(pipeline, table, first[table])
        restore(pipeline, table, last)
        pipeline.run_once()
        for name, key in ((BRONZE_TWEETS, "source_file"), (SILVER_TWEETS, "id"), (GOLD_SENTIMENT, "id")):
            rows = pipeline.rows(name)
            assert len(rows) == len({row[key] for row in rows}) == unread, (table.name, name.name)
        status = read_status(pipeline.lake)
        assert status.tables[SILVER_TWEETS.name].totals["documents"] == unread
        assert status.lag == {"silver": 0, "gold": 0, "aggregates": 0}
        assert_aggregates_match(pipeline.spark, pipeline.lake)


def before(pipeline: Pipeline, reader: str) -> list[Stream]:
    """Return the streams before the one that reads a table, along the path of a tweet."""
    streams = pipeline.streams()
    return streams[: [stream.name for stream in streams].index(reader)]


@pytest.mark.slow
def test_a_restored_deletion_is_undone(pipeline: Pipeline) -> None:
    """The RESTORE only adds files. The totals say that they were deleted, and Silver has read them."""
    layers = ("bronze", "silver")
    for number in range(1, 3):
        pipeline.land(f"{number}.json", flat_tweet(number) + "{")
        pipeline.run_once(*pipeline.streams(*layers))
    last = version(pipeline, BRONZE_TWEETS)
    writer = TableWriter(pipeline.lake, BRONZE_TWEETS, "bronze", "bronze:expiry")
    writer.expire(pipeline.spark, date.max)
    assert pipeline.rows(BRONZE_TWEETS) == []
    restore(pipeline, BRONZE_TWEETS, last)
    assert len(pipeline.rows(BRONZE_TWEETS)) == 4
    versions = pipeline.versions()
    for layer in layers:
        with pytest.raises(LakeError, match="was set back by RESTORE"):
            pipeline.run_once(*pipeline.streams(layer))
    assert pipeline.versions() == versions

    assert [done.table for done in undo_restore(pipeline.spark, pipeline.lake)] == [BRONZE_TWEETS.name]
    assert pipeline.rows(BRONZE_TWEETS) == []
    pipeline.land("3.json", flat_tweet(3) + "{")
    pipeline.run_once(*pipeline.streams(*layers))
    status = read_status(pipeline.lake)
    assert sorted(row["id"] for row in pipeline.rows(SILVER_TWEETS)) == ["1", "2", "3"]
    assert status.tables[SILVER_TWEETS.name].totals["documents"] == 6 and status.tables[BRONZE_TWEETS.name].expired == 4
    assert len(pipeline.rows(QUARANTINE)) == sum(status.quarantine.values()) == 3 and status.lag["silver"] == 0


def test_lost_rows_whose_files_are_gone_need_a_backup(pipeline: Pipeline, command: Callable[..., Result]) -> None:
    for number in range(1, 3):
        pipeline.land(f"{number}.json", flat_tweet(number))
        pipeline.run_once(*pipeline.streams("bronze"))
    restore(pipeline, BRONZE_TWEETS, version(pipeline, BRONZE_TWEETS) - 1)
    folder = Path(BRONZE_TWEETS.path(pipeline.lake))
    current = set(open_existing_table(pipeline.lake, BRONZE_TWEETS).file_uris())
    for file in folder.glob("ingest_date=*/*.parquet"):
        if str(file) not in current:
            file.unlink()
    done = command("undo-restore", "--lake", pipeline.lake)
    assert done.exit_code == 2 and "restore a backup, see docs/backup.md" in done.stderr


@pytest.mark.slow
def test_deletions_are_restored_and_undone_on_s3() -> None:
    server = S3Server()
    try:
        script = [sys.executable, "-m", "tests.s3_retention"]
        done = process.run_command(script, os.environ | process.ENVIRONMENT | server.environment)
    finally:
        server.stop()
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stdout + done.stderr
