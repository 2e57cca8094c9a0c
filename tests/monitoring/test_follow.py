"""What `tweet-sentiment follow` says of a tweet that does not arrive; one that does is in test_scrape."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from spark_apps.smoke_test import FollowError, follow
from spark_apps.tables import SILVER_TWEETS
from tests import process


def test_where_no_stream_runs_it_names_the_file_and_the_layers(tmp_path: Path) -> None:
    done = process.run("follow", "--landing", tmp_path / "landing", "--lake", tmp_path / "lake", "--seconds", "1")
    assert done.returncode == 1 and done.stdout == ""
    (landed,) = (tmp_path / "landing").iterdir()
    assert str(landed) in done.stderr and "bronze and silver" in done.stderr
    tweet = json.loads(landed.read_text())
    assert tweet["id"] in tweet["full_text"]


def test_where_gold_stands_still_it_names_gold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = str(tmp_path / "lake")

    def pretend_to_be_silver(_landing: str, _name: str, data: bytes) -> str:
        rows = {"id": [json.loads(data)["id"]], "ingested_at": pa.array([datetime.now(UTC)], pa.timestamp("us", "UTC"))}
        write_deltalake(SILVER_TWEETS.path(lake), pa.table(rows))
        return "somewhere"

    monkeypatch.setattr("spark_apps.storage.put", pretend_to_be_silver)
    with pytest.raises(FollowError, match=r"is in silver/tweets of .*, so look at the driver of gold"):
        follow("nowhere", lake, 1)


def test_a_lake_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake" / SILVER_TWEETS.name / "_delta_log").mkdir(parents=True)
    (tmp_path / "lake" / SILVER_TWEETS.name / "_delta_log" / f"{0:020}.json").write_text("rubbish")
    with pytest.raises(FollowError, match=r"\(.*silver/tweets cannot be read: "):
        follow(str(tmp_path / "landing"), str(tmp_path / "lake"), 1)
