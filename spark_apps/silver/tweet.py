"""A tweet in the columns of SILVER_TWEETS, and the validation of its fields, which is the same for every format."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from spark_apps import snowflake
from spark_apps.json_text import INVALID_BYTE, compact_json, replace_lone_surrogates
from spark_apps.silver.times import parse_time

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tweet:
    """One valid tweet: the columns of SILVER_TWEETS; `json` is the JSON object of the tweet."""

    id: str
    user_id: str | None
    full_text: str
    lang: str
    timestamp: datetime
    mentions: list[str]
    truth: str | None
    format: str
    retweet_of: str | None
    retweet_of_user: str | None
    json: Json


class InvalidTweet(Exception):  # noqa: N818 - names the condition, as StopIteration does
    """A tweet without a usable id, text or time; `reason` is one of REASONS in tables.py."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


# Not frozen: Silver makes one object for each tweet, and the constructor of a frozen class takes 2% of its time.
@dataclass(slots=True)
class RawFields:
    """The fields of a tweet as they are in its JSON object, before validation.

    Attributes:
        mentions: list of the mentioned accounts; None if the object has no list, and mentions are only in the text.
        truth: None if the format has no labels.
        identity: values from which the id is derived: time, user and text if empty. None if the tweet must have an id.
        has_time_in_id: whether a missing time is derived from the id.
        retweet_of: id of the original if the tweet is a retweet, else None.
        retweet_of_user: author of the original.
    """

    id: Any
    text: Any
    time: Any
    user: Any
    lang: Any
    mentions: Any
    truth: str | None = None
    identity: list[Any] | None = None
    has_time_in_id: bool = False
    retweet_of: Any = None
    retweet_of_user: Any = None


# 0, 2 and 4 are the label codes of Sentiment140 (Go et al., 2009).
_LABELS = {
    "0": "negative",
    "2": "neutral",
    "4": "positive",
    "negative": "negative",
    "neutral": "neutral",
    "positive": "positive",
}
_LABEL_FIELDS = ("truth", "label", "sentiment", "target", "airline_sentiment")
# Fields of a user object, in order of preference.
_USER_NAMES = ("id_str", "id", "screen_name", "userName", "username", "name")
_MENTION = re.compile(r"(?<![\w@])[@＠](\w{1,30})")
_ID = re.compile(r"\d{1,20}")
_MAX_LANG_CHARACTERS = 35
# Names have at most 15 characters, and had up to 20 in the first years.
_MAX_NAME_CHARACTERS = 100
# The first tweet was posted on 21 March 2006.
_FIRST_TWEET = datetime(2006, 3, 21, tzinfo=UTC)
# Tolerates wrong clocks, and local times without a zone.
_MAX_FUTURE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TweetLimits:
    """Limits of the fields of a tweet.

    Attributes:
        text_characters: a tweet with a longer text is rejected: the text would take the memory of the processes that
            score or display it. The longest possible tweet has a quarter of the default.
        mentions: further accounts are dropped: each one is a row of gold/mentions. A tweet mentions 50 at most.
    """

    text_characters: int = 100_000
    mentions: int = 100


DEFAULT_LIMITS = TweetLimits()


def validate(json: Json, format_: str, raw: RawFields, read_at: datetime, limits: TweetLimits) -> Tweet:
    """Return the tweet with the fields `raw` of the object `json`, which was read at the time `read_at`.

    Other malformed fields than id, text and time become null, `und` or [].

    Raises:
        InvalidTweet: id, text or time is missing or malformed, the text is too long or not valid UTF-8, or the time is
            before the first tweet or in the future.
    """
    user = _user(raw.user)
    id_ = _id(raw.id) if raw.identity is None else _derive_id(format_, raw.identity or [raw.time, user, raw.text])
    text = _text(raw.text, limits.text_characters)
    return Tweet(
        id=id_,
        user_id=user,
        full_text=text,
        lang=_lang(raw.lang),
        timestamp=_time(raw.time, id_ if raw.has_time_in_id else None, read_at),
        mentions=_mentions(raw.mentions, text, limits.mentions),
        truth=raw.truth,
        format=format_,
        retweet_of=_optional_id(raw.retweet_of),
        retweet_of_user=_user(raw.retweet_of_user),
        json=json,
    )


