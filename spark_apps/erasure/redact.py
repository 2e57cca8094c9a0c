"""Removes erased tweets and users from the text of a document, in any format, and keeps its other tweets.

Bronze stores documents unchanged and does not know their formats. Therefore an object counts as an erased tweet if one
of its fields, or the object in one of its fields, has an erased id. A field that refers to another tweet or account,
such as `quoted_status` or `in_reply_to_user_id`, is emptied instead. A list loses the erased elements. If only the
locations of a user are erased, the tweets stay, without these fields.
"""

import re
from collections.abc import Iterator, Set
from functools import lru_cache
from typing import Any

from spark_apps.erasure.notices import parse_notice
from spark_apps.erasure.request import parse_request, user_key
from spark_apps.erasure.tokens import scalars, tokens
from spark_apps.json_nesting import encoded_json, rows_by_column, rows_of_table
from spark_apps.json_text import Rejected, TooDeep, compact_json, json_values, parse, prune

_NUMBER = re.compile(r"\d+")
# A field in a text that is not JSON, such as a truncated document.
_FIELD = re.compile(r'"([^"\\]{1,40})"\s*:\s*"?([^"\\,}\]\s]{1,100})')
# Fields that refer to another tweet or account, which is not a part of the tweet itself.
_REFERENCE = re.compile(r"repl|quot|mention|conversation|history|includes|pinned|edit|up_to", re.IGNORECASE)
_ID = re.compile(r"(?:^|[_ a-z])(?:id|Id)s?(?:_str)?$|^ID$")
_LOCATIONS = {"geo", "coordinates", "place", "location"}
_AUTHOR_IDS = ("author_id", "user_id_str", "user_id")
_AUTHORS = ("user", "author", "actor")
_USER = re.compile(r"user|author|actor|owner|account|name$", re.IGNORECASE)
# Snowflake ids are this long: no count and no user id has the same value by chance.
_LONG_DIGITS = 15
_user_key = lru_cache(100_000)(user_key)


class _Erased:
    """The value of an erased object, until a list or a document drops it."""


_ERASED = _Erased()


