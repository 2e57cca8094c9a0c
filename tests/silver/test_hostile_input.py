"""Documents of any content are split into records in bounded time and memory, and damage rejects one record only."""

import base64
import io
import json
import time
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_apps.bronze.documents import read_documents
from spark_apps.silver.records import Rejected, Tweet, read_records
from spark_apps.silver.tweet_formats import NO_TWEET_FIELDS, TWEET_FIELDS
from spark_apps.tables import REASONS
from tests.silver.reading import READ_AT, read, read_reject, read_tweet, reasons
from tests.silver.samples import ACTIVITY, FLAT, FORMATS, V1, V2


def test_every_truncated_tweet_is_rejected_as_cut_off() -> None:
    text = json.dumps(V1, ensure_ascii=False)
    assert {reason for end in range(1, len(text)) for reason in reasons(text[:end])} == {"cut_off"}


ENVELOPES = ("_json", "columns", "data", "includes", "referenced_tweets", "users", "x")
field_names = st.sampled_from(sorted({*V1, *V2, *ACTIVITY, *TWEET_FIELDS, *NO_TWEET_FIELDS, *ENVELOPES}))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(field_names, inner),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(json_values)
def test_any_json_is_split_into_records(value: object) -> None:
    _assert_valid_records(json.dumps(value))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(list(FORMATS)), st.data())
def test_a_tweet_with_any_value_in_a_field_is_a_record(format_: str, data: st.DataObject) -> None:
    value = dict(FORMATS[format_])
    value[data.draw(st.sampled_from(list(value)))] = data.draw(json_values)
    _assert_valid_records(json.dumps(value))


@given(st.text())
def test_any_text_is_split_into_records(text: str) -> None:
    _assert_valid_records(text)


def _assert_valid_records(text: str) -> None:
    records = read(text)
    assert records
    for record in records:
        if isinstance(record, Rejected):
            assert record.reason in REASONS.keys() - {"internal_error"}, record.detail
            record.raw.encode()
        elif isinstance(record, Tweet):
            assert record.id and record.full_text and record.timestamp.tzinfo is UTC
            (record.full_text + record.lang + (record.user_id or "") + "".join(record.mentions)).encode()


def nested(depth: int, inner: str = "1") -> str:
    return "[" * depth + inner + "]" * depth


@pytest.mark.parametrize("depth", [101, 500, 990, 5_000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"data":', '{"x":'])
def test_json_over_the_depth_limit_is_rejected(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    assert reasons(opening * depth + "1" + closing * depth) == ["too_deep"]


@pytest.mark.parametrize(
    ("field", "expected"), [("id", "bad_id"), ("full_text", "bad_text"), ("timestamp", "bad_time")]
)
def test_a_field_over_the_depth_limit_affects_only_its_tweet(field: str, expected: str) -> None:
    document = json.dumps([FLAT, FLAT | {field: "HERE", "lang": "xx"}, FLAT | {"lang": "HERE"}])
    assert reasons(document.replace('"HERE"', nested(900))) == ["tweet", expected, "tweet"]


def test_json_at_the_depth_limit_is_read() -> None:
    assert reasons(nested(99, json.dumps(FLAT))) == ["tweet"]


def test_long_names_and_many_mentions_are_dropped() -> None:
    tweet = read_tweet(
        FLAT | {"user_id": "7" * 7_000_000, "mentions": [f"user{n}" for n in range(900_000)] + ["x" * 101]}
    )
    assert tweet.user_id is None
    assert tweet.mentions == [f"user{n}" for n in range(100)]
    assert read_tweet(FLAT | {"full_text": "@a " * 30_000}).mentions == ["a"]


def test_invalid_bytes_reject_only_the_tweet_with_the_text() -> None:
    data = json.dumps([FLAT | {"full_text": "caf#"}, FLAT, FLAT | {"name": "ol#"}]).encode().replace(b"#", b"\xe9")
    first, *others = read_records(data.decode("utf-8", "replace"), READ_AT, data)
    assert isinstance(first, Rejected) and first.reason == "bad_encoding" and "caf\ufffd" in first.raw
    assert len(others) == 2 and all(isinstance(record, Tweet) for record in others)


def test_a_replacement_character_in_cesu8_is_not_an_invalid_byte() -> None:
    data = json.dumps(FLAT | {"full_text": "# \ufffd"}, ensure_ascii=False).encode()
    (document,) = read_documents(io.BytesIO(data.replace(b"#", b"\xed\xa0\xbd\xed\xb8\x80")), "f.json", 1 << 20)
    assert document.raw is not None
    (tweet,) = read_records(document.raw, READ_AT, document.raw_bytes)
    assert isinstance(tweet, Tweet) and tweet.full_text == "😀 \ufffd"


def test_an_exception_in_the_parser_rejects_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("spark_apps.silver.tweet._lang", fail)
    rejected = read_reject(FLAT)
    assert (rejected.reason, rejected.detail) == ("internal_error", "ZeroDivisionError: a fault")
    assert json.loads(rejected.raw) == FLAT
    monkeypatch.setattr("spark_apps.silver.search.find_format", fail)
    assert reasons(FLAT) == ["internal_error"]
    assert reasons("nothing") == ["not_json"]


def test_a_document_with_too_many_values_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MB of `{},` would take 1.6 GB of memory and three minutes."""
    monkeypatch.setattr("spark_apps.json_text.MAX_VALUES", 100)
    assert reasons("[" + "{}," * 49 + "{}]") == ["not_a_tweet"] * 50
    assert reasons("[" + "{}," * 50 + "{}]") == ["too_large"]
    assert reasons({"data": "[" + "{}," * 50 + "{}]"}) == ["too_large"]


@pytest.mark.parametrize("objects", [49, 60])
def test_encoded_values_have_a_limit_too(monkeypatch: pytest.MonkeyPatch, objects: int) -> None:
    monkeypatch.setattr("spark_apps.json_text.MAX_VALUES", 100)
    text = "[" + ",".join(["{ }"] * objects) + "]"
    in_base64 = base64.b64encode(text.encode()).decode()
    escaped = text.replace(",", "\\u002c").replace("{", "\\u007b")
    for encoded in (in_base64, escaped):
        expected = ["too_large"] if objects > 50 else ["not_a_tweet"] * objects
        assert reasons(f'["{encoded}"]') == expected
        assert reasons(f'{{"x": "{encoded}"}}') == expected[:1]


@pytest.mark.parametrize(
    "text",
    ['"' * 300_000, '"\\' * 200_000, "[" + "/*" * 200_000, "[//" * 200_000, "[," * 200_000, '{"a":1,' + " " * 500_000,
     "," * 500_000, '{"a":"' + '\\"' * 200_000, "[" + '{"a":1},' * 50_000, '"1" ' * 200_000, "9" * 500_000],
)  # fmt: skip
def test_hostile_texts_take_linear_time(text: str) -> None:
    began = time.process_time()
    assert reasons(text)
    assert time.process_time() - began < 10
