"""A person can be forgotten: erased tweets leave every table, stay out, and all sums stay exact."""

import json
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from spark_apps.erasure.request import make_request
from spark_apps.gold.recount import recount
from spark_apps.lake.commits import open_existing_table
from spark_apps.lake.status import read_status
from spark_apps.streaming import query_group
from spark_apps.streaming.runner import StreamError
from spark_apps.tables import (
    BRONZE_TWEETS,
    ERASURES,
    GOLD_MENTIONS,
    GOLD_SENTIMENT,
    GOLD_TRENDS,
    QUARANTINE,
    SILVER_TWEETS,
    Table,
)
from tests.conftest import Pipeline
from tests.exactness import assert_aggregates_match
from tests.failing_writes import fail_write
from tests.lakes import flat_tweet
from tests.waiting import until

ERASABLE = (SILVER_TWEETS, GOLD_TRENDS, GOLD_MENTIONS, GOLD_SENTIMENT)


def tweet(number: int, user: str = "1", **fields: object) -> str:
    """Return a tweet that mentions @shared and an account of its own."""
    text = f"I like tweet {number} of @shared and @account{number}"
    return flat_tweet(number, full_text=text, user_id=user, **fields)


def retweet(number: int, original: int) -> str:
    """Return a retweet by another user in the format v1.1."""
    text = f"I like tweet {original} of @shared"
    of = {"id": original, "text": text, "created_at": "2026-01-01T00:00:00Z", "user": {"id": 7}}
    own = {"id": number, "text": f"RT {text}", "created_at": "2026-01-01T00:00:01Z", "user": {"id": 8}}
    return json.dumps(own | {"retweeted_status": of}) + "\n"


def request(tweets: list[str] | None = None, users: list[str] | None = None) -> str:
    return json.dumps(make_request(tweets or [], users or [], "the author asked").to_json()) + "\n"


def deletion(number: int, user: int = 1) -> str:
    """Return Twitter's notice that a tweet was deleted."""
    status = {"id": number, "id_str": str(number), "user_id": user, "user_id_str": str(user)}
    return json.dumps({"delete": {"status": status, "timestamp_ms": "1767225600000"}}) + "\n"


def ids(pipeline: Pipeline, table: Table) -> list[str]:
    return sorted((row["id"] for row in pipeline.rows(table)), key=int)


def totals(pipeline: Pipeline, table: Table) -> Mapping[str, int]:
    return read_status(pipeline.lake).tables[table.name].totals


def check(pipeline: Pipeline, remaining: list[int], records: int) -> None:
    """Assert that the tables have the tweets `remaining`, that the aggregates match, and that the sums are exact.

    Args:
        pipeline: lake to check.
        remaining: numbers of the tweets that remain.
        records: number of all records that have landed.
    """
    assert ids(pipeline, SILVER_TWEETS) == ids(pipeline, GOLD_SENTIMENT) == [str(number) for number in remaining]
    assert_aggregates_match(pipeline.spark, pipeline.lake)
    silver, gold = totals(pipeline, SILVER_TWEETS), totals(pipeline, GOLD_SENTIMENT)
    accounted = silver["rows"] + silver["duplicates"] + silver["erasures"] + silver["erased"]
    assert accounted + sum(totals(pipeline, QUARANTINE).values()) == records
    for table, counts in ((SILVER_TWEETS, silver), (GOLD_SENTIMENT, gold)):
        assert len(pipeline.rows(table)) == counts["rows"] - counts.get("deleted", 0), table.name
    assert read_status(pipeline.lake).lag == {"silver": 0, "gold": 0, "aggregates": 0}


@pytest.mark.slow
def test_erased_tweets_leave_silver_and_gold_and_stay_out(pipeline: Pipeline) -> None:
    pipeline.land("1.json", "".join(tweet(number, str(number % 3)) for number in range(1, 9)) + retweet(10, 3))
    pipeline.run_once()
    pipeline.land("2.json", request(["3"], ["2"]) + tweet(11, "2") + deletion(4) + tweet(12))
    pipeline.run_once()
    # Erased: 2, 5 and 8 (user 2), 3 with its retweet 10, and 4. Kept out: 11 (user 2).
    check(pipeline, [1, 6, 7, 12], 9 + 4)
    mentioned = {row["mention"]: row["total"] for row in pipeline.rows(GOLD_MENTIONS)}
    assert mentioned == {"shared": 4, "account1": 1, "account6": 1, "account7": 1, "account12": 1}

    before = pipeline.versions()
    pipeline.run_once()
    assert pipeline.versions() == before

    pipeline.land("3.json", tweet(3) + tweet(3) + tweet(13, "2") + retweet(14, 3) + tweet(15))
    pipeline.run_once()
    check(pipeline, [1, 6, 7, 12, 15], 9 + 4 + 5)
    assert totals(pipeline, SILVER_TWEETS)["erased"] == 1 + 4
    assert [row["key"] for row in pipeline.rows(ERASURES) if row["kind"] == "tweet"].count("3") == 2


