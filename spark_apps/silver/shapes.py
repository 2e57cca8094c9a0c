"""The shapes of one tweet: which of them an object has, and where each keeps id, text, time, language and mentions."""

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spark_apps.silver.json_text import clean, dumps
from spark_apps.silver.times import parse_time

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tweet:
    """One tweet, in the words of SILVER_TWEETS; `fields` is its own JSON."""

    id: str
    user_id: str | None
    full_text: str
    lang: str
    timestamp: datetime
    mentions: list[str]
    truth: str | None
    format: str
    fields: Json


class Invalid(Exception):  # noqa: N818 - the word of the domain
    """A tweet that lacks what every tweet has."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


_TEXTS = ("full_text", "text", "body")
_COMPANIONS = {
    "id",
    "id_str",
    "tweet_id",
    "created_at",
    "timestamp",
    "date",
    "postedTime",
    "user",
    "user_id",
    "author_id",
}
_V2 = {
    "author_id",
    "author",
    "edit_history_tweet_ids",
    "note_tweet",
    "conversation_id",
    "referenced_tweets",
    "public_metrics",
}
_NO_TWEET = {"sender_id", "recipient_id", "recipient", "event_type", "dm_conversation_id", "message_create"}
_TRUTHS = {
    "0": "negative",
    "2": "neutral",
    "4": "positive",
    "negative": "negative",
    "neutral": "neutral",
    "positive": "positive",
}
_AT = re.compile(r"(?<![\w@])[@＠](\w{1,30})")
_ID = re.compile(r"\d{1,20}")
# Ids are snowflakes since 4 November 2010; before, they were counted up and say nothing of the time.
_FIRST_SNOWFLAKE = 29_700_859_247
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657


def is_tweet(value: Json) -> bool:
    """Tell whether an object is meant as a tweet, complete or not."""
    names = value.keys()
    if _NO_TWEET & names or "delete" in names:
        return False
    if _is_activity(value):
        return True
    if not any(name in names for name in _TEXTS):
        # A tweet that lost its text, but nothing else that looks like one: users have a created_at too.
        return bool({"id", "id_str"} & names) and (
            "timestamp" in names or ("created_at" in names and bool({"user", "entities", "author_id"} & names))
        )
    return bool(_COMPANIONS & names)


def tweet(value: Json, includes: Json) -> Tweet:
    """Read an object for which `is_tweet` holds; `includes` is what a v2 response has beside its data.

    Raises `Invalid` where id, text or time is missing or cannot be read.
    """
    shape = _shape(value)
    if shape == "v1.1":
        source = _v1_source(value)
        parts = (value.get("id_str") or value.get("id"), _v1_text(value, source), _v1_time(value))
        entities = _at(source, "extended_tweet", "entities", "user_mentions") or _at(
            source, "entities", "user_mentions"
        )
        user, lang, names = _v1_user(value), value.get("lang"), _names(entities, "screen_name")
    elif shape == "v2":
        source = _v2_source(value, includes)
        text = _at(source, "note_tweet", "text") or source.get("text")
        parts = (value.get("id") or value.get("id_str"), text, value.get("created_at"))
        user = value.get("author_id") or _at(value, "author", "id")
        entities = _at(source, "note_tweet", "entities", "mentions") or _at(source, "entities", "mentions")
        lang, names = value.get("lang"), _names(entities, "username")
    elif shape == "activity":
        shared = value.get("object") if value.get("verb") == "share" else None
        source = shared if isinstance(shared, dict) and shared.get("body") else value
        text = _at(source, "long_object", "body") or source.get("body")
        parts = (_last_part(value.get("id")), text, value.get("postedTime"))
        user = _last_part(_at(value, "actor", "id")) or _at(value, "actor", "preferredUsername")
        lang = value.get("twitter_lang") or _at(value, "gnip", "language", "value")
        names = _names(_at(source, "twitter_entities", "user_mentions"), "screen_name")
    elif shape == "course":
        parts = (value.get("id", _NONE), value.get("text"), value.get("date"))
        user, lang, names = value.get("user") or value.get("user_id"), value.get("lang"), None
    else:
        time = value.get("timestamp") if value.get("timestamp") is not None else value.get("created_at")
        parts = (
            value.get("id") or value.get("id_str") or value.get("tweet_id"),
            value.get("full_text") or value.get("text"),
            time,
        )
        user = value.get("user_id") or value.get("user")
        lang, names = value.get("lang"), value.get("mentions")
    return _checked(value, shape, parts, user, lang, names)


_NONE = object()


def _checked(value: Json, shape: str, parts: tuple[Any, Any, Any], user: Any, lang: Any, names: Any) -> Tweet:
    id_ = _derived_id(value) if parts[0] is _NONE else _id(parts[0])
    text = _text(parts[1])
    return Tweet(
        id=id_,
        user_id=_user(user),
        full_text=text,
        lang=clean(lang.strip()) if isinstance(lang, str) and 0 < len(lang.strip()) <= 35 else "und",
        timestamp=_time(parts[2], id_ if shape == "v2" else None),
        mentions=_mentions(names, text),
        truth=_truth(value) if shape in {"flat", "course"} else None,
        format=shape,
        fields=value,
    )


def _is_activity(value: Json) -> bool:
    return "postedTime" in value or ("actor" in value and ("body" in value or "verb" in value))


def _shape(value: Json) -> str:
    names = value.keys()
    if _is_activity(value):
        return "activity"
    if "created_at" not in names and "timestamp" not in names and ("date" in names or "sentiment" in names):
        return "course"
    if "timestamp" in names and "created_at" not in names:
        return "flat"
    if isinstance(value.get("user"), dict) or "id_str" in names or "truncated" in names:
        return "v1.1"
    if _V2 & names:
        return "v2"
    if "full_text" in names:
        return "v1.1" if "entities" in names or "created_at" in names else "flat"
    return "flat" if "user_id" in names or "user" in names else "v2"


def _v1_source(value: Json) -> Json:
    """Return the tweet whose text counts: of a retweet, the original."""
    original = value.get("retweeted_status")
    return original if isinstance(original, dict) and _v1_text(original, original) else value


def _v1_text(value: Json, source: Json) -> Any:
    for found in (_at(source, "extended_tweet", "full_text"), source.get("full_text"), source.get("text")):
        if found:
            return found
    return value.get("full_text", value.get("text"))


def _v1_time(value: Json) -> Any:
    created = value.get("created_at")
    return value.get("timestamp_ms") if created is None or created == "" else created


def _v1_user(value: Json) -> Any:
    user = value.get("user")
    if isinstance(user, dict):
        return user.get("id_str") or user.get("id") or user.get("screen_name")
    return user or value.get("user_id_str") or value.get("user_id")


def _v2_source(value: Json, includes: Json) -> Json:
    """Return the tweet whose text counts: of a retweet, the original where the response includes it."""
    references = value.get("referenced_tweets")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, dict) and reference.get("type") == "retweeted":
            if reference.get("text"):  # twarc's flattened form puts the original into the reference
                return reference
            tweets = includes.get("tweets")
            for original in tweets if isinstance(tweets, list) else ():
                if isinstance(original, dict) and original.get("id") == reference.get("id") and original.get("text"):
                    return original
    return value


def _at(value: Any, *path: str) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _last_part(value: Any) -> Any:
    """Return `123` of `tag:search.twitter.com,2005:123`."""
    return value.rpartition(":")[2] if isinstance(value, str) else value


def _id(value: Any) -> str:
    if value is None or value == "":
        raise Invalid("missing_id")
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    digits = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if isinstance(value, str) and not digits:
        raise Invalid("missing_id")
    if not (digits.isascii() and _ID.fullmatch(digits)) or not 0 < int(digits) < 2**64:
        raise Invalid("bad_id", f"{_excerpt(value)} is no positive integer of 64 bits")
    return str(int(digits))


def _derived_id(value: Json) -> str:
    """Return an id that the same tweet of the course form always has: it brings none."""
    identity = dumps([value.get("date"), value.get("user"), value.get("text")])
    return f"course-{hashlib.sha256(identity.encode()).hexdigest()[:24]}"


def _text(value: Any) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Invalid("missing_text")
    if not isinstance(value, str):
        raise Invalid("bad_text", f"{_excerpt(value)} is no text")
    return clean(value)


def _time(value: Any, snowflake: str | None) -> datetime:
    if value is None or value == "":
        if snowflake is not None and int(snowflake) >= _FIRST_SNOWFLAKE:
            value = (int(snowflake) >> 22) + _SNOWFLAKE_EPOCH_MS
            return (
                _time(datetime.fromtimestamp(value / 1000, UTC).isoformat(), None) if value < 4e12 else _bad_time(value)
            )
        raise Invalid("missing_time")
    found = parse_time(value)
    return found if found is not None else _bad_time(value)


def _bad_time(value: Any) -> datetime:
    raise Invalid("bad_time", f"{_excerpt(value)} is no time between 2006 and 2100")


def _user(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("id_str") or value.get("id") or value.get("screen_name") or value.get("name")
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        return None
    return clean(str(value)) if isinstance(value, str) or abs(value) < 2**64 else None


def _names(entities: Any, name: str) -> list[Any] | None:
    if not isinstance(entities, list):
        return None
    return [entity.get(name) for entity in entities if isinstance(entity, dict)]


def _mentions(names: Any, text: str) -> list[str]:
    """Return the accounts that the tweet's entities name, or else those in its text."""
    found: Iterable[str] = (
        [name for name in names if isinstance(name, str)] if isinstance(names, list) else _AT.findall(text)
    )
    return list(dict.fromkeys(name for name in (clean(name.strip().lstrip("@").lower()) for name in found) if name))


def _truth(value: Json) -> str | None:
    for name in ("truth", "label", "sentiment"):
        if isinstance(value.get(name), str | int):
            return _TRUTHS.get(str(value[name]).strip().lower())
    return None


def _excerpt(value: Any) -> str:
    return dumps(value)[:100]
