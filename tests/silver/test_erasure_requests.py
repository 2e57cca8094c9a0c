"""Silver recognises erasure requests and Twitter's notices; other notices and invalid requests are rejected."""

import json
from datetime import UTC, datetime

import pytest

from spark_apps.erasure.request import ErasureRequest, RequestError, make_request, user_key
from spark_apps.silver.records import read_records
from tests.silver.reading import READ_AT, read, reasons

STATUS = {"id": 1800000000000000001, "id_str": "1800000000000000001", "user_id": 12, "user_id_str": "12"}


def erasures(document: object) -> list[ErasureRequest]:
    return [record for record in read(document) if isinstance(record, ErasureRequest)]


@pytest.mark.parametrize(
    ("notice", "tweets", "users", "time"),
    [
        ({"delete": {"status": STATUS, "timestamp_ms": "1767225600000"}}, [STATUS["id_str"]], [], "2026-01-01"),
        ({"delete": {"status": {"id": 5, "user_id": 12}}}, ["5"], [], None),
        ({"user_delete": {"id": 12, "timestamp_ms": "1767225600000"}}, [], ["12"], "2026-01-01"),
        ({"data": {"delete": {"tweet": {"id": "5", "author_id": "12"}, "event_at": "2026-01-01T00:00:00Z"}}}, ["5"], [],
         "2026-01-01"),
        ({"data": {"user_delete": {"user": {"id": "12"}, "event_at": "2026-01-01T00:00:00.000Z"}}}, [], ["12"],
         "2026-01-01"),
        ([{"delete": {"status": {"id_str": "5"}}}], ["5"], [], None),
    ],
)  # fmt: skip
def test_notices_of_all_apis_are_erasures(
    notice: object, tweets: list[str], users: list[str], time: str | None
) -> None:
    (request,) = erasures(notice)
    assert (list(request.tweets), list(request.users)) == (tweets, [user_key(user) for user in users])
    assert not request.locations
    assert request.requested_at == (datetime.fromisoformat(time).replace(tzinfo=UTC) if time else None)


@pytest.mark.parametrize(
    "notice",
    [
        {"scrub_geo": {"user_id": 12, "user_id_str": "12", "up_to_status_id_str": "5"}},
        {"data": {"scrub_geo": {"user": {"id": "12"}, "up_to_tweet_id": "5", "event_at": "2026-01-01T00:00:00Z"}}},
    ],
)
def test_scrub_notices_erase_locations(notice: object) -> None:
    (request,) = erasures(notice)
    assert (request.tweets, request.users, request.locations) == ((), (), (user_key("12"),))
    assert read(json.dumps(request.to_json())) == [request]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"delete": {"favorite": {"tweet_id": 1, "user_id": 2}}}, "deletion"),
        ({"delete": {"status": {"id": "words"}}}, "deletion"),
        ({"delete": "words"}, "deletion"),
        ({"user_undelete": {"id": 12}}, "not_a_tweet"),
        ({"erasure": {"tweets": ["words"], "users": [], "why": "x"}}, "not_a_tweet"),
        ({"erasure": {"tweets": [], "users": ["12"], "why": "x"}}, "not_a_tweet"),
        ({"erasure": {"tweets": [], "users": [], "why": "x"}}, "not_a_tweet"),
        ({"erasure": {"tweets": ["1"], "users": [], "why": "x"}, "more": 1}, "not_a_tweet"),
    ],
)
def test_other_objects_are_no_erasures(document: object, reason: str) -> None:
    assert reasons(document) == [reason]


def test_a_notice_in_the_text_of_a_tweet_erases_nothing() -> None:
    text = json.dumps({"delete": {"status": STATUS}})
    assert reasons({"id": 1, "full_text": text, "timestamp": "2026-01-01T00:00:00Z"}) == ["tweet"]


def test_requests_survive_the_landing() -> None:
    request = make_request(["05", "5", "6"], ["12", "Jane Doe"], "request 17")
    document = json.dumps(request.to_json())
    assert read(document) == [request] and request.tweets == ("5", "6")
    assert "Jane" not in document
    assert list(read_records(document, READ_AT, reads_notices=False)) == [request]


@pytest.mark.parametrize(
    ("tweets", "users", "why", "message"),
    [
        (["12x"], [], "a", "12x: not a tweet id"),
        ([], [" "], "a", "a user id is empty"),
        ([], [], "a", "pass --tweet or --user"),
        (["1"], [], " ", "--why is empty"),
    ],
)
def test_invalid_requests_name_the_remedy(tweets: list[str], users: list[str], why: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_request(tweets, users, why)
