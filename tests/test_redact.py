"""Erased tweets are removed from documents in any format, and other tweets stay."""

import base64
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from spark_apps.bronze.documents import read_documents
from spark_apps.demo.generator import Generator, Mix
from spark_apps.erasure.redact import Redactor
from spark_apps.erasure.request import make_request, user_key
from spark_apps.silver.records import Tweet, read_records

NOW = datetime.now(UTC)
ERASED, OTHER = "1800000000000000001", "1800000000000000002"
USER, FRIEND = "12", "13"


def v1(id_: str, user: str = FRIEND, **fields: Any) -> dict[str, Any]:
    author = {"id": int(user), "id_str": user, "screen_name": f"name{user}"}
    return {"id": int(id_), "id_str": id_, "text": f"text of {id_}", "user": author, "retweet_count": 12} | fields


def redact(text: str, users: bool = False) -> str:
    return Redactor(frozenset({ERASED}), frozenset({user_key(USER)} if users else ())).redact(text)


def redacted(value: object, users: bool = False) -> Any:
    text = redact(json.dumps(value), users)
    return json.loads(text) if text else None


@pytest.mark.parametrize(
    "document",
    [
        v1(ERASED),
        [v1(ERASED)],
        {"data": {"id": ERASED, "text": "a"}},
        {"data": [{"id": ERASED, "text": "a"}], "includes": {"users": [{"id": "5"}]}},
        v1(OTHER, retweeted_status=v1(ERASED)),
        {"data": [{"id": OTHER, "text": "RT", "referenced_tweets": [{"type": "retweeted", "id": ERASED}]}]},
        {"rest_id": ERASED, "legacy": {"id_str": ERASED, "full_text": "a"}},
        {"id": f"tag:search.twitter.com,2005:{ERASED}", "body": "a", "actor": {"id": "id:twitter.com:9"}},
        {"message": json.dumps(v1(ERASED))},
        {"nr": ERASED, "body": {"words": "a declared format"}},
        {"data": base64.b64encode(json.dumps(v1(ERASED)).encode()).decode()},
        json.dumps(json.dumps([v1(ERASED)])),
    ],
)
def test_a_document_with_only_erased_tweets_has_no_text_left(document: object) -> None:
    assert redacted(document) is None


def test_other_tweets_of_a_document_stay() -> None:
    assert redacted([v1(ERASED), v1(OTHER)]) == [v1(OTHER)]
    assert redacted({"statuses": [v1(OTHER), v1(ERASED)]}) == {"statuses": [v1(OTHER)]}
    lines = f"{json.dumps(v1(ERASED))}\n{json.dumps(v1(OTHER))}\n"
    assert json.loads(redact(lines)) == v1(OTHER)
    assert redacted(v1(OTHER, quoted_status_id_str=ERASED, quoted_status=v1(ERASED))) == v1(
        OTHER, quoted_status_id_str=ERASED, quoted_status=None
    )


def test_other_rows_of_a_table_stay() -> None:
    columns = {"id": {"0": ERASED, "1": OTHER}, "text": {"0": "a", "1": "b"}, "user": {"0": 12.0, "1": 13.0}}
    rest = {"id": {"1": OTHER}, "text": {"1": "b"}, "user": {"1": 13.0}}
    assert redacted(columns) == redacted(columns | {"id": {"0": "5", "1": OTHER}}, users=True) == rest
    rows = {"columns": ["id", "text"], "data": [[ERASED, "a"], [OTHER, "b"]]}
    assert redacted(rows) == rows | {"data": [[OTHER, "b"]]}
    assert redacted({"0": v1(ERASED), "1": v1(OTHER)}) == {"1": v1(OTHER)}


