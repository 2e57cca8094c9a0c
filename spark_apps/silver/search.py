"""Find the tweets in a JSON value: alone, in lists, and in the envelopes of APIs, queues and exports."""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from spark_apps.silver.json_text import Rejected, compact_json, prune, replace_lone_surrogates
from spark_apps.silver.tweet import Json
from spark_apps.silver.tweet_formats import OTHER_NETWORK_FIELDS, find_format
from spark_apps.silver.tweet_reader import TweetFormat

# Fields that contain a list of records: API v1.1 search (`statuses`), Gnip search (`results`), Account Activity API
# (`tweet_create_events`), and lists of objects that are not tweets, which are rejected one by one.
_LIST_ENVELOPES = ("statuses", "results", "tweet_create_events", "users", "lists", "direct_messages", "dm_events")
_DIRECT_MESSAGE_FIELDS = {
    "direct_message", "direct_message_events", "message_create", "dm_conversation_id", "recipient_id",
}  # fmt: skip
_DIRECT_MESSAGE_EVENTS = {"MessageCreate", "ParticipantsJoin", "ParticipantsLeave"}
# Fields of the messages that the streaming APIs send besides tweets.
_NOTICE_FIELDS = (
    {"limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect", "warning", "friends", "friends_str"}
    | {"event", "control", "info", "for_user_id", "withheld", "compliance"}
)  # fmt: skip
_USER_FIELDS = {"screen_name", "username", "preferredUsername"}
_LIST_FIELDS = {"member_count", "subscriber_count", "follower_count"}
# Fields of a tweet, or next to one, that contain other tweets: quoted ones, originals, and those that API v2 includes.
_OTHER_TWEETS = {"includes", "quoted_status_result", "quotedRefResult", "quoted_status", "retweeted_status"}
# The reasons of objects that may still contain a tweet, at any depth.
NO_TWEETS = {"no_tweets", "not_a_tweet"}
# JSON in a string in JSON in a string: a queue in a queue. No service nests deeper.
_MAX_ENCODINGS = 3
# The beginnings of `{"`, `{ "` and `[{` in Base64, in which Kinesis and Pub/Sub encode their records.
_BASE64_JSON = ("eyJ", "eyA", "W3s")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A JSON object that is meant as a tweet, its format, and the `includes` of its API v2 response."""

    value: Json
    format: TweetFormat
    includes: Json


def find_candidates(
    value: Any, formats: Sequence[TweetFormat], includes: Json | None = None
) -> Iterator[Candidate | Rejected]:
    """Yield the records of a JSON value: tweets, and rejects for what contains none.

    An array has at least one record per object in it, an envelope of an API one per object in its list, and any other
    object the tweets in it, at any depth. An object within a tweet is not a record. `formats` are the formats that a
    user has declared.
    """
    includes = includes or {}
    if isinstance(value, list):
        yield from _list(value, formats, includes)
    elif isinstance(value, dict):
        if isinstance(value.get("_json"), dict):  # a Status of Tweepy, which keeps the JSON that it was made of
            yield from find_candidates(value["_json"], formats, includes)
        elif format_ := find_format(value, formats):
            rows = _columns(value)
            if rows is None:
                yield Candidate(value, format_, includes)
            else:
                yield from _list(rows, formats, includes)
        else:
            yield from _unwrap(value, formats, includes)
    elif (decoded := _decoded(value)) is not None:
        yield from find_candidates(decoded, formats, includes)
    else:
        yield reject(value, "not_a_tweet", f"a bare {type(value).__name__}")


def reject(value: Any, reason: str, detail: str | None) -> Rejected:
    """Return a reject with `value` as JSON."""
    return Rejected(compact_json(value), reason, None if detail is None else replace_lone_surrogates(detail))


def _list(values: list[Any], formats: Sequence[TweetFormat], includes: Json) -> Iterator[Candidate | Rejected]:
    if not values:
        yield Rejected("[]", "no_tweets", "an empty array")
    elif not any(isinstance(value, (dict, list)) or _decoded(value) is not None for value in values):
        # One reject for a list of numbers or words, not one for each of them.
        yield reject(values, "not_a_tweet", f"an array of {len(values)} values that are not objects")
    else:
        for value in values:
            yield from find_candidates(value, formats, includes)


def _unwrap(value: Json, formats: Sequence[TweetFormat], includes: Json) -> Iterator[Candidate | Rejected]:
    """Yield the records in an object that is not a tweet: those in its envelope, or one reject."""
    if (rows := _columns(value) or _split(value)) is not None:
        yield from _list(rows, formats, includes)
        return
    data = value.get("data")
    if isinstance(data, (dict, list)) and data != []:
        yield from find_candidates(data, formats, _includes(value, includes))
        return
    for name in ("modules", *_LIST_ENVELOPES):
        if isinstance(value.get(name), list) and value[name]:
            yield from _list(value[name], formats, includes)
            return
    reason, detail = _classify(value)
    found = list(_search(value, formats)) if reason in NO_TWEETS else []
    if found:
        yield from found
    else:
        yield reject(value, reason, detail)


def _search(root: Json, formats: Sequence[TweetFormat]) -> Iterator[Candidate]:
    """Yield the tweets at any depth of an object, in their order, without those that lie within a tweet or a user."""
    stack: list[tuple[Any, Json, int]] = [(root, {}, 0)]
    while stack:
        value, includes, encodings = stack.pop()
        if isinstance(value, dict):
            if value is not root:
                if format_ := find_format(value, formats):
                    yield Candidate(value, format_, includes)
                    continue
                if _classify(value)[0] not in NO_TWEETS:
                    continue
            includes = _includes(value, includes)
            children = [child for name, child in value.items() if name not in _OTHER_TWEETS]
            stack.extend((child, includes, encodings) for child in reversed(children))
        elif isinstance(value, list):
            stack.extend((child, includes, encodings) for child in reversed(value))
        elif encodings < _MAX_ENCODINGS and (decoded := _decoded(value)) is not None:
            stack.append((decoded, includes, encodings + 1))


def _includes(value: Json, outer: Json) -> Json:
    """Return the `includes` of an API v2 response, or those of the response around it."""
    own = value.get("includes")
    return own if isinstance(own, dict) else outer


def _decoded(value: Any) -> Any:
    """Return the object or array in a string with JSON, plain or in Base64; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        for _ in range(_MAX_ENCODINGS):
            text = value.lstrip()
            if text.startswith(_BASE64_JSON):
                value = json.loads(base64.b64decode(text, validate=True))
            elif text[:1] in {"{", "[", '"'}:
                value = json.loads(text, strict=False)
            if not isinstance(value, str):
                break
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, (dict, list)):
        return None
    prune(value)
    return value


