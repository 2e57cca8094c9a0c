"""Formats that a user declares: what they read, their precedence, and errors with their remedy."""

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from spark_apps.settings import SettingsError
from spark_apps.silver.near_formats import near_formats
from spark_apps.silver.records import Rejected, Tweet, read_records
from spark_apps.silver.tweet_reader import TweetFormat
from spark_apps.silver.user_formats import load_formats

READ_AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINIMAL: dict[str, Any] = {"marks": ["body.words"], "id": ["nr"], "text": ["body.words"], "time": ["at"]}
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


def declare(folder: Path, declared: object) -> tuple[TweetFormat, ...]:
    file = folder / "formats.yaml"
    file.write_text(declared if isinstance(declared, str) else yaml.safe_dump(declared))
    return load_formats(file)


def refused(folder: Path, declared: object) -> str:
    with pytest.raises(SettingsError) as caught:
        declare(folder, declared)
    assert str(folder / "formats.yaml") in str(caught.value)
    return str(caught.value)


def records(value: object, formats: tuple[TweetFormat, ...]) -> list[Tweet | Rejected]:
    return list(read_records(json.dumps(value), READ_AT, formats=formats))


def tweet(value: object, formats: tuple[TweetFormat, ...]) -> Tweet:
    (found,) = records(value, formats)
    assert isinstance(found, Tweet), found
    return found


def test_posts_of_mastodon_are_read_by_a_declared_format(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"mastodon": MASTODON})
    found = tweet(TOOT, formats)
    assert (found.id, found.user_id, found.lang, found.mentions) == (TOOT["id"], "ann", "en", ["bo@x.org"])
    assert found.full_text == "Hi @bo & 1 < 2\ntwo\nthree"
    assert (found.timestamp, found.format) == (datetime(2019, 12, 8, 3, 48, 33, 901000, UTC), "mastodon")
    reblog = TOOT | {"id": "8", "content": "", "reblog": TOOT}
    assert (tweet(reblog, formats).id, tweet(reblog, formats).full_text) == ("8", found.full_text)
    (rejected,) = records(TOOT, ())
    assert isinstance(rejected, Rejected) and rejected.reason == "other_network"


def test_posts_of_bluesky_get_an_id_from_their_content(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"bluesky": BLUESKY})
    found = tweet({"feed": [{"post": SKY}], "cursor": "x"}, formats)
    assert (found.full_text, found.user_id, found.lang, found.mentions) == ("hi @bo", "did:plc:ann", "en", ["bo"])
    assert found.id.startswith("bluesky-")
    assert tweet(SKY | {"likeCount": 9}, formats).id == found.id
    changes = [
        {"record": SKY["record"] | {"text": "other"}},
        {"record": SKY["record"] | {"createdAt": "2024-09-09T19:46:02.103Z"}},
        {"author": {"did": "did:plc:bo"}},
    ]
    assert len({tweet(SKY | change, formats).id for change in changes} | {found.id}) == 4


def test_a_derived_id_does_not_depend_on_other_fields_of_the_author(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"sky": BLUESKY | {"user": ["author"]}})
    ids = {tweet(SKY | {"author": {"did": "d", "id": 5, "followers": n}}, formats).id for n in (1, 2)}
    assert len(ids) == 1


def test_an_id_comes_before_a_derived_one(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"own": MINIMAL | {"derives_id": True}})
    assert tweet(POST, formats).id == "7"
    assert tweet({name: value for name, value in POST.items() if name != "nr"}, formats).id.startswith("own-")
    (rejected,) = records(POST | {"nr": "at://x"}, formats)
    assert isinstance(rejected, Rejected) and rejected.reason == "bad_id"


def test_the_ids_of_the_course_format_never_change() -> None:
    value = {"date": "Mon Apr 06 22:19:45 PDT 2009", "user": "ann_", "text": "awww @switchfoot", "sentiment": 0}
    assert tweet(value, ()).id == "course-f063c7793e8f678741fa8cff"
    assert tweet(value | {"user": {"id": 5}}, ()).id == "course-e3599e3d1d522ea51053d6e0"


def test_declared_formats_come_before_built_in_ones_in_the_order_of_their_names(tmp_path: Path) -> None:
    flat = {"id": 1, "full_text": "hi", "timestamp": "2022-11-27T16:00:05Z", "nr": 2}
    own = {"marks": ["full_text", "nr"], "id": ["nr"], "text": ["full_text"], "time": ["timestamp"]}
    assert tweet(flat, ()).format == "flat"
    found = tweet(flat, declare(tmp_path, {"second": own, "first": own}))
    assert (found.format, found.id) == ("first", "2")
    assert (
        tweet({"id": 1, "full_text": "hi", "timestamp": 1669564805}, declare(tmp_path, {"own": own})).format == "flat"
    )


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
    assert tweet(envelope, declare(tmp_path, {"own": MINIMAL})).format == "own"


