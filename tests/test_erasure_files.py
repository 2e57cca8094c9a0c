"""After the retention, no file of the lake has the text or the user id of an erased tweet, and a report says so."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from spark_apps.tables import BRONZE_TWEETS, QUARANTINE
from tests.conftest import Pipeline
from tests.lakes import flat_tweet
from tests.test_erasure import retweet

RETENTION_SECONDS = 15.0
SECRET, USER = "a secret text", "987654321987"


def files_with(lake: str, *texts: str) -> list[str]:
    """Return the files of a lake that contain one of `texts`, decoded if they are Parquet files."""
    holding = []
    for file in sorted(Path(lake).rglob("*")):
        if not file.is_file():
            continue
        content = str(pq.read_table(file).to_pylist()) if file.suffix == ".parquet" else file.read_text("latin-1")
        if any(text in content for text in texts):
            holding.append(str(file.relative_to(lake)))
    return holding


def report(command: Callable[..., Result], lake: str) -> list[dict[str, object]]:
    done = command("erasures", "--lake", lake, "--json")
    assert done.exit_code == 0, done.output
    erasures: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])["erasures"]
    return erasures


@pytest.mark.slow
def test_no_file_has_an_erased_text_after_the_retention(pipeline: Pipeline, command: Callable[..., Result]) -> None:
    pipeline.settings.retention_hours = RETENTION_SECONDS / 3600
    secret = json.loads(flat_tweet(1, full_text=f"{SECRET} 1", user_id=USER))
    other = json.loads(flat_tweet(2, full_text="a public text"))
    pipeline.land("one.json", json.dumps(secret))
    pipeline.land("two.json", json.dumps([other, secret | {"id": 3}]))
    pipeline.land("copy.json", json.dumps(secret | {"more": 1}))
    pipeline.land("rejected.json", json.dumps(secret | {"timestamp": f"no time: {SECRET}"}))
    pipeline.land("cut off.json", json.dumps({"user_id": USER} | secret)[:-3])
    pipeline.land("retweet.json", retweet(5, 4).replace("I like tweet 4", SECRET))
    pipeline.run_once()
    assert len(files_with(pipeline.lake, SECRET)) >= 4

    where = ["--landing", pipeline.landing]
    assert command("forget", "--user", USER, "--tweet", "4", "--why", "request 17", *where).exit_code == 0
    pipeline.run_once()
    (erasure,) = report(command, pipeline.lake)
    assert (erasure["state"], erasure["tweets"], erasure["users"]) == ("applied", 1, 1)
    texts = {Path(row["source_file"]).name: row["raw"] for row in pipeline.rows(BRONZE_TWEETS)}
    assert json.loads(texts.pop("two.json")) == [other]
    assert "request 17" in texts.pop(next(name for name in texts if name.startswith("erasure-")))
    assert set(texts.values()) == {None}
    assert {row["raw"] for row in pipeline.rows(QUARANTINE)} == {None}

    time.sleep(RETENTION_SECONDS + 1)
    pipeline.land("again.json", json.dumps(other))
    pipeline.run_once()
    assert files_with(pipeline.lake, SECRET, USER) == []
    (erasure,) = report(command, pipeline.lake)
    assert erasure["state"] == "complete" and erasure["complete_at"]
    shown = command("erasures", "--lake", pipeline.lake, "--user", USER)
    assert "complete" in shown.output and "request 17" in shown.output
    assert "no erasures" in command("erasures", "--lake", pipeline.lake, "--user", "1").output


@pytest.mark.slow
def test_a_document_that_lands_again_after_the_erasure_is_erased_too(pipeline: Pipeline) -> None:
    streams = pipeline.streams("bronze", "silver")
    pipeline.land("1.json", flat_tweet(1, full_text=SECRET))
    pipeline.land("2.json", json.dumps({"delete": {"status": {"id_str": "1"}}}))
    pipeline.run_once(*streams)
    pipeline.land("3.json", flat_tweet(1, full_text=SECRET))
    pipeline.run_once(*streams)
    rows = {Path(row["source_file"]).name: row for row in pipeline.rows(BRONZE_TWEETS)}
    assert json.loads(rows.pop("2.json")["raw"])["erasure"]["tweets"] == ["1"]
    assert {(row["raw"], row["problem"]) for row in rows.values()} == {(None, "erased")}
