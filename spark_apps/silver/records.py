"""Split a document into records: tweets in the columns of SILVER_TWEETS, and rejected records with a reason."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from spark_apps.erasure.request import ErasureRequest
from spark_apps.json_text import (
    INVALID_BYTE,
    Rejected,
    TooDeep,
    compact_json,
    decode_utf8,
    json_values,
    replace_lone_surrogates,
    too_many_values,
)
from spark_apps.silver.search import UNRECOGNISED, Candidate, TooManyValues, TweetFinder, reject
from spark_apps.silver.tweet import DEFAULT_LIMITS, InvalidTweet, Json, Tweet, TweetLimits
from spark_apps.silver.tweet_reader import TweetFormat, get, parse_tweet

__all__ = ["ErasureRequest", "Rejected", "Tweet", "field_text", "read_records"]

# A megabyte of empty objects would have half a million rejects.
_MAX_REJECTS = 1_000
# The character that replaces invalid UTF-8 in Bronze.
_REPLACEMENT = "\ufffd"


def read_records(
    raw: str,
    read_at: datetime,
    raw_bytes: bytes | None = None,
    formats: Sequence[TweetFormat] = (),
    limits: TweetLimits = DEFAULT_LIMITS,
    reads_notices: bool = True,
) -> Iterator[Tweet | ErasureRequest | Rejected]:
    """Yield the records of a document, at least one. No content of `raw` raises an exception.

    A document contains one or more JSON values. Each value is a record, except that an array has one record per
    object, and the envelope of an API, a queue or an export one per tweet in it.

    Args:
        raw: text of the document.
        read_at: when the document was read. A tweet with a time more than a day later is rejected.
        raw_bytes: bytes of the document if `raw` does not reproduce them. A tweet is rejected if its text has bytes
            that are not valid UTF-8: the text would be wrong.
        formats: formats that a user has declared; they come before the built-in ones.
        limits: limits of a tweet.
        reads_notices: whether Twitter's notices of deletions are erasure requests; otherwise they are rejected.
    """
    # Otherwise each U+FFFD of `raw` is also in its bytes, and no byte was replaced.
    has_invalid_bytes = raw_bytes is not None and raw.count(_REPLACEMENT) > raw_bytes.count(_REPLACEMENT.encode())
    text = decode_utf8(raw_bytes) if raw_bytes is not None and has_invalid_bytes else replace_lone_surrogates(raw)
    records = rejects = 0
    for record in _records(text, read_at, TweetFinder(formats, reads_notices), limits):
        records += 1
        if isinstance(record, Rejected):
            rejects += 1
            if rejects > _MAX_REJECTS:
                continue
            if has_invalid_bytes:
                record = replace(record, raw=record.raw.replace(INVALID_BYTE, _REPLACEMENT))
        yield record
    if rejects > _MAX_REJECTS:
        detail = f"{rejects - _MAX_REJECTS:,} more records of this document are rejected; bronze/tweets has all of them"
        yield Rejected("", "more_rejects", detail)
    if not records:
        yield Rejected(text, "not_a_tweet", None)


def field_text(tweet: Json, path: str) -> str | None:
    """Return the value at a dotted path of a tweet's JSON as text, or None if the path does not exist.

    A number in `path` is an index into a list. A value other than a string is returned as JSON.
    """
    value = get(tweet, path.split("."))
    if value is None:
        return None
    return replace_lone_surrogates(value) if isinstance(value, str) else compact_json(value)


def _records(
    text: str, read_at: datetime, finder: TweetFinder, limits: TweetLimits
) -> Iterator[Tweet | ErasureRequest | Rejected]:
    try:
        for value in json_values(text):
            if isinstance(value, Rejected):
                yield value
            elif isinstance(value, TooDeep):
                records = [_read(candidate, read_at, limits) for candidate in finder.find(value.value)]
                # A field beside or within a tweet may be too deep, while the tweet itself can be read.
                is_recognised = any(
                    not isinstance(record, Rejected) or record.reason not in UNRECOGNISED for record in records
                )
                yield from records if is_recognised else [value.reject()]
            else:
                for candidate in finder.find(value):
                    yield _read(candidate, read_at, limits)
    except TooManyValues:
        yield too_many_values(text)
    except Exception as error:
        yield _internal_error(text, error)


def _read(
    candidate: Candidate | ErasureRequest | Rejected, read_at: datetime, limits: TweetLimits
) -> Tweet | ErasureRequest | Rejected:
    if not isinstance(candidate, Candidate):
        return candidate
    try:
        return parse_tweet(candidate.value, candidate.format, candidate.includes, read_at, limits)
    except InvalidTweet as error:
        return reject(candidate.value, error.reason, error.detail)
    except Exception as error:
        return _internal_error(compact_json(candidate.value), error)


def _internal_error(raw: str, error: Exception) -> Rejected:
    return Rejected(raw, "internal_error", replace_lone_surrogates(f"{type(error).__name__}: {error}")[:500])