def test_any_mark_and_labels(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"own": MINIMAL | {"any_mark": ["a", "b.c"], "has_labels": True}})
    assert tweet(POST | {"b": {"c": 0}, "label": "positive"}, formats).truth == "positive"
    (rejected,) = records(POST | {"b": {}}, formats)
    assert isinstance(rejected, Rejected) and rejected.reason == "not_a_tweet"


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
    assert tweet(POST | {"body": {"words": html}}, formats).full_text == text


@pytest.mark.parametrize("html", ["<" * 300_000, "</p>" * 100_000, "</p>" + " " * 400_000, "<p" * 200_000])
def test_html_takes_linear_time(tmp_path: Path, html: str) -> None:
    formats = declare(tmp_path, {"own": MINIMAL | {"has_html": True}})
    assert records(POST | {"body": {"words": html}}, formats)


@pytest.mark.parametrize("value", [["x"], 7, {"a": 1}, None])
def test_a_text_that_is_not_a_string_is_rejected(tmp_path: Path, value: object) -> None:
    (rejected,) = records(POST | {"body": {"words": value}}, declare(tmp_path, {"own": MINIMAL | {"has_html": True}}))
    assert isinstance(rejected, Rejected)


def test_formats_reach_another_process_as_a_value(tmp_path: Path) -> None:
    formats = declare(tmp_path, {"mastodon": MASTODON})
    assert pickle.loads(pickle.dumps(formats)) == formats


def test_no_file_declares_no_formats() -> None:
    assert load_formats(None) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"marks": []}, "own.marks: is empty: write at least one path"),
        ({"marks": None}, "own.marks: is not a list"),
        ({"id": "id"}, "own.id: 'id' is not a list: write a list of paths, such as [id, post.id]"),
        ({"id": []}, "own: has no id: write its paths in `id`, or set derives_id: true"),
        ({"text": [1]}, "own.text.0: '1' is not a string: write it in quotes"),
        ({"time": ["a..b"]}, "own.time.0: 'a..b' is not a path: write names with dots between them"),
        ({"tim": ["a"]}, "own.tim: is unknown: remove it, or correct its name"),
        ({"name": "x"}, "own.name: 'x' is unknown"),
        ({"mentions": ["mentions"]}, "own.mentions.0: 'mentions' is not a path in a list: write list.field"),
        ({"has_html": "maybe"}, "own.has_html: 'maybe' is neither true nor false"),
        ({"lang": ["x"] * 21}, "own.lang: has more than 20 entries: remove some"),
        ({"lang": ["x" * 201]}, "is longer than 200 characters: shorten it"),
    ],
)
def test_an_invalid_field_is_named_with_the_remedy(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert message in refused(tmp_path, {"own": MINIMAL | change})


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("", "is not a mapping: write the name of each format"),
        ("[]", "is not a mapping"),
        ("own: [1]", "own: is not a mapping: write the fields of the format below its name"),
        ("own: {text: [a]}", "own.marks: is missing: add it"),
        ("a: [", "is not valid YAML"),
        ("a: {}\na: {}", "'a' occurs twice"),
        ("[" * 5_000, "is not valid YAML"),
        ("at: 2020-99-99", "is not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "is not valid YAML"),
        ("#" * (1 << 20) + "#", "is larger than 1048576 bytes"),
        ({"flat": MINIMAL}, "flat: a built-in format has this name: choose another"),
        ({"v1.1": MINIMAL}, "v1.1: a built-in format has this name"),
        ({"Own Format": MINIMAL}, "Own Format: 'Own Format' is not a name"),
        ({1: MINIMAL}, "1: '1' is not a string: write it in quotes"),
        ({f"own{n}": MINIMAL for n in range(101)}, "has more than 100 entries: remove some"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, declared: object, message: str) -> None:
    assert message in refused(tmp_path, declared)


def test_all_problems_are_reported_together_up_to_a_limit(tmp_path: Path) -> None:
    assert len(refused(tmp_path, {f"own{n}": {} for n in range(5)}).splitlines()) == 15
    assert len(refused(tmp_path, {f"own{n}": {} for n in range(50)}).splitlines()) == 20


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml is not readable .*TWEETS_FORMATS"):
        load_formats(tmp_path / "none.yaml")


def test_the_nearest_formats_say_what_an_object_lacks(tmp_path: Path) -> None:
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
