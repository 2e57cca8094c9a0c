"""The numbers and strings of a JSON text that may be ids, found without decoding the text."""

import json
import re
from collections.abc import Iterator
from typing import Any

from spark_apps.json_nesting import BASE64_JSON, encoded_json

_MAX_CHARACTERS = 100
_NUMBER = re.compile(r"\d+")
_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_BASE64 = re.compile(rf'"((?:{"|".join(BASE64_JSON)})[A-Za-z0-9+/]*=*)"')


def tokens(text: str, with_strings: bool) -> set[str]:
    """Return the numbers in a JSON text and in its Base64 strings, and the short strings too if `with_strings`."""
    found = set(_NUMBER.findall(text))
    for encoded in _BASE64.findall(text):
        found |= tokens(encoded_json(encoded) or "", with_strings)
    for string in _STRING.findall(text) if with_strings else ():
        if len(string) <= 6 * _MAX_CHARACTERS:  # each character may be an escape sequence of six
            found.update(scalars(_unescaped(string)))
    return found


def scalars(value: Any) -> Iterator[str]:
    """Yield the ids that a JSON value may be: its text, and the last part of a URI such as id:twitter.com:123."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # pandas writes a column of integers with gaps as floats
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return
    text = value.strip() if isinstance(value, str) else str(value)
    if 0 < len(text) <= _MAX_CHARACTERS:
        yield text
        if ":" in text:
            yield text.rpartition(":")[2]


def _unescaped(string: str) -> str:
    if "\\" not in string:
        return string
    try:
        return str(json.loads(f'"{string}"', strict=False))
    except ValueError:
        return ""
