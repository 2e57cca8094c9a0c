"""Formats that a user declares: what they read, and in which order they apply."""

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spark_apps.silver.near_formats import near_formats
from spark_apps.silver.user_formats import load_formats
from tests.silver.reading import MINIMAL, declare, read, read_reject, read_tweet

POST = {"nr": "7", "body": {"words": "hi @Bo"}, "at": "2022-11-27T16:00:05Z"}
MASTODON = {
    "marks": ["content", "spoiler_text", "account.acct"],
    "id": ["id"],
    "text": ["content"],
    "time": ["created_at"],
    "user": ["account.acct"],
    "lang": ["language"],
    "mentions": ["mentions.acct"],
    "original": ["reblog"],
    "has_html": True,
}
TOOT = {
    "id": "103270115826048975",
    "created_at": "2019-12-08T03:48:33.901Z",
    "spoiler_text": "",
    "language": "en",
    "content": '<p>Hi <a href="https://x.org/@bo">@<span>bo</span></a> &amp; 1 &lt; 2</p><p>two<br />three</p>',
    "account": {"id": "1", "acct": "ann"},
    "mentions": [{"id": "2", "acct": "bo@x.org"}],
    "reblog": None,
}
BLUESKY = {
    "marks": ["record.text", "author.did"],
    "text": ["record.text"],
    "time": ["record.createdAt"],
    "user": ["author.did"],
    "lang": ["record.langs.0"],
    "derives_id": True,
}
SKY: dict[str, Any] = {
    "uri": "at://did:plc:ann/app.bsky.feed.post/3l3qo2vutsw2b",
    "author": {"did": "did:plc:ann", "handle": "ann.bsky.social"},
    "record": {
        "$type": "app.bsky.feed.post",
        "createdAt": "2024-09-09T19:46:02.102Z",
        "langs": ["en"],
        "text": "hi @bo",
    },
    "likeCount": 3,
}


def test_posts_of_mastodon_are_read_by_a_declared_format(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"mastodon": MASTODON})
    tweet = read_tweet(TOOT, formats)
    assert (tweet.id, tweet.user_id, tweet.lang, tweet.mentions) == (TOOT["id"], "ann", "en", ["bo@x.org"])
    assert tweet.full_text == "Hi @bo & 1 < 2\ntwo\nthree"
    assert (tweet.timestamp, tweet.format) == (datetime(2019, 12, 8, 3, 48, 33, 901000, UTC), "mastodon")
    reblog = TOOT | {"id": "8", "content": "", "reblog": TOOT}
    assert (read_tweet(reblog, formats).id, read_tweet(reblog, formats).full_text) == ("8", tweet.full_text)
    assert read_reject(TOOT).reason == "other_network"


def test_posts_of_bluesky_get_an_id_from_their_content(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"bluesky": BLUESKY})
    tweet = read_tweet({"feed": [{"post": SKY}], "cursor": "x"}, formats)
    assert (tweet.full_text, tweet.user_id, tweet.lang, tweet.mentions) == ("hi @bo", "did:plc:ann", "en", ["bo"])
    assert tweet.id.startswith("bluesky-")
    assert read_tweet(SKY | {"likeCount": 9}, formats).id == tweet.id
    changes = [
        {"record": SKY["record"] | {"text": "other"}},
        {"record": SKY["record"] | {"createdAt": "2024-09-09T19:46:02.103Z"}},
        {"author": {"did": "did:plc:bo"}},
    ]
    assert len({read_tweet(SKY | change, formats).id for change in changes} | {tweet.id}) == 4


def test_a_derived_id_does_not_depend_on_other_fields_of_the_author(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"sky": BLUESKY | {"user": ["author"]}})
    ids = {read_tweet(SKY | {"author": {"did": "d", "id": 5, "followers": n}}, formats).id for n in (1, 2)}
    assert len(ids) == 1


def test_an_id_is_derived_only_if_the_post_has_none(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"own": MINIMAL | {"derives_id": True}})
    assert read_tweet(POST, formats).id == "7"
    assert read_tweet({name: value for name, value in POST.items() if name != "nr"}, formats).id.startswith("own-")
    assert read_reject(POST | {"nr": "at://x"}, formats).reason == "bad_id"


