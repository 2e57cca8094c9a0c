"""Decode the JSON values in a text of any content, and encode values as JSON."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_BOM = "\ufeff"
_SPACE = re.compile(r"[\s\x00]*")
_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
# The rest of a text that was truncated within a number or an escape sequence.
_CUT_TOKEN = re.compile(r"[.eE][+-]?|\\u?[0-9a-fA-F]{0,4}")
_EXCERPT_CHARACTERS = 80
TOO_DEEP = "nested more deeply than any tweet"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A document, or a record of a document, that is not a tweet; `reason` is one of REASONS in tables.py."""

    raw: str
    reason: str
    detail: str | None


def replace_lone_surrogates(text: str) -> str:
    """Return `text` with each unpaired surrogate replaced by U+FFFD, because UTF-8 cannot encode it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def compact_json(value: object) -> str:
    """Return `value` as JSON without spaces."""
    return replace_lone_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def json_values(text: str) -> Iterator[Any | Rejected]:
    """Yield the consecutive JSON values in `text`, then a `Rejected` for the rest if the rest is not JSON."""
    start = _skip_space(text, 0)
    if start == len(text):
        yield Rejected(text, "not_json", "the document is blank")
        return
    is_first = True
    while start < len(text):
        try:
            value, end = _decode(text, start)
        except json.JSONDecodeError as error:
            yield _reject(text, start, is_first, error)
            return
        except RecursionError:
            yield Rejected(text[start:], "too_deep", TOO_DEEP)
            return
        yield value
        start, is_first = _skip_space(text, end), False


def _skip_space(text: str, start: int) -> int:
    end = _SPACE.match(text, start).end()  # type: ignore[union-attr]  # the pattern also matches the empty string
    while text.startswith(_BOM, end):
        end = _SPACE.match(text, end + 1).end()  # type: ignore[union-attr]
    return end


def _decode(text: str, start: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python refuses to convert more than 4,300 digits to an int
        return _long_number_decoder.raw_decode(text, start)


_decoder = json.JSONDecoder(strict=False)
# Keeps a number of 40 or more digits as a string.
_long_number_decoder = json.JSONDecoder(
    strict=False, parse_int=lambda digits: int(digits) if len(digits) < 40 else digits
)


def _reject(text: str, start: int, is_first: bool, error: json.JSONDecodeError) -> Rejected:
    detail = f"{error.msg} at character {error.pos}: {text[error.pos : error.pos + _EXCERPT_CHARACTERS]!r}"
    if text[start] in "{[" and _is_truncated(text, error):
        return Rejected(text[start:], "cut_off", detail)
    return Rejected(text[start:], "not_json" if is_first else "trailing_text", replace_lone_surrogates(detail))


def _is_truncated(text: str, error: json.JSONDecodeError) -> bool:
    rest = text[error.pos :].rstrip()
    return (
        not rest
        or error.msg.startswith("Unterminated string")
        or any(literal.startswith(rest) for literal in _LITERALS)
        or _CUT_TOKEN.fullmatch(rest) is not None
        or (error.msg.startswith("Invalid \\u") and len(rest) < 6)
    )
