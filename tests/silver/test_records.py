"""Split documents into tweets and rejects: each public format as documented by its API, and malformed input."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_apps.silver.records import Rejected, Tweet, field_text, read_records
from spark_apps.tables import REASONS

ID = 1_050_118_621_198_921_728
TIME = datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)
READ_AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
V1_TIME = "Wed Oct 10 20:19:24 +0000 2018"
USER = {"id": 6253282, "id_str": "6253282", "screen_name": "api", "created_at": "Wed May 23 06:01:13 +0000 2007"}
V1: dict[str, Any] = {
    "created_at": V1_TIME,
    "id": ID,
    "id_str": str(ID),
    "text": "To make room @Ann",
    "truncated": False,
    "entities": {"user_mentions": [{"screen_name": "Ann", "id": 1}, {"screen_name": "ann", "id": 1}]},
    "user": USER,
    "lang": "en",
}
V2: dict[str, Any] = {
    "id": str(ID),
    "text": "To make room @Ann",
    "author_id": "6253282",
    "created_at": "2018-10-10T20:19:24.000Z",
    "edit_history_tweet_ids": [str(ID)],
    "entities": {"mentions": [{"username": "Ann"}]},
    "lang": "en",
}
ACTIVITY: dict[str, Any] = {
    "id": f"tag:search.twitter.com,2005:{ID}",
    "objectType": "activity",
    "verb": "post",
    "postedTime": "2018-10-10T20:19:24.000Z",
    "actor": {"id": "id:twitter.com:6253282", "preferredUsername": "api"},
    "body": "To make room @Ann",
    "twitter_lang": "en",
    "twitter_entities": {"user_mentions": [{"screen_name": "Ann"}]},
}
FLAT: dict[str, Any] = {
    "id": ID,
    "full_text": "To make room @Ann",
    "timestamp": "2018-10-10T20:19:24Z",
    "lang": "en",
    "user_id": 6253282,
}
FORMATS = {"v1.1": V1, "v2": V2, "activity": ACTIVITY, "flat": FLAT}


def tweets(value: object) -> list[Tweet]:
    found = list(read_records(value if isinstance(value, str) else json.dumps(value), READ_AT))
    rejected = [item for item in found if isinstance(item, Rejected)]
    assert not rejected
    return [item for item in found if isinstance(item, Tweet)]


def tweet(value: object) -> Tweet:
    (found,) = tweets(value)
    return found


def reasons(text: str | object) -> list[str]:
    found = read_records(text if isinstance(text, str) else json.dumps(text), READ_AT)
    return [item.reason if isinstance(item, Rejected) else "tweet" for item in found]


@pytest.mark.parametrize("format_", FORMATS)
def test_all_formats_give_the_same_tweet(format_: str) -> None:
    found = tweet(FORMATS[format_])
    assert (found.id, found.user_id, found.full_text) == (str(ID), "6253282", "To make room @Ann")
    assert (found.lang, found.timestamp, found.mentions, found.format) == ("en", TIME, ["ann"], format_)


def test_a_tweet_of_the_course_format_gets_a_reproducible_id() -> None:
    value = {
        "date": "Mon Apr 06 22:19:45 PDT 2009",
        "user": "ann_",
        "text": "awww @switchfoot",
        "sentiment": 0,
    }
    found = tweet(value)
    assert found.timestamp == datetime(2009, 4, 7, 5, 19, 45, tzinfo=UTC)
    assert (found.user_id, found.truth, found.mentions) == ("ann_", "negative", ["switchfoot"])
    assert found.id == tweet(dict(reversed(value.items()))).id
    assert found.id != tweet(value | {"text": "other"}).id


@pytest.mark.parametrize(
    ("given", "label"), [(0, "negative"), ("2", "neutral"), (4, "positive"), ("Positive", "positive"), (9, None)]
)
def test_supplied_labels_are_normalised(given: object, label: str | None) -> None:
    assert tweet(FLAT | {"truth": given}).truth == label


def test_extended_and_retweeted_texts_are_untruncated() -> None:
    long = V1 | {"text": "cut…", "truncated": True, "extended_tweet": {"full_text": "the whole text"}}
    assert tweet(long).full_text == "the whole text"
    retweet = V1 | {"id": ID + 1, "id_str": str(ID + 1), "text": "RT @api: cut…", "retweeted_status": long}
    assert (tweet(retweet).full_text, tweet(retweet).id) == ("the whole text", str(ID + 1))
    quoting = V1 | {"quoted_status": long}
    assert tweet(quoting).full_text == V1["text"]
    v2 = {
        "data": V2 | {"text": "RT @api: cut…", "referenced_tweets": [{"type": "retweeted", "id": "9"}]},
        "includes": {"tweets": [{"id": "9", "text": "the whole text"}]},
    }
    assert tweet(v2).full_text == "the whole text"
    share = ACTIVITY | {"verb": "share", "body": "RT @api: cut…", "object": ACTIVITY | {"body": "the whole text"}}
    assert tweet(share).full_text == "the whole text"
    note = V2 | {"note_tweet": {"text": "a very long text"}}
    assert tweet({"data": note}).full_text == "a very long text"


def test_one_document_with_many_tweets() -> None:
    several = [V1, V1 | {"id_str": "2"}]
    for value in (several, {"statuses": several, "search_metadata": {}}, {"data": [V2, V2 | {"id": "2"}], "meta": {}}):
        assert [found.id for found in tweets(value)] == [str(ID), "2"]
    assert len(tweets(json.dumps(V1) + json.dumps(V2) + "\n" + json.dumps(FLAT))) == 3


def test_a_v2_tweet_without_a_time_takes_it_from_the_id() -> None:
    found = tweet({"data": {"id": str(ID), "text": "hi", "edit_history_tweet_ids": [str(ID)]}})
    assert abs((found.timestamp - TIME).total_seconds()) < 60
    assert (found.lang, found.user_id) == ("und", None)


def test_64_bit_ids_are_not_rounded() -> None:
    big = 2**64 - 1
    assert tweet(FLAT | {"id": big}).id == tweet(FLAT | {"id": str(big)}).id == str(big)
    assert reasons(FLAT | {"id": 2**64}) == ["bad_id"]
    assert reasons(FLAT | {"id": 1.5e18}) == ["bad_id"]
    assert reasons(FLAT | {"id": -1}) == ["bad_id"]


def test_empty_and_null_fields() -> None:
    found = tweet(FLAT | {"lang": None, "user_id": "", "mentions": None})
    assert (found.lang, found.user_id, found.mentions) == ("und", None, ["ann"])
    assert tweet(V1 | {"user": None}).user_id is None


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
        ('{"delete": {"status": {"id": 1}}}', ["deletion"]),
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


def test_every_truncated_tweet_is_rejected_as_cut_off() -> None:
    text = json.dumps(V1, ensure_ascii=False)
    assert {reason for end in range(1, len(text)) for reason in reasons(text[:end])} == {"cut_off"}


def test_unusual_text_is_kept() -> None:
    assert tweet('{"id":1,"full_text":"half \\ud83d a pair","timestamp":1239081585}').full_text == "half \ufffd a pair"
    assert tweet("\ufeff" + json.dumps(FLAT)).id == str(ID)
    assert tweet('{"id":1,"id":2,"full_text":"twice","timestamp":1239081585,"user_id":3}').id == "2"
    assert tweet(FLAT | {"full_text": "nul \x00 and 日本 😀"}).full_text == "nul \x00 and 日本 😀"


def test_field_text_finds_nested_values_by_path() -> None:
    value = {"a": {"b": [1, {"c": "x"}]}, "n": None, "flag": True}
    assert [field_text(value, path) for path in ("a.b.1.c", "a.b.0", "n", "flag", "a.x", "a.b.9")] == [
        "x", "1", None, "true", None, None
    ]  # fmt: skip


names = st.sampled_from([*V1, *V2, *ACTIVITY, "data", "x"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(json_values)
def test_any_json_is_split_into_records_without_an_error(value: object) -> None:
    _assert_valid_records(json.dumps(value))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(list(FORMATS)), st.data())
def test_any_replaced_field_causes_no_error(format_: str, data: st.DataObject) -> None:
    value = dict(FORMATS[format_])
    value[data.draw(st.sampled_from(list(value)))] = data.draw(json_values)
    _assert_valid_records(json.dumps(value))


@given(st.text())
def test_any_text_is_split_into_records(text: str) -> None:
    _assert_valid_records(text)


def _assert_valid_records(text: str) -> None:
    found = list(read_records(text, READ_AT))
    assert found
    for item in found:
        if isinstance(item, Rejected):
            assert item.reason in REASONS
            item.raw.encode()
        else:
            assert item.id and item.full_text and item.timestamp.tzinfo is UTC
            (item.full_text + item.lang + (item.user_id or "") + "".join(item.mentions)).encode()


def nested(depth: int, inner: str = "1") -> str:
    return "[" * depth + inner + "]" * depth


@pytest.mark.parametrize("depth", [101, 500, 990, 5_000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"data":', '{"x":'])
def test_any_depth_is_rejected_without_an_error(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    assert reasons(opening * depth + "1" + closing * depth) == ["too_deep"]


@pytest.mark.parametrize(
    ("field", "expected"), [("id", "bad_id"), ("full_text", "bad_text"), ("timestamp", "bad_time")]
)
def test_a_deeply_nested_field_costs_one_tweet(field: str, expected: str) -> None:
    document = json.dumps([FLAT, FLAT | {field: "HERE", "lang": "xx"}, FLAT | {"lang": "HERE"}])
    assert reasons(document.replace('"HERE"', nested(900))) == ["tweet", expected, "tweet"]


def test_json_at_the_greatest_depth_is_read() -> None:
    assert reasons(nested(99, json.dumps(FLAT))) == ["tweet"]


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
def test_a_tweet_is_neither_older_than_twitter_nor_of_the_future(time: str, accepted: bool) -> None:
    assert reasons(FLAT | {"timestamp": time}) == ["tweet" if accepted else "bad_time"]


def test_ids_and_mentions_have_a_limit() -> None:
    found = tweet(FLAT | {"user_id": "7" * 7_000_000, "mentions": [f"user{n}" for n in range(900_000)] + ["x" * 101]})
    assert found.user_id is None
    assert found.mentions == [f"user{n}" for n in range(100)]
    assert tweet(FLAT | {"full_text": "@a " * 30_000}).mentions == ["a"]


def test_invalid_bytes_in_the_text_reject_the_tweet_and_no_other() -> None:
    data = json.dumps([FLAT | {"full_text": "caf#"}, FLAT, FLAT | {"name": "ol#"}]).encode().replace(b"#", b"\xe9")
    found = list(read_records(data.decode("utf-8", "replace"), READ_AT, data))
    assert [item.reason if isinstance(item, Rejected) else "tweet" for item in found] == [
        "bad_encoding",
        "tweet",
        "tweet",
    ]
    assert isinstance(found[0], Rejected) and "caf\ufffd" in found[0].raw


def test_a_fault_of_the_program_costs_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("spark_apps.silver.tweet._lang", fail)
    (found,) = read_records(json.dumps(FLAT), READ_AT)
    assert isinstance(found, Rejected)
    assert (found.reason, found.detail, json.loads(found.raw)) == ("internal_error", "ZeroDivisionError: a fault", FLAT)
    monkeypatch.setattr("spark_apps.silver.search.find_format", fail)
    assert reasons(FLAT) == ["internal_error"]
    assert reasons("nothing") == ["not_json"]


def test_a_document_with_too_many_values_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MB of `{},` would take 1.6 GB of memory and three minutes."""
    monkeypatch.setattr("spark_apps.silver.json_text._MAX_VALUES", 100)
    assert reasons("[" + "{}," * 49 + "{}]") == ["not_a_tweet"] * 50
    assert reasons("[" + "{}," * 50 + "{}]") == ["too_large"]
    assert reasons({"data": "[" + "{}," * 50 + "{}]"}) == ["too_large"]


@pytest.mark.parametrize(
    "text",
    ['"' * 300_000, '"\\' * 200_000, "[" + "/*" * 200_000, "[//" * 200_000, "[," * 200_000, '{"a":1,' + " " * 500_000,
     "," * 500_000, '{"a":"' + '\\"' * 200_000, "[" + '{"a":1},' * 50_000, '"1" ' * 200_000, "9" * 500_000],
)  # fmt: skip
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    began = time.process_time()
    assert reasons(text)
    assert time.process_time() - began < 10
