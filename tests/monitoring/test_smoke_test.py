"""Smoke tests (`tweet-sentiment follow`) that fail; test_scrape.py has one that passes."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from spark_apps.cli.main import app
from spark_apps.smoke_test import SmokeTestError, run_smoke_test
from spark_apps.tables import SILVER_TWEETS


def test_without_streams_the_error_names_the_file_and_the_layers(tmp_path: Path) -> None:
    arguments = ["--landing", str(tmp_path / "landing"), "--lake", str(tmp_path / "lake"), "--seconds", "1"]
    done = CliRunner().invoke(app, ["follow", *arguments])
    assert done.exit_code == 1 and done.stdout == ""
    (landed,) = (tmp_path / "landing").iterdir()
    assert str(landed) in done.stderr and "bronze and silver" in done.stderr
    tweet = json.loads(landed.read_text())
    assert tweet["id"] in tweet["full_text"]


def test_without_gold_the_error_names_gold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = str(tmp_path / "lake")

    def pretend_to_be_silver(_landing: str, _name: str, data: bytes) -> str:
        rows = {"id": [json.loads(data)["id"]], "ingested_at": pa.array([datetime.now(UTC)], pa.timestamp("us", "UTC"))}
        write_deltalake(SILVER_TWEETS.path(lake), pa.table(rows))
        return "somewhere"

    monkeypatch.setattr("spark_apps.storage.put", pretend_to_be_silver)
    with pytest.raises(SmokeTestError, match=r"is in silver/tweets of .*: check the driver of gold"):
        run_smoke_test("nowhere", lake, 1)


def test_an_unreadable_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake" / SILVER_TWEETS.name / "_delta_log").mkdir(parents=True)
    (tmp_path / "lake" / SILVER_TWEETS.name / "_delta_log" / f"{0:020}.json").write_text("rubbish")
    with pytest.raises(SmokeTestError, match=r"\(.*silver/tweets cannot be read: "):
        run_smoke_test(str(tmp_path / "landing"), str(tmp_path / "lake"), 1)
