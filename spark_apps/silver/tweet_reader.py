"""Read a tweet from its JSON object: a `TweetFormat` says where its fields are."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spark_apps import html_text
from spark_apps.silver.tweet import Json, RawFields, Tweet, TweetLimits, supplied_label, validate

Path = tuple[str, ...]
# A line break in HTML: the end of a paragraph before another one, or <br>.
_HTML_BREAK = re.compile(r"</p>\s*<p[^<>]*>|<br\s*/?>", re.IGNORECASE)
_HTML_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, kw_only=True)
class TweetFormat:
    """Where the fields of a tweet are.

    A field has several paths if its place varies: the first path with a value applies. A number in a path is an index
    into a list.

    Attributes:
        name: name of the format, the value of the column `format`.
        marks: an object with a value at each of these paths is a tweet in this format.
        any_mark: if not empty, one of these paths must have a value too.
        id: decimal digits; paths of strings come before paths of numbers, because programs round large numbers.
        text: text of the tweet.
        time: time of the tweet, in any notation that `parse_time` reads.
        user: the author's id, or the author as an object.
        lang: language of the text.
        mentions: list of the mentioned accounts; the last name is the field of the list's objects with the account.
        original: the original of a retweet, from which text and mentions are taken.
        find_original: returns the original for an object and the `includes` of its response; replaces `original` in
            formats that paths cannot describe.
        has_uris: whether id and user are URIs that end with a number, such as tag:search.twitter.com,2005:123.
        has_time_in_id: whether a missing time is derived from the id.
        has_html: whether the text is HTML.
        derives_id: whether a tweet without an id gets one from its content.
        identity: paths of the values that give the derived id; if empty, time, user and text give it.
        has_labels: whether the tweet may have a sentiment label.
    """

    name: str
    marks: tuple[Path, ...] = ()
    any_mark: tuple[Path, ...] = ()
    id: tuple[Path, ...]
    text: tuple[Path, ...]
    time: tuple[Path, ...]
    user: tuple[Path, ...]
    lang: tuple[Path, ...] = (("lang",),)
    mentions: tuple[Path, ...] = ()
    original: tuple[Path, ...] = ()
    find_original: Callable[[Json, Json], Json | None] | None = None
    has_uris: bool = False
    has_time_in_id: bool = False
    has_html: bool = False
    derives_id: bool = False
    identity: tuple[Path, ...] = ()
    has_labels: bool = False

    def matches(self, value: Json) -> bool:
        """Return whether `value` has the marks of this format."""
        for path in self.marks:
            if path[0] not in value or get(value, path) is None:
                return False
        return not self.any_mark or any(get(value, path) is not None for path in self.any_mark)


def paths(*dotted: str) -> tuple[Path, ...]:
    """Split dotted paths into names."""
    return tuple(tuple(path.split(".")) for path in dotted)


def get(value: Any, path: Iterable[str]) -> Any:
    """Return the value at `path` in nested objects and lists, or None if the path does not exist."""
    for name in path:
        if type(value) is dict:  # faster than isinstance, and JSON values are never of a subclass
            value = value.get(name)
        elif type(value) is list and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def first(value: Json, alternatives: Iterable[Path]) -> Any:
    """Return the first value at one of the paths that is neither null nor an empty string."""
    for path in alternatives:
        # Most paths have one name: not to call `get` saves time.
        field = value.get(path[0]) if len(path) == 1 else get(value, path)
        if field is not None and field != "":
            return field
    return None


def parse_tweet(value: Json, format_: TweetFormat, includes: Json, read_at: datetime, limits: TweetLimits) -> Tweet:
    """Read a tweet in one format.

    Args:
        value: JSON object of the tweet.
        format_: format that `find_format` returned.
        includes: field of that name in an API v2 response, {} for other sources.
        read_at: when the tweet was read.
        limits: limits of text and mentions.

    Raises:
        InvalidTweet: id, text or time is missing or malformed.
    """
    source = _text_source(value, format_, includes)
    id_ = first(value, format_.id)
    user = first(value, format_.user)
    text = first(source, format_.text)
    original, author = (None, None) if source is value else (first(source, format_.id), first(source, format_.user))
    if format_.has_uris:
        id_, user, original, author = map(_last_part, (id_, user, original, author))
    derives_id = id_ is None and format_.derives_id
    return validate(
        value,
        format_.name,
        RawFields(
            id=id_,
            text=_plain_text(text) if format_.has_html else text,
            time=first(value, format_.time),
            user=user,
            lang=first(value, format_.lang),
            mentions=_accounts(source, format_.mentions),
            truth=supplied_label(value) if format_.has_labels else None,
            identity=[get(value, path) for path in format_.identity] if derives_id else None,
            has_time_in_id=format_.has_time_in_id,
            retweet_of=original,
            retweet_of_user=author,
        ),
        read_at,
        limits,
    )


def _text_source(value: Json, format_: TweetFormat, includes: Json) -> Json:
    """Return the tweet to take the text from: the original of a retweet, else the tweet itself."""
    if format_.find_original is not None:
        return format_.find_original(value, includes) or value
    for path in format_.original:
        original = get(value, path)
        if isinstance(original, dict) and first(original, format_.text) is not None:
            return original
    return value


def _plain_text(text: Any) -> Any:
    """Return the text of a fragment of HTML; return any value other than a string unchanged."""
    if not isinstance(text, str):
        return text
    return html_text.unescape(_HTML_TAG.sub("", _HTML_BREAK.sub("\n", text)))


def _last_part(value: Any) -> Any:
    """Return `123` for `tag:search.twitter.com,2005:123`."""
    return value.rpartition(":")[2] if isinstance(value, str) else value


def _accounts(value: Json, lists: Iterable[Path]) -> list[Any] | None:
    """Return the accounts in the first list that has any, [] if all lists are empty, None if there is no list."""
    accounts = None
    for *path, field in lists:
        mentions = get(value, path)
        if isinstance(mentions, list):
            accounts = [item.get(field) if isinstance(item, dict) else item for item in mentions]
            if accounts:
                break
    return accounts