def supplied_label(json: Json) -> str | None:
    """Return the label in the first field of `_LABEL_FIELDS` that a tweet has; None without a known label."""
    for name in _LABEL_FIELDS:
        if isinstance(value := _exact(json.get(name)), str | int):
            return _LABELS.get(str(value).strip().lower())
    return None


def _id(value: Any) -> str:
    if value is None or value == "":
        raise InvalidTweet("missing_id")
    value = _exact(value)
    digits = str(value).strip() if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if isinstance(value, str) and not digits:
        raise InvalidTweet("missing_id")
    if not (digits.isascii() and _ID.fullmatch(digits)) or not 0 < int(digits) < 2**64:
        raise InvalidTweet("bad_id", f"{_excerpt(value)} is not a positive 64-bit integer")
    return str(int(digits))


def _optional_id(value: Any) -> str | None:
    try:
        return None if value is None else _id(value)
    except InvalidTweet:
        return None


def _exact(value: Any) -> Any:
    """Return an integer for a float without a fraction: pandas writes a column of integers with gaps as floats.

    A float of 2**53 or more may have lost digits, and stays as it is.
    """
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return int(value) if is_whole else value


def _derive_id(format_: str, identity: list[Any]) -> str:
    """Return an id for a tweet without one: a hash of the values that identify the tweet within its format."""
    return f"{format_}-{hashlib.sha256(compact_json(identity).encode()).hexdigest()[:24]}"


def _text(value: Any, limit: int) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InvalidTweet("missing_text")
    if not isinstance(value, str):
        raise InvalidTweet("bad_text", f"{_excerpt(value)} is not a string")
    if len(value) > limit:
        raise InvalidTweet("long_text", f"{len(value)} characters; the limit is {limit}")
    if INVALID_BYTE in value:
        raise InvalidTweet("bad_encoding", "the text has bytes that are not valid UTF-8: convert the file to UTF-8")
    return replace_lone_surrogates(value)


def _lang(value: Any) -> str:
    tag = value.strip() if isinstance(value, str) else ""
    return replace_lone_surrogates(tag) if 0 < len(tag) <= _MAX_LANG_CHARACTERS else "und"


def _time(value: Any, snowflake_id: str | None, read_at: datetime) -> datetime:
    """Return the time `value`; if it is missing, the creation time that `snowflake_id` encodes."""
    if value is None or value == "":
        if snowflake_id is None or int(snowflake_id) < snowflake.FIRST_ID:
            raise InvalidTweet("missing_time")
        value = snowflake.unix_ms(int(snowflake_id))
    time = parse_time(value)
    if time is None:
        raise InvalidTweet("bad_time", f"{_excerpt(value)} is not a time in a known format")
    if time < _FIRST_TWEET:
        raise InvalidTweet("bad_time", f"{_excerpt(value)} is before the first tweet of {_FIRST_TWEET:%d %B %Y}")
    if time > read_at + _MAX_FUTURE:
        raise InvalidTweet("bad_time", f"{_excerpt(value)} is more than a day later than {read_at:%Y-%m-%d %H:%M} UTC")
    return time


def _user(value: Any) -> str | None:
    if isinstance(value, dict):
        value = next((value[name] for name in _USER_NAMES if value.get(name)), None)
    value = _exact(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < 2**64 else None
    return replace_lone_surrogates(value) if 0 < len(value) <= _MAX_NAME_CHARACTERS else None


def _mentions(names: Any, text: str, limit: int) -> list[str]:
    """Return the first `limit` accounts in the list `names`, or those mentioned in `text` if `names` is not a list."""
    accounts: Iterable[str] = (
        [name for name in names if isinstance(name, str)] if isinstance(names, list) else _MENTION.findall(text)
    )
    normalised = (replace_lone_surrogates(name.strip().lstrip("@").lower()) for name in accounts)
    distinct = dict.fromkeys(name for name in normalised if 0 < len(name) <= _MAX_NAME_CHARACTERS)
    return list(islice(distinct, limit))


def _excerpt(value: Any) -> str:
    return compact_json(value)[:100]
