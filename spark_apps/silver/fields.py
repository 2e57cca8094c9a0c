"""What each field of a tweet must be, whatever the shape in which it came."""

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spark_apps import snowflake
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


# In place of an id, where the shape brings none.
DERIVED = object()


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in an object for each field of a tweet, as it stands there.

    `mentions` is None where nothing but the text names them, and `truth` where the shape knows none.
    """

    id: Any
    text: Any
    time: Any
    user: Any
    lang: Any
    mentions: Any
    truth: str | None = None


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
# Four times what the longest tweet may have; one that is longer would take the memory of whatever shows or scores it.
_LONGEST_TEXT = 100_000


def checked(value: Json, shape: str, found: Found) -> Tweet:
    """Return the tweet of which `found` stands in `value`; raises `Invalid` where id, text or time cannot be one."""
    id_ = _derived_id(value) if found.id is DERIVED else _id(found.id)
    text = _text(found.text)
    return Tweet(
        id=id_,
        user_id=_user(found.user),
        full_text=text,
        lang=clean(found.lang.strip()) if isinstance(found.lang, str) and 0 < len(found.lang.strip()) <= 35 else "und",
        timestamp=_time(found.time, id_ if shape == "v2" else None),
        mentions=_mentions(found.mentions, text),
        truth=found.truth,
        format=shape,
        fields=value,
    )


def truth(value: Json) -> str | None:
    """Return the label that came with a tweet, in our words."""
    for name in ("truth", "label", "sentiment"):
        if isinstance(value.get(name), str | int):
            return _TRUTHS.get(str(value[name]).strip().lower())
    return None


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
    if len(value) > _LONGEST_TEXT:
        raise Invalid("long_text", f"{len(value)} characters; the limit is {_LONGEST_TEXT}")
    return clean(value)


def _time(value: Any, tweet_id: str | None) -> datetime:
    if value is None or value == "":
        if tweet_id is not None and int(tweet_id) >= snowflake.FIRST_ID:
            value = snowflake.unix_ms(int(tweet_id))
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


def _mentions(names: Any, text: str) -> list[str]:
    """Return the accounts that the tweet's entities name, or else those in its text."""
    found: Iterable[str] = (
        [name for name in names if isinstance(name, str)] if isinstance(names, list) else _AT.findall(text)
    )
    return list(dict.fromkeys(name for name in (clean(name.strip().lstrip("@").lower()) for name in found) if name))


def _excerpt(value: Any) -> str:
    return dumps(value)[:100]