@pytest.mark.slow
def test_notices_are_quarantined_if_the_setting_is_off(pipeline: Pipeline) -> None:
    pipeline.settings.deletion_notices = False
    pipeline.land("1.json", tweet(1) + tweet(2))
    pipeline.land("2.json", deletion(1) + request(["2"]))
    pipeline.run_once()
    check(pipeline, [1], 4)
    assert read_status(pipeline.lake).quarantine == {"deletion": 1}


@pytest.mark.slow
def test_a_failure_before_or_after_any_commit_of_an_erasure_is_repaired(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.land("1.json", "".join(map(tweet, range(1, 6))))
    pipeline.run_once()
    pipeline.land("2.json", request(["2"]) + deletion(3) + tweet(3))
    for when in ("before", "after"):
        with monkeypatch.context() as patch:
            fail_write(patch, "append", ERASURES, when)
            with pytest.raises(StreamError, match=f"failed {when} the commit of silver/erasures"):
                pipeline.run_once(*pipeline.streams("bronze", "silver"))
    for failing, when in ((ERASABLE, "before"), ((GOLD_SENTIMENT,), "before"), (ERASABLE, "after")):
        with monkeypatch.context() as patch:
            for table in failing:
                fail_write(patch, "erase", table, when)
            pipeline.run_once()
        if failing == (GOLD_SENTIMENT,):
            # The end of a rescore, while gold/sentiment still has the tweets that the aggregates do not count.
            version = open_existing_table(pipeline.lake, GOLD_SENTIMENT).version()
            recount(pipeline.spark, pipeline.lake, "rescore", version)
    before = pipeline.versions()
    pipeline.run_once()
    assert pipeline.versions() == before
    check(pipeline, [1, 4, 5], 5 + 3)


@pytest.mark.slow
def test_rows_that_the_aggregates_have_not_read_are_not_counted(pipeline: Pipeline) -> None:
    """Gold has labelled a tweet before its erasure; the aggregates read it after they have applied the erasure."""
    bronze, silver, gold, aggregates = pipeline.streams()
    pipeline.land("1.json", tweet(1) + tweet(2))
    pipeline.run_once()
    pipeline.land("2.json", tweet(3) + tweet(4))
    pipeline.run_once(bronze, silver, gold)
    pipeline.land("3.json", request(["2", "3"]))
    pipeline.run_once(bronze, silver)
    pipeline.runner().maintain([gold, aggregates])
    assert ids(pipeline, GOLD_SENTIMENT) == ["1", "4"]
    assert sum(row["tweets"] for row in pipeline.rows(GOLD_TRENDS)) == 1
    pipeline.run_once()
    check(pipeline, [1, 4], 5)


@pytest.mark.slow
def test_gold_drops_tweets_that_silver_has_deleted(pipeline: Pipeline) -> None:
    """A first batch of Gold reads no deleted tweets. Later batches read rows that Silver has appended and deleted."""
    layers = pipeline.streams("bronze", "silver")
    pipeline.land("1.json", tweet(1) + tweet(2))
    pipeline.run_once(*layers)
    pipeline.land("2.json", request(["2"]) + tweet(3))
    pipeline.run_once(*layers)
    pipeline.run_once()
    check(pipeline, [1, 3], 4)
    pipeline.land("3.json", tweet(4) + tweet(5))
    pipeline.run_once(*layers)
    pipeline.land("4.json", request(["4"]))
    pipeline.run_once(*layers)
    pipeline.run_once()
    check(pipeline, [1, 3, 5], 7)
    assert totals(pipeline, GOLD_SENTIMENT)["erased"] == 1


@pytest.mark.slow
def test_erasures_outlast_the_loss_of_all_checkpoints(pipeline: Pipeline) -> None:
    pipeline.land("1.json", tweet(1) + tweet(2) + tweet(3))
    pipeline.run_once()
    pipeline.land("2.json", request(["2"]))
    pipeline.run_once()
    shutil.rmtree(Path(pipeline.lake, "checkpoints"))
    pipeline.land("3.json", tweet(2) + deletion(3) + tweet(4))
    pipeline.run_once()
    check(pipeline, [1, 4], 7)


@pytest.mark.slow
def test_running_streams_apply_erasures_without_further_input(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_group, "_MAINTENANCE_POLL_SECONDS", 0.5)
    streams = pipeline.streams("bronze", "silver")
    pipeline.land("1.json", tweet(1) + tweet(2))
    stop = threading.Event()
    run = threading.Thread(target=pipeline.runner(stop=stop).run, args=(streams, "0 seconds"))
    run.start()
    try:
        until(lambda: read_rows(pipeline, SILVER_TWEETS) == 2, 240, "the tweets in Silver")
        pipeline.land("2.json", request(["2"]))
        until(lambda: read_rows(pipeline, SILVER_TWEETS) == 1, 240, "the tweet to leave Silver")
        until(lambda: totals(pipeline, BRONZE_TWEETS).get("rows") == 3, 60, "the request in Bronze")
        until(lambda: sum(row["raw"] is None for row in pipeline.rows(BRONZE_TWEETS)) == 1, 240, "Bronze to erase")
        assert run.is_alive()
    finally:
        stop.set()
        run.join(60)


def read_rows(pipeline: Pipeline, table: Table) -> int | None:
    status = read_status(pipeline.lake, missing_ok=True).tables.get(table.name)
    return status.rows if status else None
