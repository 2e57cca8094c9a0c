"""A process that deletes old rows on S3, restores them with Delta's RESTORE, and undoes the RESTORE.

A process of its own: deltalake holds the interpreter's lock while it reads, and the test's process runs the server.
"""

from datetime import UTC, date, datetime, timedelta

import pytest

from spark_apps.lake.commits import LakeError, open_existing_table
from spark_apps.lake.delta_tables import sql_name
from spark_apps.lake.status import read_status
from spark_apps.lake.writer import TableWriter
from spark_apps.session import make_session
from spark_apps.settings import Settings
from spark_apps.tables import BRONZE_TWEETS, QUARANTINE, SILVER_TWEETS
from spark_apps.undo_restore import undo_restore
from tests.conftest import Pipeline
from tests.lakes import flat_tweet


def main() -> None:
    settings = Settings(landing="s3a://lake/landing", lake="s3a://lake/lake", cores=2, quarantine_days=30)
    pipeline = Pipeline(make_session(settings), settings)
    pipeline.land("1.json", flat_tweet(1) + "{")
    pipeline.run_once(*pipeline.streams("bronze", "silver"))
    name = sql_name(QUARANTINE.path(pipeline.lake))
    day = datetime.now(UTC).date() - timedelta(days=40)
    pipeline.spark.sql(f"UPDATE {name} SET ingest_date = DATE'{day}'")
    before = {table: open_existing_table(pipeline.lake, table).version() for table in (BRONZE_TWEETS, QUARANTINE)}

    # The stream deletes the rejected record, and this process the documents, which Silver has read.
    pipeline.run_once(*pipeline.streams("bronze", "silver"))
    assert read_status(pipeline.lake).tables[QUARANTINE.name].expired == 1
    writer = TableWriter(pipeline.lake, BRONZE_TWEETS, "bronze", "bronze:expiry")
    writer.expire(pipeline.spark, date.max)
    assert pipeline.rows(QUARANTINE) == pipeline.rows(BRONZE_TWEETS) == []

    for table, version in before.items():
        pipeline.spark.sql(f"RESTORE TABLE {sql_name(table.path(pipeline.lake))} TO VERSION AS OF {version}")
    assert (len(pipeline.rows(QUARANTINE)), len(pipeline.rows(BRONZE_TWEETS))) == (1, 2)
    versions = pipeline.versions()
    for layer in ("bronze", "silver"):
        with pytest.raises(LakeError, match="was set back by RESTORE"):
            pipeline.run_once(*pipeline.streams(layer))
    assert pipeline.versions() == versions
    assert {done.table for done in undo_restore(pipeline.spark, pipeline.lake)} == {table.name for table in before}

    pipeline.land("2.json", flat_tweet(2) + "{")
    pipeline.run_once(*pipeline.streams("bronze", "silver"))
    status = read_status(pipeline.lake)
    assert status.tables[SILVER_TWEETS.name].totals["documents"] == 4 and status.lag["silver"] == 0
    assert sorted(row["id"] for row in pipeline.rows(SILVER_TWEETS)) == ["1", "2"]
    assert status.quarantine == {"cut_off": 2}
    for table, expired in ((BRONZE_TWEETS, 2), (QUARANTINE, 1)):
        assert status.tables[table.name].expired == expired
        assert len(pipeline.rows(table)) == {BRONZE_TWEETS: 2, QUARANTINE: 1}[table]
    print("done")


if __name__ == "__main__":
    main()
