"""Decode the JSON values in a text of any content, and encode values as JSON."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
# The rest of a text, from the position of the error, if the text ends within a number or an escape sequence.
_CUT_TOKEN = re.compile(r"[.eE][+-]?|\\u?[0-9a-fA-F]{0,4}")
# Comments and a comma after the last element, which JavaScript allows; and strings, in which both are text. A string or
# a comment that does not end matches up to the end of the text: otherwise a text of quotes would take quadratic time.
_NOT_JSON = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|//[^\n]*|/\*.*?(?:\*/|\Z)|,(?=\s*[\]}])', re.DOTALL)
# The first line of each file in an archive that X sends to its users: `window.YTD.tweets.part0 = [`.
_ASSIGNMENT = re.compile(r"(?:(?:var|let|const)\s+)?[A-Za-z_$][\w.$]{0,100}\s*=\s*(?=[\[{])")
# Between values: spaces, and the separators of JSON text sequences (RFC 7464), comma-separated lines and JavaScript.
_SEPARATOR_CLASS = r"[\s\x00\x1e,;\ufeff]"
_SEPARATORS = re.compile(f"{_SEPARATOR_CLASS}*")
# Two or more consecutive strings and numbers become one reject: a document may have a million of them. A string that
# may contain JSON is excluded.
_SCALARS = re.compile(
    r'(?:(?:"(?!\s*[{\[]|ey|W3)(?:[^"\\]++|\\.)*+"|-?\d[\d.eE+-]*+|true|false|null)' + _SEPARATOR_CLASS + "*+){2,}+",
    re.DOTALL,
)
_EXCERPT_CHARACTERS = 80
# Replaces each byte that is not valid UTF-8: a code point that Unicode reserves for use within a program.
INVALID_BYTE = "\ufdd0"
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
# The deepest tweets, in responses of the web client's GraphQL API, have about 25 levels.
_MAX_DEPTH = 100
# A decoded value takes up to 100 bytes of memory. The archive of an account has 27 characters per value.
MAX_VALUES = 4_000_000
_TOO_DEEP = f"nested more than {_MAX_DEPTH} levels deep"


@dataclass(frozen=True, slots=True)
class TooDeep:
    """A JSON value that is nested more than `_MAX_DEPTH` levels deep.

    Attributes:
        value: the value, without its deeper levels.
        raw: text of the whole value.
    """

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


def too_many_values(text: str) -> Rejected:
    """Return the reject of a document with more than `MAX_VALUES` values."""
    return Rejected(text, "too_large", f"more than {MAX_VALUES:,} JSON values in one document")


def replace_lone_surrogates(text: str) -> str:
    """Return `text` with each unpaired surrogate replaced by U+FFFD, because UTF-8 cannot encode it."""
    if text.isascii():  # takes no time: Python stores this property with the text
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def compact_json(value: object) -> str:
    """Return `value` as JSON without spaces."""
    return replace_lone_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def decode_utf8(data: bytes) -> str:
    """Decode UTF-8; replace each invalid byte by `INVALID_BYTE`."""
    return _ESCAPED_BYTE.sub(INVALID_BYTE, data.decode("utf-8", "surrogateescape"))


def json_values(text: str) -> Iterator[Any | TooDeep | Rejected]:
    """Yield the consecutive JSON values in `text`, then a `Rejected` for the rest if the rest is not JSON.

    Separators between values, an assignment before the first value (`window.YTD.tweets.part0 = [`), comments, and a
    comma after the last element of an array or object are skipped. A text with more than `MAX_VALUES` values is
    rejected as a whole.
    """
    if count_values(text) > MAX_VALUES:
        yield too_many_values(text)
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


def count_values(text: str) -> int:
    """Return the approximate number of JSON values in a text, without decoding the text."""
    return sum(map(text.count, ",[{"))


def parse(text: str) -> Any:
    """Return the JSON value in a text that has no other content; raise `ValueError` if the text is not JSON."""
    value, end = _value_at(text, 0)
    if text[end:].strip():
        raise ValueError(f"text after the JSON value, at character {end}")
    return value


def _relaxed_values(text: str) -> list[Any | TooDeep]:
    """Return the values in a text of JSON with comments and superfluous commas; [] if the text is anything else."""
    relaxed = text
    for _ in range(2):  # a comma may become the last character of an array when a comment is removed
        relaxed = _NOT_JSON.sub(lambda match: match[0] if match[0][0] == '"' else " ", relaxed)
    if relaxed == text:
        return []
    values: list[Any | TooDeep] = []
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
    """Return the value at `start`, or a `TooDeep`, and the position after the value."""
    value, end = _value_at(text, start)
    # Only a value with more opening brackets than allowed levels can be too deep. Most tweets have fewer.
    may_be_deep = text.count("{", start, end) + text.count("[", start, end) > _MAX_DEPTH
    return (TooDeep(value, text[start:end]) if may_be_deep and prune(value) else value), end


def prune(value: Any) -> bool:
    """Empty the arrays and objects that are `_MAX_DEPTH` levels below `value`; return whether there are any.

    The walk goes level by level: a recursive walk could reach Python's recursion limit.
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


def _value_at(text: str, start: int) -> tuple[Any, int]:
    """Return the value at `start` and the position after the value."""
    try:
        return _decoder.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python refuses to convert more than 4,300 digits to an int
        return _long_number_decoder.raw_decode(text, start)


_decoder = json.JSONDecoder(strict=False)
# Returns a number of 40 or more digits as a string.
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
