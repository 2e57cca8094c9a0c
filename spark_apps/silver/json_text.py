"""Decode the JSON values in a text of any content, and encode values as JSON."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
# The rest of a text that was truncated within a number or an escape sequence.
_CUT_TOKEN = re.compile(r"[.eE][+-]?|\\u?[0-9a-fA-F]{0,4}")
# What JavaScript and people write around JSON: comments, and a comma after the last element. A string or a comment that
# does not end matches up to the end of the text: otherwise a text of quotes would take quadratic time.
_NOT_JSON = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|//[^\n]*|/\*.*?(?:\*/|\Z)|,(?=\s*[\]}])', re.DOTALL)
# The first line of each file in an archive that X sends to its users: `window.YTD.tweets.part0 = [`.
_ASSIGNMENT = re.compile(r"(?:(?:var|let|const)\s+)?[A-Za-z_$][\w.$]{0,100}\s*=\s*(?=[\[{])")
# Between values: spaces, and the separators of JSON text sequences (RFC 7464), comma-separated lines and JavaScript.
_SEPARATOR_CLASS = r"[\s\x00\x1e,;\ufeff]"
_SEPARATORS = re.compile(f"{_SEPARATOR_CLASS}*")
# Two or more strings and numbers in a row, but no string that may contain JSON: they are one reject, not a million.
_SCALARS = re.compile(
    r'(?:(?:"(?!\s*[{\[]|ey|W3)(?:[^"\\]++|\\.)*+"|-?\d[\d.eE+-]*+|true|false|null)' + _SEPARATOR_CLASS + "*+){2,}+",
    re.DOTALL,
)
_EXCERPT_CHARACTERS = 80
# Stands for each byte that is not valid UTF-8: a code point that Unicode reserves for use within a program.
INVALID_BYTE = "\ufdd0"
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
# The deepest tweets, in responses of the web client's GraphQL API, have about 25 levels.
_MAX_DEPTH = 100
# A decoded value takes up to 100 bytes of memory. The archive of an account has 27 characters per value.
_MAX_VALUES = 4_000_000
_TOO_DEEP = f"nested more than {_MAX_DEPTH} levels deep"


@dataclass(frozen=True, slots=True)
class TooDeep:
    """A JSON value that is nested more than `_MAX_DEPTH` levels deep: `value` without what is below, and its text."""

    value: Any
    raw: str

    def reject(self) -> "Rejected":
        return Rejected(self.raw, "too_deep", _TOO_DEEP)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A document, or a record of a document, that is not a tweet; `reason` is one of REASONS in tables.py."""

    raw: str
    reason: str
    detail: str | None


def replace_lone_surrogates(text: str) -> str:
    """Return `text` with each unpaired surrogate replaced by U+FFFD, because UTF-8 cannot encode it."""
    if text.isascii():  # known without reading the text
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def compact_json(value: object) -> str:
    """Return `value` as JSON without spaces."""
    return replace_lone_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def decode(data: bytes) -> str:
    """Decode UTF-8, with `INVALID_BYTE` for each byte that is not valid."""
    return _ESCAPED_BYTE.sub(INVALID_BYTE, data.decode("utf-8", "surrogateescape"))


def json_values(text: str) -> Iterator[Any | TooDeep | Rejected]:
    """Yield the consecutive JSON values in `text`, then a `Rejected` for the rest if the rest is not JSON.

    Separators between values, an assignment before the first (`window.YTD.tweets.part0 = [`), comments, and a comma
    after the last element of an array or object are skipped. A text with too many values is rejected whole.
    """
    if sum(map(text.count, ",[{")) > _MAX_VALUES:
        yield Rejected(text, "too_large", f"more than {_MAX_VALUES:,} JSON values in one document")
        return
    start = _skip_separators(text, 0)
    if assignment := _ASSIGNMENT.match(text, start):
        start = assignment.end()
    if start == len(text):
        yield Rejected(text, "not_json", "the document is blank")
        return
    is_first = True
    while start < len(text):
        if scalars := _SCALARS.match(text, start):
            yield Rejected(scalars[0], "not_a_tweet", "values that are not objects")
            start, is_first = scalars.end(), False
            continue
        try:
            value, end = _bounded_value(text, start)
        except json.JSONDecodeError as error:
            yield from _relaxed_values(text[start:]) or [_reject(text, start, is_first, error)]
            return
        except RecursionError:
            yield Rejected(text[start:], "too_deep", _TOO_DEEP)
            return
        yield value
        start, is_first = _skip_separators(text, end), False


def _relaxed_values(text: str) -> list[Any | TooDeep | Rejected]:
    """Return the values in a text that is JSON but for comments and superfluous commas; [] if it is not."""
    relaxed = text
    for _ in range(2):  # a comma may be the last but for a comment
        relaxed = _NOT_JSON.sub(lambda match: match[0] if match[0][0] == '"' else " ", relaxed)
    if relaxed == text:
        return []
    values: list[Any | TooDeep | Rejected] = []
    start = _skip_separators(relaxed, 0)
    while start < len(relaxed):
        try:
            value, end = _bounded_value(relaxed, start)
        except (json.JSONDecodeError, RecursionError):
            return []
        values.append(value)
        start = _skip_separators(relaxed, end)
    return values


def _bounded_value(text: str, start: int) -> tuple[Any | TooDeep, int]:
    """Decode the value at `start`; return it, or a `TooDeep`, and the position behind it."""
    value, end = _decode(text, start)
    # Most tweets have fewer brackets than levels are allowed: no walk is needed.
    may_be_deep = text.count("{", start, end) + text.count("[", start, end) > _MAX_DEPTH
    return (TooDeep(value, text[start:end]) if may_be_deep and prune(value) else value), end


def prune(value: Any) -> bool:
    """Remove what is nested more than `_MAX_DEPTH` levels deep in `value`; return whether there was any.

    The walk goes level by level: a recursive one could reach Python's limit.
    """
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for container in level for child in _children(container) if isinstance(child, (dict, list))]
        if not level:
            return False
    for container in level:
        container.clear()
    return True


def _children(container: Any) -> Iterable[Any]:
    if isinstance(container, dict):
        return container.values()
    return container if isinstance(container, list) else ()


def _skip_separators(text: str, start: int) -> int:
    return _SEPARATORS.match(text, start).end()  # type: ignore[union-attr]  # the pattern also matches the empty string


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
