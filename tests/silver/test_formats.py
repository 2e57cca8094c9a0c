"""Formats of tweets besides those of Twitter's own APIs, and the envelopes around them."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from spark_apps.silver.records import Rejected, Tweet
from tests.silver.reading import read, read_tweet, read_tweets, reasons

ID = "1596900000000000007"
ISO = "2022-11-27T16:00:05+00:00"
TIME = datetime(2022, 11, 27, 16, 0, 5, tzinfo=UTC)
V1: dict[str, Any] = {
    "created_at": "Sun Nov 27 16:00:05 +0000 2022",
    "id": int(ID),
    "id_str": ID,
    "full_text": "hi @Bo",
    "entities": {"user_mentions": [{"screen_name": "Bo"}]},
    "user": {"id": 42, "id_str": "42", "screen_name": "ann"},
    "lang": "en",
}
LEGACY = {name: value for name, value in V1.items() if name not in {"user", "id"}} | {"user_id_str": "42"}
GRAPHQL = {
    "__typename": "Tweet",
    "rest_id": ID,
    "core": {"user_results": {"result": {"rest_id": "42", "legacy": {"screen_name": "ann", "created_at": "x"}}}},
    "legacy": LEGACY,
    "quoted_status_result": {"result": {"rest_id": "9", "legacy": LEGACY | {"id_str": "9"}}},
}
SCRAPER = {
    "id": int(ID),
    "date": ISO,
    "rawContent": "hi @Bo",
    "lang": "en",
    "user": {"username": "ann", "id": 42},
    "mentionedUsers": [{"username": "Bo"}],
    "quotedTweet": {"id": 9, "date": ISO, "rawContent": "other", "user": {"id": 1}},
}
CAMEL = {
    "id": ID,
    "createdAt": "Sun Nov 27 16:00:05 +0000 2022",
    "text": "hi…",
    "fullText": "hi @Bo",
    "lang": "en",
    "author": {"id": "42", "userName": "ann"},
    "entities": {"user_mentions": [{"screen_name": "Bo"}]},
}
CONNECT = {
    "Id": int(ID),
    "CreatedAt": int(TIME.timestamp() * 1000),
    "Text": "hi @Bo",
    "User": {"Id": 42, "ScreenName": "ann"},
    "Lang": "en",
    "UserMentionEntities": [{"ScreenName": "Bo"}],
}
FORMATS = {"v1.1": V1, "graphql": GRAPHQL, "scraper": SCRAPER, "camel": CAMEL, "connect": CONNECT}


@pytest.mark.parametrize("name", FORMATS)
def test_all_formats_give_the_same_tweet(name: str) -> None:
    tweet = read_tweet(FORMATS[name])
    assert (tweet.id, tweet.user_id, tweet.full_text, tweet.lang) == (ID, "42", "hi @Bo", "en")
    assert (tweet.timestamp, tweet.mentions, tweet.format) == (TIME, ["bo"], name)


@pytest.mark.parametrize(
    ("format_", "path"),
    [
        ("graphql", ("legacy", "retweeted_status_result", "result")),
        ("scraper", ("retweetedTweet",)),
        ("camel", ("retweet",)),
        ("connect", ("RetweetedStatus",)),
    ],
)
def test_a_retweet_has_the_text_of_the_original(format_: str, path: tuple[str, ...]) -> None:
    original = json.loads(json.dumps(FORMATS[format_]).replace("hi @Bo", "the whole text").replace(ID, "5"))
    retweet = json.loads(json.dumps(FORMATS[format_]).replace("hi @Bo", "RT @bo: the wh…"))
    target = retweet
    for name in path[:-1]:
        target = target.setdefault(name, {})
    target[path[-1]] = original
    tweet = read_tweet(retweet)
    assert (tweet.id, tweet.full_text) == (ID, "the whole text")


def _encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "envelope",
    [
        {"data": {"tweetResult": {"result": {"__typename": "TweetWithVisibilityResults", "tweet": GRAPHQL}}}},
        {"schema": {"type": "struct", "fields": []}, "payload": CONNECT},
        {"payload": {"before": None, "after": V1, "op": "c"}},
        {"Type": "Notification", "MessageId": "x", "Message": json.dumps(V1)},
        {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": _encoded(V1)}}]},
        {"message": {"data": _encoded(V1), "attributes": {}}, "subscription": "s"},
        {"hits": {"total": 1, "hits": [{"_id": "1", "_source": V1}]}},
        {"id": {ID: V1, "20": None}},
        {"_api": None, "_json": V1, "id": int(ID), "created_at": ISO, "author": {"id": 42}},
        json.dumps(json.dumps(V1)),
        json.dumps(json.dumps(json.dumps([V1]))),
        "window.YTD.tweets.part0 = [\n" + json.dumps({"tweet": V1}) + "\n]",
        "var data = " + json.dumps([V1]) + ";",
        json.dumps(V1) + ",\n",
        "\x1e" + json.dumps(V1) + "\n",
        "[" + json.dumps(V1) + ", /* the last one */ ]",
        "// exported\n" + json.dumps(V1),
    ],
)
def test_a_tweet_is_found_in_any_envelope(envelope: object) -> None:
    tweet = read_tweet(envelope)
    assert (tweet.id, tweet.full_text, tweet.timestamp) == (ID, "hi @Bo", TIME)


@pytest.mark.parametrize(
    "document",
    [{"data": {"request": "7"}, "tweet": V1}, {"users": [{"id": 1, "screen_name": "ann"}], "next": 0, "tweets": [V1]}],
)
def test_a_tweet_beside_the_records_of_an_envelope_is_found(document: object) -> None:
    assert reasons(document)[1:] == ["tweet"]


def test_an_encoded_tweet_is_read_like_a_plain_one() -> None:
    text = json.dumps(V1 | {"full_text": "a#b", "n": 0}).replace("#", "\t").replace('"n": 0', f'"n": {"9" * 5000}')
    assert (
        reasons(text) == reasons({"x": text}) == reasons({"x": base64.b64encode(text.encode()).decode()}) == ["tweet"]
    )


def test_an_event_of_another_type_does_not_affect_other_records() -> None:
    assert reasons([{"event_type": {"id": 1}}, V1]) == ["not_a_tweet", "tweet"]


def test_tables_written_by_pandas_are_read() -> None:
    rows = [
        {"id": ID, "text": "one", "created_at": ISO, "user": "42"},
        {"id": "8", "text": "two", "created_at": ISO, "user": "42"},
    ]
    by_column = {name: {str(n): row[name] for n, row in enumerate(rows)} for name in rows[0]}
    split = {"columns": list(rows[0]), "index": [0, 1], "data": [list(row.values()) for row in rows]}
    by_row = {str(n): row for n, row in enumerate(rows)}
    for table in (by_column, split, by_row):
        assert [(tweet.id, tweet.full_text) for tweet in read_tweets(table)] == [(ID, "one"), ("8", "two")]


def test_data_sets_are_read() -> None:
    airline = {
        "tweet_id": int(ID),
        "airline_sentiment": "negative",
        "name": "ann",
        "text": "late",
        "tweet_created": "2022-11-27 08:00:05 -0800",
    }
    course = {"target": 4, "ids": int(ID), "date": "Sun Nov 27 08:00:05 PST 2022", "user": "ann", "text": "late"}
    assert [(tweet.id, tweet.timestamp, tweet.user_id, tweet.truth) for tweet in read_tweets([airline, course])] == [
        (ID, TIME, "ann", "negative"),
        (ID, TIME, "ann", "positive"),
    ]
    named = [
        {"tweet_id": ID, "tweet": "late", "created_at": ISO, "username": "ann"},
        {"Tweet Id": ID, "Text": "late", "Datetime": ISO, "Username": "ann"},
    ]
    assert {(tweet.id, tweet.full_text, tweet.user_id) for tweet in read_tweets(named)} == {(ID, "late", "ann")}


def test_a_string_id_comes_before_a_rounded_number() -> None:
    for sample in (
        V1,
        {"id": 1, "text": "x", "timestamp": ISO},
        {"id": 1, "text": "x", "author_id": "4", "created_at": ISO},
    ):
        assert read_tweet(sample | {"id": 1596900000000000000, "id_str": ID}).id == ID


def test_a_long_activity_has_the_mentions_of_its_whole_text() -> None:
    activity = {
        "id": f"tag:search.twitter.com,2005:{ID}", "verb": "post", "postedTime": ISO, "body": "cut…",
        "twitter_entities": {"user_mentions": []},
        "long_object": {"body": "long @Bo", "twitter_entities": {"user_mentions": [{"screen_name": "Bo"}]}},
    }  # fmt: skip
    tweet = read_tweet(activity)
    assert (tweet.full_text, tweet.mentions) == ("long @Bo", ["bo"])


def test_posts_of_other_networks_are_rejected() -> None:
    mastodon = {
        "id": "1",
        "created_at": ISO,
        "text": "t",
        "content": "<p>t</p>",
        "spoiler_text": "",
        "account": {"id": "1"},
    }
    bluesky = {"uri": "at://x", "cid": "b", "record": {"$type": "app.bsky.feed.post", "text": "t", "createdAt": ISO}}
    assert reasons([mastodon, bluesky]) == ["other_network", "not_a_tweet"]


def test_consecutive_values_without_objects_are_one_reject() -> None:
    assert reasons([1, "two", None]) == ["not_a_tweet"]
    assert reasons("1 2 3 4") == ["not_a_tweet"]
    assert reasons('"a"\n' * 500_000) == ["not_a_tweet"]


def test_the_rejects_of_a_document_are_bounded() -> None:
    records = read([{"a": n} for n in range(5_000)] + [V1])
    *_, tweet, more = records
    assert len(records) == 1_002 and isinstance(tweet, Tweet)
    assert isinstance(more, Rejected) and more.reason == "more_rejects" and "4,000 more" in str(more.detail)
