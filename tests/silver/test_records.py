"""Split documents into tweets and rejects: the formats as their APIs document them, and rejected records."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from spark_apps.silver.records import field_text
from tests.silver.reading import read_tweet, read_tweets, reasons
from tests.silver.samples import ACTIVITY, FLAT, FORMATS, ID, TIME, USER, V1, V2


@pytest.mark.parametrize("format_", FORMATS)
def test_all_formats_give_the_same_tweet(format_: str) -> None:
    tweet = read_tweet(FORMATS[format_])
    assert (tweet.id, tweet.user_id, tweet.full_text) == (str(ID), "6253282", "To make room @Ann")
    assert (tweet.lang, tweet.timestamp, tweet.mentions, tweet.format) == ("en", TIME, ["ann"], format_)


def test_a_tweet_of_the_course_format_gets_a_reproducible_id() -> None:
    value = {
        "date": "Mon Apr 06 22:19:45 PDT 2009",
        "user": "ann_",
        "text": "awww @switchfoot",
        "sentiment": 0,
    }
    tweet = read_tweet(value)
    assert tweet.timestamp == datetime(2009, 4, 7, 5, 19, 45, tzinfo=UTC)
    assert (tweet.user_id, tweet.truth, tweet.mentions) == ("ann_", "negative", ["switchfoot"])
    assert tweet.id == read_tweet(dict(reversed(value.items()))).id
    assert tweet.id != read_tweet(value | {"text": "other"}).id


@pytest.mark.parametrize(
    ("given", "label"), [(0, "negative"), ("2", "neutral"), (4.0, "positive"), ("Positive", "positive"), (9, None)]
)
def test_supplied_labels_are_normalised(given: object, label: str | None) -> None:
    assert read_tweet(FLAT | {"truth": given}).truth == label


def test_truncated_tweets_and_retweets_have_the_whole_text() -> None:
    long = V1 | {"text": "cut…", "truncated": True, "extended_tweet": {"full_text": "the whole text"}}
    assert read_tweet(long).full_text == "the whole text"
    retweet = V1 | {"id": ID + 1, "id_str": str(ID + 1), "text": "RT @api: cut…", "retweeted_status": long}
    assert (read_tweet(retweet).full_text, read_tweet(retweet).id) == ("the whole text", str(ID + 1))
    quoting = V1 | {"quoted_status": long}
    assert read_tweet(quoting).full_text == V1["text"]
    v2 = {
        "data": V2 | {"text": "RT @api: cut…", "referenced_tweets": [{"type": "retweeted", "id": "9"}]},
        "includes": {"tweets": [{"id": "9", "text": "the whole text"}]},
    }
    assert read_tweet(v2).full_text == "the whole text"
    share = ACTIVITY | {"verb": "share", "body": "RT @api: cut…", "object": ACTIVITY | {"body": "the whole text"}}
    assert read_tweet(share).full_text == "the whole text"
    note = V2 | {"note_tweet": {"text": "a very long text"}}
    assert read_tweet({"data": note}).full_text == "a very long text"


def test_a_document_may_contain_many_tweets() -> None:
    several = [V1, V1 | {"id_str": "2"}]
    for value in (several, {"statuses": several, "search_metadata": {}}, {"data": [V2, V2 | {"id": "2"}], "meta": {}}):
        assert [tweet.id for tweet in read_tweets(value)] == [str(ID), "2"]
    assert len(read_tweets(json.dumps(V1) + json.dumps(V2) + "\n" + json.dumps(FLAT))) == 3


def test_a_v2_tweet_without_a_time_takes_it_from_the_id() -> None:
    tweet = read_tweet({"data": {"id": str(ID), "text": "hi", "edit_history_tweet_ids": [str(ID)]}})
    assert abs((tweet.timestamp - TIME).total_seconds()) < 60
    assert (tweet.lang, tweet.user_id) == ("und", None)


def test_64_bit_ids_are_not_rounded() -> None:
    big = 2**64 - 1
    assert read_tweet(FLAT | {"id": big}).id == read_tweet(FLAT | {"id": str(big)}).id == str(big)
    assert reasons(FLAT | {"id": 2**64}) == ["bad_id"]
    assert reasons(FLAT | {"id": 1.5e18}) == ["bad_id"]
    assert reasons(FLAT | {"id": -1}) == ["bad_id"]


def test_empty_and_null_fields_have_defaults() -> None:
    tweet = read_tweet(FLAT | {"lang": None, "user_id": "", "mentions": None})
    assert (tweet.lang, tweet.user_id, tweet.mentions) == ("und", None, ["ann"])
    assert read_tweet(V1 | {"user": None}).user_id is None
    # As pandas writes a column with gaps; a large float may have lost digits.
    assert read_tweet(FLAT | {"user_id": 42.0}).user_id == "42"
    assert read_tweet(FLAT | {"user_id": 1.5e18}).user_id is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["not_json"]),
        ("  \n", ["not_json"]),
        ("hello", ["not_json"]),
        ("{", ["cut_off"]),
        (json.dumps(FLAT)[:-1], ["cut_off"]),
        (json.dumps(FLAT) + " and so on", ["tweet", "trailing_text"]),
        (json.dumps(FLAT) + "{", ["tweet", "cut_off"]),
        ("[" * 100_000 + "]" * 100_000, ["too_deep"]),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, ["too_deep"]),
        ("[]", ["no_tweets"]),
        ("{}", ["not_a_tweet"]),
        ("null", ["not_a_tweet"]),
        ('{"statuses": []}', ["no_tweets"]),
        ('{"meta": {"result_count": 0}}', ["no_tweets"]),
        ('{"delete": {"favorite": {"tweet_id": 1}}}', ["deletion"]),
        ('{"limit": {"track": 5}}', ["notice"]),
        ('{"errors": [{"code": 88}]}', ["no_tweets"]),
        (json.dumps(USER), ["user"]),
        ('{"id": 1, "name": "x", "member_count": 2}', ["list"]),
        ('{"direct_message": {"id": 1, "text": "hi"}}', ["direct_message"]),
    ],
)
def test_a_rejected_document_has_a_reason(text: str, expected: list[str]) -> None:
    assert reasons(text) == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "missing_id"),
        ({"id": "12x"}, "bad_id"),
        ({"full_text": ""}, "missing_text"),
        ({"full_text": None}, "missing_text"),
        ({"full_text": 7}, "bad_text"),
        ({"full_text": "x" * 100_001}, "long_text"),
        ({"timestamp": None}, "missing_time"),
        ({"timestamp": "2024-02-31T00:00:00Z"}, "bad_time"),
    ],
)
def test_a_tweet_without_a_valid_id_text_or_time_is_rejected(change: dict[str, Any], reason: str) -> None:
    assert reasons(FLAT | change) == [reason]


def test_unusual_text_is_kept() -> None:
    half = read_tweet('{"id":1,"full_text":"half \\ud83d a pair","timestamp":1239081585}')
    assert half.full_text == "half \ufffd a pair"
    assert read_tweet("\ufeff" + json.dumps(FLAT)).id == str(ID)
    assert read_tweet('{"id":1,"id":2,"full_text":"twice","timestamp":1239081585,"user_id":3}').id == "2"
    assert read_tweet(FLAT | {"full_text": "nul \x00 and 日本 😀"}).full_text == "nul \x00 and 日本 😀"


def test_field_text_finds_nested_values_by_path() -> None:
    value = {"a": {"b": [1, {"c": "x"}]}, "n": None, "flag": True}
    assert [field_text(value, path) for path in ("a.b.1.c", "a.b.0", "n", "flag", "a.x", "a.b.9")] == [
        "x", "1", None, "true", None, None
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("time", "accepted"),
    [
        ("2006-03-20T23:59:59Z", False),
        ("2006-03-21T00:00:00Z", True),
        ("2026-11-29T12:00:00Z", True),
        ("2026-11-29T12:00:01Z", False),
        ("2099-06-01T00:00:00Z", False),
    ],
)
def test_a_time_before_twitter_or_in_the_future_is_rejected(time: str, accepted: bool) -> None:
    assert reasons(FLAT | {"timestamp": time}) == ["tweet" if accepted else "bad_time"]