class Redactor:
    """Removes some tweets, users and locations from texts."""

    def __init__(self, tweets: Set[str], users: Set[str], locations: Set[str] = frozenset()) -> None:
        """Create a redactor.

        Args:
            tweets: ids of the tweets to remove.
            users: keys of the users; all of their tweets are removed.
            locations: keys of the users; the locations in their tweets are removed.
        """
        self._tweets = tweets
        self._users = users
        self._locations = locations
        self._changed = False

    def redact(self, text: str) -> str:
        """Return `text` without the erased parts: "" if nothing is left, `text` itself if nothing is erased."""
        if not self._may_hold(text):
            return text
        self._changed = False
        parts = [part for value in json_values(text) if (part := self._part(value))]
        return "\n".join(parts) if self._changed else text

    def _part(self, value: Any) -> str:
        if isinstance(value, (Rejected, TooDeep)):
            if not self._raw_is_erased(value.raw):
                return value.raw
            self._changed = True
            return ""
        if isinstance(value, dict) and parse_request(value):
            return compact_json(value)
        redacted = self._value(value, "")
        if redacted is not _ERASED:
            return compact_json(redacted)
        self._changed = True
        # A notice becomes a request, which has no user id: Silver reads it again if its tables are rebuilt.
        notice = value.get("data", value) if isinstance(value, dict) else None
        request = parse_notice(notice) if isinstance(notice, dict) else None
        return compact_json(request.to_json()) if request else ""

    def _may_hold(self, text: str) -> bool:
        """Return whether any number or string of a text is an erased id. Most texts have none, and are not decoded."""
        keys = self._users | self._locations
        found = tokens(text, with_strings=bool(keys))
        return not self._tweets.isdisjoint(found) or (bool(keys) and any(_user_key(token) in keys for token in found))

    def _raw_is_erased(self, raw: str) -> bool:
        """Return whether a text that is not JSON has an erased id in a field, or a long erased id anywhere."""
        if any(len(number) >= _LONG_DIGITS and number in self._tweets for number in set(_NUMBER.findall(raw))):
            return True
        return any(self._is_tweet("", *field) or self._is_user("user", *field) for field in _FIELD.findall(raw))

    def _value(self, value: Any, path: str) -> Any:
        """Return a JSON value without erased parts; _ERASED if the value itself is erased."""
        if isinstance(value, dict):
            return self._object(value, path)
        if isinstance(value, list):
            return self._list(value, path)
        if isinstance(value, str) and (text := encoded_json(value)) is not None and self._may_hold(text):
            return self._encoded(text, path)
        return value

    def _object(self, value: dict[str, Any], path: str) -> Any:
        if (rows := rows_of_table(value) or rows_by_column(value)) is not None:
            return self._table(value, path, rows)
        kept: dict[str, Any] = {}
        for name, child in value.items():
            inner = f"{path}/{name}"
            is_erased = self._is_tweet(path, name, child) or self._is_user(path, name, child)
            redacted = _ERASED if is_erased else self._value(child, inner)
            if redacted is _ERASED:
                self._changed = True
                if name.isdecimal() and not is_erased:  # an object of rows by their index, as pandas stores a table
                    continue
                if not _REFERENCE.search(name):
                    return _ERASED
                redacted = None
            elif _REFERENCE.search(name) and self._is_user_reference(child):
                self._changed, redacted = True, None
            kept[name] = redacted
        if self._locations and any(_user_key(author) in self._locations for author in _authors(value)):
            for name in _LOCATIONS & kept.keys():
                self._changed, kept[name] = True, None
        return kept if kept or not value else _ERASED

    def _table(self, value: dict[str, Any], path: str, rows: dict[str, dict[str, Any]]) -> Any:
        """Return a table without its erased rows; the other rows stay as they are."""
        erased = {index for index, row in rows.items() if self._object(row, path) is _ERASED}
        if len(erased) == len(rows):
            return _ERASED
        if "columns" in value:
            data = [row for number, row in enumerate(value["data"]) if str(number) not in erased]
            return value | {"data": data}
        return {name: {i: cell for i, cell in column.items() if i not in erased} for name, column in value.items()}

    def _list(self, values: list[Any], path: str) -> Any:
        name = path.rpartition("/")[2]
        kept: list[Any] = []
        for child in values:
            is_erased = self._is_tweet(path, name, child) or self._is_user(path, name, child)
            redacted = _ERASED if is_erased else self._value(child, path)
            if redacted is not _ERASED:
                kept.append(redacted)
                continue
            self._changed = True
            # API v2 names the original of a retweet in a list of references.
            if isinstance(child, dict) and child.get("type") == "retweeted":
                return _ERASED
        return kept if kept or not values else _ERASED

    def _encoded(self, text: str, path: str) -> Any:
        """Redact a string with JSON: a message in the envelope of a queue."""
        try:
            value = parse(text)
        except (ValueError, RecursionError):
            return _ERASED if self._raw_is_erased(text) else text
        prune(value)
        redacted = self._value(value, path)
        return redacted if redacted is _ERASED else compact_json(redacted)

    def _is_tweet(self, path: str, name: str, value: Any) -> bool:
        text = next((text for text in scalars(value) if text in self._tweets), None)
        if text is None or _REFERENCE.search(name):
            return False
        return len(text) >= _LONG_DIGITS or (_ID.search(name) is not None and not _USER.search(f"{path}/{name}"))

    def _is_user(self, path: str, name: str, value: Any) -> bool:
        if not self._is_user_reference(value) or _REFERENCE.search(name):
            return False
        # A short number may be a count, but no other field has the name of a user by chance.
        is_number = not isinstance(value, str) or value.strip().isdecimal()
        is_id = _ID.search(name) is not None and _USER.search(path) is not None
        return is_id or not is_number or _USER.search(name) is not None

    def _is_user_reference(self, value: Any) -> bool:
        return bool(self._users) and any(_user_key(text) in self._users for text in scalars(value))


def _authors(value: dict[str, Any]) -> Iterator[str]:
    """Yield the ids of the author of a tweet."""
    users = [value[name] for name in _AUTHORS if isinstance(value.get(name), dict)]
    ids = [value.get(name) for name in _AUTHOR_IDS] + [user.get(name) for user in users for name in ("id_str", "id")]
    for id_ in ids:
        yield from scalars(id_)
