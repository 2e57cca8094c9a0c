"""The rows that the layers write, in a lake that all tests of this file read."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession

from spark_apps.lake.status import read_status
from spark_apps.tables import GOLD_SENTIMENT, QUARANTINE, SILVER_TWEETS
from tests.conftest import Pipeline, open_pipeline
from tests.lakes import flat_tweet

IDS = [7, 10, 9, 100, 99, 2**63, 2**64 - 1, 1_050_118_621_198_921_728]
DAYS = ["2009-01-01", "2026-01-01", "2026-01-02"]
OTHER_IDS = {"first": 11, "positive": 21, "negative": 22, "between rejects": 31}
# Silver rejects the blank texts, Gold scores the other texts.
UNUSUAL_TEXTS = {41: "", 42: "  ", 43: "x" * 20_000, 44: "\x00", 45: "plain"}


@pytest.fixture(scope="module")
def filled(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with open_pipeline(spark, tmp_path_factory.mktemp("layers")) as pipeline:
        twice = [flat_tweet(OTHER_IDS["first"], full_text=text) for text in ("first", "second")]
        pipeline.land("twice.json", "".join(twice))
        ids = [flat_tweet(id_, timestamp=f"{DAYS[row % 3]}T00:00:00Z") for row, id_ in enumerate(IDS)]
        pipeline.land("ids.json", "".join(ids))
        opposites = {"positive": "I love this so much!", "negative": "I hate this, it is awful"}
        pipeline.land(
            "opposites.json", "".join(flat_tweet(OTHER_IDS[label], full_text=opposites[label]) for label in opposites)
        )
        notice = '{"delete": {"favorite": {"tweet_id": 1}}}\n'
        rejects = ["no json at all\n", flat_tweet(OTHER_IDS["between rejects"]), notice]
        pipeline.land("rejects.json", "".join(rejects))
        unusual = [flat_tweet(id_, full_text=text) for id_, text in UNUSUAL_TEXTS.items()]
        pipeline.land("unusual.json", "".join(unusual))
        pipeline.run_once()
        # The same ids again, on other days than before.
        again = [flat_tweet(id_, timestamp="2026-03-03T00:00:00Z") for id_ in IDS]
        pipeline.land("again.json", "".join(again) + flat_tweet(8))
        pipeline.run_once()
        yield pipeline


def test_the_first_landed_copy_of_a_tweet_is_kept(filled: Pipeline) -> None:
    (row,) = [row for row in filled.rows(SILVER_TWEETS) if row["id"] == str(OTHER_IDS["first"])]
    assert row["full_text"] == "first"
    assert row["timestamp"] == datetime(2026, 1, 1, tzinfo=UTC).astimezone().replace(tzinfo=None)


def test_duplicates_are_found_whatever_their_id_length_and_day(filled: Pipeline) -> None:
    expected = [*IDS, 8, *OTHER_IDS.values(), *(id_ for id_, text in UNUSUAL_TEXTS.items() if text.strip())]
    assert sorted(int(row["id"]) for row in filled.rows(SILVER_TWEETS)) == sorted(expected)
    assert read_status(filled.lake).tables[SILVER_TWEETS.name].totals["duplicates"] == len(IDS) + 1


def test_gold_scores_each_tweet_once_and_names_the_model(filled: Pipeline) -> None:
    rows = filled.rows(GOLD_SENTIMENT)
    labels = {row["id"]: row["label"] for row in rows}
    assert len(labels) == len(rows) == len(filled.rows(SILVER_TWEETS))
    assert all(labels[str(OTHER_IDS[label])] == label for label in ("positive", "negative"))
    for row in rows:
        probabilities = [row["negative"], row["neutral"], row["positive"]]
        assert sum(probabilities) == pytest.approx(1, abs=1e-3)
        assert row["score"] == max(probabilities) == row[row["label"]]
        assert row["model"] == "tweet-sentiment" and row["model_version"].startswith("bundled-")
        assert row["landed_at"] <= row["ingested_at"] <= row["scored_at"]


def test_unusual_texts_do_not_stop_gold(filled: Pipeline) -> None:
    scored = {int(row["id"]) for row in filled.rows(GOLD_SENTIMENT)} & UNUSUAL_TEXTS.keys()
    assert scored == {id_ for id_, text in UNUSUAL_TEXTS.items() if text.strip()}


def test_quarantine_keeps_the_rejected_records(filled: Pipeline) -> None:
    rows = {row["reason"]: row for row in filled.rows(QUARANTINE)}
    assert rows["not_json"]["raw"] == "no json at all"
    assert json.loads(rows["deletion"]["raw"]) == {"delete": {"favorite": {"tweet_id": 1}}}
    assert all(rows[reason]["source_file"].endswith("rejects.json") for reason in ("not_json", "deletion"))