def _columns(value: Json) -> list[Json] | None:
    """Return the rows of a table that is stored by columns, as pandas does; None for any other object."""
    if "text" not in value and "full_text" not in value:
        return None
    columns = list(value.values())
    if not isinstance(columns[0], dict) or not all(isinstance(column, dict) for column in columns):
        return None
    index = columns[0].keys()
    if not index or any(column.keys() != index for column in columns):
        return None
    return [{name: column[key] for name, column in value.items()} for key in index]


def _split(value: Json) -> list[Json] | None:
    """Return the rows of a table with `columns` and `data`, as pandas stores it; None for any other object."""
    names, rows = value.get("columns"), value.get("data")
    if not isinstance(names, list) or not isinstance(rows, list) or not all(isinstance(name, str) for name in names):
        return None
    if not rows or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return [dict(zip(names, row, strict=True)) for row in rows]


def _classify(value: Json) -> tuple[str, str | None]:
    """Return the quarantine reason and the detail for an object that contains no tweet."""
    names = value.keys()
    if "delete" in names:
        return "deletion", None
    if _DIRECT_MESSAGE_FIELDS & names or value.get("event_type") in _DIRECT_MESSAGE_EVENTS:
        return "direct_message", None
    if _LIST_FIELDS & names and "name" in names and not _USER_FIELDS & names:
        return "list", None
    if _USER_FIELDS & names:
        return "user", None
    if notice := sorted(_NOTICE_FIELDS & names):
        return "notice", notice[0]
    if OTHER_NETWORK_FIELDS & names:
        return "other_network", "a post of Mastodon or Bluesky: declare a format to read it"
    if {"data", "errors", "meta", "modules", *_LIST_ENVELOPES} & names:
        return "no_tweets", "a response without a tweet"
    return "not_a_tweet", f"its fields are {', '.join(sorted(names)[:8])}" if names else "an empty object"
