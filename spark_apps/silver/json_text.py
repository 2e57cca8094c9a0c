"""Text → the JSON values in it, whatever the text holds."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_BOM = "\ufeff"
_SPACE = re.compile(r"[\s\x00]*")
_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
# What remains where a number or an escape was cut.
_CUT_TOKEN = re.compile(r"[.eE][+-]?|\\u?[0-9a-fA-F]{0,4}")
_EXCERPT = 80


@dataclass(frozen=True, slots=True)
class Rejected:
    """A document, or a record of one, that is no tweet: `reason` is one of REASONS."""

    raw: str
    reason: str
    detail: str | None


def clean(text: str) -> str:
    """Return `text` with each half of a surrogate pair replaced by U+FFFD: UTF-8 cannot hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def dumps(value: object) -> str:
    """Return `value` as compact JSON."""
    return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def values(text: str) -> Iterator[Any | Rejected]:
    """Yield the JSON values that stand one after the other in `text`, then a `Rejected` for what is none."""
    start = _skip(text, 0)
    if start == len(text):
        yield Rejected(text, "not_json", "the document is blank")
        return
    first = True
    while start < len(text):
        try:
            value, end = _decode(text, start)
        except json.JSONDecodeError as error:
            yield _rejected(text, start, first, error)
            return
        except RecursionError:
            yield Rejected(text[start:], "too_deep", "nested more deeply than a tweet ever is")
            return
        yield value
        start, first = _skip(text, end), False


def _skip(text: str, start: int) -> int:
    end = _SPACE.match(text, start).end()  # type: ignore[union-attr]  # it matches nothing too
    while text.startswith(_BOM, end):
        end = _SPACE.match(text, end + 1).end()  # type: ignore[union-attr]
    return end


def _decode(text: str, start: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python refuses to make an int of more than 4,300 digits
        return _patient_decoder.raw_decode(text, start)


_decoder = json.JSONDecoder(strict=False)
_patient_decoder = json.JSONDecoder(strict=False, parse_int=lambda digits: int(digits) if len(digits) < 40 else digits)


def _rejected(text: str, start: int, first: bool, error: json.JSONDecodeError) -> Rejected:
    where = f"{error.msg} at character {error.pos}: {text[error.pos : error.pos + _EXCERPT]!r}"
    if text[start] in "{[" and _ends_early(text, error):
        return Rejected(text[start:], "cut_off", where)
    return Rejected(text[start:], "not_json" if first else "trailing_text", clean(where))


def _ends_early(text: str, error: json.JSONDecodeError) -> bool:
    rest = text[error.pos :].rstrip()
    return (
        not rest
        or error.msg.startswith("Unterminated string")
        or any(literal.startswith(rest) for literal in _LITERALS)
        or _CUT_TOKEN.fullmatch(rest) is not None
        or (error.msg.startswith("Invalid \\u") and len(rest) < 6)
    )
