"""Split a document into records: tweets in the columns of SILVER_TWEETS, and rejected records with a reason."""

from collections.abc import Iterator
from typing import Any

from spark_apps.silver.json_text import TOO_DEEP, Rejected, compact_json, json_values, replace_lone_surrogates
from spark_apps.silver.tweet import InvalidTweet, Json, Tweet
from spark_apps.silver.tweet_formats import is_tweet, parse_tweet

__all__ = ["Rejected", "Tweet", "field_text", "read_records"]

# Fields that contain a list of objects: API v1.1 search (`statuses`), Gnip search (`results`), Account Activity API
# (`tweet_create_events`), and lists of objects that are not tweets, which are rejected one by one.
_LIST_ENVELOPES = ("statuses", "results", "tweet_create_events", "users", "lists", "direct_messages", "dm_events")
# Fields that contain one tweet.
_OBJECT_ENVELOPES = ("tweet", "status", "message")
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


def read_records(raw: str) -> Iterator[Tweet | Rejected]:
    """Yield the records of a document, at least one; no content of `raw` raises an exception.

    A document contains one or more JSON values. Each value is a record, except that an array has one record per
    element, and a response of an API one per object in it (`data` in API v2, `statuses` in API v1.1, …).
    """
    text = replace_lone_surrogates(raw)
    is_empty = True
    for value in json_values(text):
        for record in [value] if isinstance(value, Rejected) else _records(value, {}):
            is_empty = False
            yield record
    if is_empty:
        yield Rejected(text, "not_a_tweet", None)


def field_text(tweet: Json, path: str) -> str | None:
    """Return the value at a dotted path of a tweet's JSON as text, or None if the path does not exist.

    A number in `path` is an index into a list. A value other than a string is returned as JSON.
    """
    value: Any = tweet
    for name in path.split("."):
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    if value is None:
        return None
    return replace_lone_surrogates(value) if isinstance(value, str) else compact_json(value)


def _records(value: Any, includes: Json) -> Iterator[Tweet | Rejected]:
    if isinstance(value, list):
        if not value:
            yield Rejected("[]", "no_tweets", "an empty array")
        for element in value:
            yield from _records(element, includes)
    elif not isinstance(value, dict):
        yield _reject(value, "not_a_tweet", f"a bare {type(value).__name__}")
    elif is_tweet(value):
        yield _tweet(value, includes)
    else:
        yield from _unwrap(value, includes)


def _unwrap(value: Json, includes: Json) -> Iterator[Tweet | Rejected]:
    """Yield the records within an object that is not a tweet: an API response, or one rejected record."""
    data = value.get("data")
    if isinstance(data, dict | list) and data != []:
        own_includes = value.get("includes")
        yield from _records(data, own_includes if isinstance(own_includes, dict) else includes)
        return
    modules = value.get("modules")
    if isinstance(modules, list) and modules:
        for module in modules:
            yield from _records(module, includes)
        return
    for name in _LIST_ENVELOPES:
        if isinstance(value.get(name), list) and value[name]:
            yield from _records(value[name], includes)
            return
    for name in _OBJECT_ENVELOPES:
        if isinstance(value.get(name), dict) and not _USER_FIELDS & value.keys():
            yield from _records(value[name], includes)
            return
    yield _reject(value, *_classify(value))


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
    if {"data", "errors", "meta", "modules", *_LIST_ENVELOPES} & names:
        return "no_tweets", "a response without a tweet"
    return "not_a_tweet", f"its fields are {', '.join(sorted(names)[:8])}" if names else "an empty object"


def _tweet(value: Json, includes: Json) -> Tweet | Rejected:
    try:
        return parse_tweet(value, includes)
    except InvalidTweet as error:
        return _reject(value, error.reason, error.detail)


def _reject(value: Any, reason: str, detail: str | None) -> Rejected:
    try:
        raw = compact_json(value)
    except RecursionError:  # the encoder reaches its recursion limit at a smaller depth than the decoder
        return Rejected("", "too_deep", TOO_DEEP)
    return Rejected(raw, reason, None if detail is None else replace_lone_surrogates(detail))
