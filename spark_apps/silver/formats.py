"""Every input shape of a tweet → one form. `read` takes a document apart; nothing that it is given makes it raise."""

from collections.abc import Iterator
from typing import Any

from spark_apps.silver.fields import Invalid, Json, Tweet
from spark_apps.silver.json_text import Rejected, clean, dumps, values
from spark_apps.silver.shapes import is_tweet, tweet

__all__ = ["Rejected", "Tweet", "field", "read"]

_MANY = ("statuses", "results", "tweet_create_events", "users", "lists", "direct_messages", "dm_events")
_ONE = ("tweet", "status", "message")
_MESSAGES = {"direct_message", "direct_message_events", "message_create", "dm_conversation_id", "recipient_id"}
_NOTICES = (
    {"limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect", "warning", "friends", "friends_str"}
    | {"event", "control", "info", "for_user_id", "withheld", "compliance"}
)  # fmt: skip
_USERS = {"screen_name", "username", "preferredUsername"}
_LISTS = {"member_count", "subscriber_count", "follower_count"}


def read(raw: str) -> Iterator[Tweet | Rejected]:
    """Yield one item for each record of a document, and at least one: a tweet, or a reject with its reason.

    The records of a document are its JSON values; of an array, its elements; of a v2 response, its `data`.
    """
    text = clean(raw)
    found = False
    for value in values(text):
        for item in [value] if isinstance(value, Rejected) else _records(value, {}):
            found = True
            yield item
    if not found:
        yield Rejected(text, "not_a_tweet", None)


def field(fields: Json, path: str) -> str | None:
    """Return what stands at a dotted path of a tweet's own JSON, as text; None where there is nothing."""
    value: Any = fields
    for name in path.split("."):
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    if value is None:
        return None
    return clean(value) if isinstance(value, str) else dumps(value)


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
        yield from _opened(value, includes)


def _opened(value: Json, includes: Json) -> Iterator[Tweet | Rejected]:
    """Read an object that is not itself a tweet: an envelope of some, or something else altogether."""
    data = value.get("data")
    if isinstance(data, dict | list) and data != []:
        held = value.get("includes")
        yield from _records(data, held if isinstance(held, dict) else includes)
        return
    modules = value.get("modules")
    if isinstance(modules, list) and modules:
        for module in modules:
            yield from _records(module, includes)
        return
    for name in _MANY:
        if isinstance(value.get(name), list) and value[name]:
            yield from _records(value[name], includes)
            return
    for name in _ONE:
        if isinstance(value.get(name), dict) and not _USERS & value.keys():
            yield from _records(value[name], includes)
            return
    yield _reject(value, *_kind(value))


def _kind(value: Json) -> tuple[str, str | None]:
    """Say what an object is that holds no tweet: a reason, and a detail."""
    names = value.keys()
    if "delete" in names:
        return "deletion", None
    if _MESSAGES & names or value.get("event_type") in {"MessageCreate", "ParticipantsJoin", "ParticipantsLeave"}:
        return "direct_message", None
    if _LISTS & names and "name" in names and not _USERS & names:
        return "list", None
    if _USERS & names:
        return "user", None
    if notice := sorted(_NOTICES & names):
        return "notice", notice[0]
    if {"data", "errors", "meta", "modules", *_MANY} & names:
        return "no_tweets", "a response without a tweet"
    return "not_a_tweet", f"its fields are {', '.join(sorted(names)[:8])}" if names else "an empty object"


def _tweet(value: Json, includes: Json) -> Tweet | Rejected:
    try:
        return tweet(value, includes)
    except Invalid as error:
        return _reject(value, error.reason, error.detail)


def _reject(value: Any, reason: str, detail: str | None) -> Rejected:
    try:
        raw = dumps(value)
    except RecursionError:  # what could just be read may be too deep to be written
        return Rejected("", "too_deep", "nested more deeply than a tweet ever is")
    return Rejected(raw, reason, None if detail is None else clean(detail))