def test_derived_ids_of_the_course_format_never_change() -> None:
    value = {"date": "Mon Apr 06 22:19:45 PDT 2009", "user": "ann_", "text": "awww @switchfoot", "sentiment": 0}
    assert read_tweet(value).id == "course-f063c7793e8f678741fa8cff"
    assert read_tweet(value | {"user": {"id": 5}}).id == "course-e3599e3d1d522ea51053d6e0"


def test_declared_formats_apply_before_built_in_ones_in_the_order_of_their_names(tmp_path: Path) -> None:
    flat = {"id": 1, "full_text": "hi", "timestamp": "2022-11-27T16:00:05Z", "nr": 2}
    own = {"marks": ["full_text", "nr"], "id": ["nr"], "text": ["full_text"], "time": ["timestamp"]}
    assert read_tweet(flat).format == "flat"
    tweet = read_tweet(flat, declare(tmp_path, {"second": own, "first": own}))
    assert (tweet.format, tweet.id) == ("first", "2")
    without_nr = {name: value for name, value in flat.items() if name != "nr"}
    assert read_tweet(without_nr, declare(tmp_path, {"own": own})).format == "flat"


@pytest.mark.parametrize(
    "envelope",
    [
        [POST],
        {"payload": {"after": POST}},
        {"Message": json.dumps(POST)},
        {"data": [POST], "meta": {}},
        {"columns": ["x"], "data": [[POST]]},
        {"_json": POST},
    ],
)
def test_a_declared_format_is_found_in_any_envelope(tmp_path: Path, envelope: object) -> None:
    assert read_tweet(envelope, declare(tmp_path, {"own": MINIMAL})).format == "own"


def test_a_format_may_have_alternative_marks_and_labels(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"own": MINIMAL | {"any_mark": ["a", "b.c"], "has_labels": True}})
    assert read_tweet(POST | {"b": {"c": 0}, "label": "positive"}, formats).truth == "positive"
    assert read_reject(POST | {"b": {}}, formats).reason == "not_a_tweet"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<br>b", "a\nb"),
        ("&#x1F600;", "😀"),
        ("<b", "<b"),
        ("&#xD800;", "\ufffd"),
        (f"&#{'9' * 9000};", f"&#{'9' * 9000};"),
    ],
)
def test_html_becomes_text(tmp_path: Path, html: str, text: str) -> None:
    formats = declare(tmp_path, {"own": MINIMAL | {"has_html": True}})
    assert read_tweet(POST | {"body": {"words": html}}, formats).full_text == text


@pytest.mark.parametrize("html", ["<" * 300_000, "</p>" * 100_000, "</p>" + " " * 400_000, "<p" * 200_000])
def test_html_takes_linear_time(tmp_path: Path, html: str) -> None:
    formats = declare(tmp_path, {"own": MINIMAL | {"has_html": True}})
    assert read(POST | {"body": {"words": html}}, formats)


@pytest.mark.parametrize("value", [["x"], 7, {"a": 1}, None])
def test_a_text_that_is_not_a_string_is_rejected(tmp_path: Path, value: object) -> None:
    assert read_reject(POST | {"body": {"words": value}}, declare(tmp_path, {"own": MINIMAL | {"has_html": True}}))


def test_formats_can_be_sent_to_another_process(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"mastodon": MASTODON})
    assert pickle.loads(pickle.dumps(formats)) == formats


def test_no_file_declares_no_formats() -> None:
    assert load_formats(None) == ()


def test_near_formats_name_the_fields_that_an_object_lacks(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"mastodon": MASTODON})
    near, *_ = near_formats({"status": [{"content": "x", "account": {"acct": "ann"}}]}, formats)
    assert (near.name, near.path, near.present, near.missing, near.excluded_by) == (
        "mastodon", "status.0", ["content", "account.acct"], ["spoiler_text"], []
    )  # fmt: skip
    near, *_ = near_formats({"rawContent": "x"}, ())
    assert (near.name, near.missing) == ("scraper", ["date"])
    near, *_ = near_formats(TOOT | {"text": "x"}, ())
    assert (near.name, near.missing, near.excluded_by) == ("v1.1, v2, flat or course", [], ["spoiler_text"])
    assert near_formats({"a": {"b": [1, [2]]}}, formats) == []