@pytest.mark.parametrize("seed", range(2))
def test_silver_reads_the_other_tweets_of_generated_documents(seed: int) -> None:
    """All formats of the generator: an erased tweet or author is gone, and each other tweet is still read."""
    generator = Generator(seed, mix=Mix(malformed=0.1))
    for file in [*generator.files(150, 50), *generator.malformed_files()]:
        for document in read_documents(io.BytesIO(file.data), file.name, 64 << 20):
            tweets = read_tweets(document.raw or "")
            for tweet in tweets[:2]:
                if tweet.id.isdecimal():  # a document does not have the id that Silver derives from its content
                    by_id = Redactor(frozenset({tweet.id}), frozenset()).redact(document.raw or "")
                    others = [other for other in tweets if tweet.id not in {other.id, other.retweet_of}]
                    assert read_tweets(by_id) == others, document.raw
                user = str(tweet.user_id)
                by_user = Redactor(frozenset(), frozenset({user_key(user)})).redact(document.raw or "")
                others = [other for other in tweets if user not in {other.user_id, other.retweet_of_user}]
                assert [other.id for other in read_tweets(by_user)] == [other.id for other in others], document.raw
                assert user not in by_user


def read_tweets(text: str) -> list[Tweet]:
    return [record for record in read_records(text, NOW) if isinstance(record, Tweet)] if text else []


@pytest.mark.parametrize(
    "document",
    [
        json.dumps(v1(OTHER), indent=1),
        json.dumps({"id": OTHER, "text": f"https://twitter.com/a/status/{ERASED}"}),
        '{"id": 5, "text": "not JSON',
        "",
    ],
)
def test_a_document_without_erased_tweets_stays_as_it_is(document: str) -> None:
    assert redact(document, users=True) == document


def test_tweets_of_an_erased_user_are_removed_in_any_format() -> None:
    for erased in (
        v1(OTHER, USER),
        {"data": [{"id": OTHER, "author_id": USER, "text": "a"}]},
        {"id": OTHER, "user_id": USER, "full_text": "a"},
        {"date": "2026-01-01", "user": USER, "text": "a"},
        v1(OTHER, retweeted_status=v1("5", USER)),
    ):
        assert redacted(erased, users=True) is None, erased
    mentioned = v1(OTHER, entities={"user_mentions": [{"id_str": USER}, {"id_str": FRIEND}]})
    assert redacted(mentioned, users=True)["entities"] == {"user_mentions": [{"id_str": FRIEND}]}
    assert redacted(v1(OTHER, in_reply_to_user_id_str=USER), users=True)["in_reply_to_user_id_str"] is None


def test_tweets_of_a_scrubbed_user_lose_their_locations() -> None:
    places: dict[str, Any] = {"geo": {"type": "Point"}, "place": {"full_name": "Berlin"}, "coordinates": None}
    without: dict[str, None] = dict.fromkeys(places)
    redactor = Redactor(frozenset(), frozenset(), frozenset({user_key(USER)}))
    for scrubbed in (v1(OTHER, USER), {"id": OTHER, "author_id": USER, "text": "a"}):
        assert json.loads(redactor.redact(json.dumps([scrubbed | places]))) == [scrubbed | without]
    unchanged = json.dumps(v1(OTHER, **places) | {"in_reply_to_user_id": int(USER)})
    assert redactor.redact(unchanged) == unchanged


def test_requests_stay_and_notices_become_requests() -> None:
    request = make_request([ERASED], [USER], "a reason").to_json()
    assert redacted(request, users=True) == request
    for notice in (
        {"delete": {"status": {"id_str": ERASED, "user_id_str": USER}}},
        {"data": {"delete": {"tweet": {"id": ERASED, "author_id": USER}}}},
    ):
        assert redacted(notice)["erasure"]["tweets"] == [ERASED]
    request = redacted({"data": {"user_delete": {"user": {"id": USER}}}}, users=True)
    assert request["erasure"]["users"] == [user_key(USER)]


def test_a_text_that_is_not_json_is_removed_as_a_whole() -> None:
    assert redact(f'{{"id": {ERASED}, "text": "cut o') == ""
    assert redact(f'{{"id": {OTHER}, "user": {{"id": {USER}, "na', users=True) == ""
    assert redact(f'{{"id": {OTHER}, "user_id": "{USER}", "na', users=True) == ""
