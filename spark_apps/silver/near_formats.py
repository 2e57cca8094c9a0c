"""Explain why an object is not a tweet: the formats that come nearest, and the fields that it lacks for them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from spark_apps.silver.tweet import Json
from spark_apps.silver.tweet_formats import BUILT_IN, NO_TWEET_FIELDS, TEXT_FIELDS, TWEET_FIELDS
from spark_apps.silver.tweet_reader import TweetFormat, get

_MAX_OBJECTS = 200
_MAX_FORMATS = 3
# Marks of the formats that share fields: one field of each group.
_SHARED_NAMES = "v1.1, v2, flat or course"
_SHARED_GROUPS = [sorted(TEXT_FIELDS), sorted(TWEET_FIELDS)]


@dataclass(frozen=True, slots=True)
class NearFormat:
    """A format that an object does not have.

    Attributes:
        name: name of the format.
        path: path of the object in its record; "" for the record itself.
        present: marks of the format that the object has.
        missing: marks that it lacks; alternatives are joined by "or".
        excluded_by: fields of the object that a tweet in a built-in format does not have.
    """

    name: str
    path: str
    present: list[str]
    missing: list[str]
    excluded_by: list[str]


def near_formats(record: Any, declared: Sequence[TweetFormat]) -> list[NearFormat]:
    """Return the formats that come nearest to a record, the nearest first; each has a mark that the record has.

    Args:
        record: JSON value that contains no tweet. Objects at any depth are compared, up to the 200 nearest to its top.
        declared: formats that a user has declared.
    """
    found = [near for path, value in islice(_objects(record), _MAX_OBJECTS) for near in _compare(value, path, declared)]
    found.sort(key=lambda near: (len(near.missing) + len(near.excluded_by), -len(near.present)))
    nearest: dict[str, NearFormat] = {}
    for near in found:
        nearest.setdefault(near.name, near)
    return list(nearest.values())[:_MAX_FORMATS]


def _objects(record: Any) -> Iterator[tuple[str, Json]]:
    """Yield the objects in a JSON value with their paths, level by level."""
    level: list[tuple[str, Any]] = [("", record)]
    while level:
        children: list[tuple[str, Any]] = []
        for path, value in level:
            if isinstance(value, dict):
                yield path, value
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for name, child in items:
                if isinstance(child, dict | list):
                    children.append((f"{path}.{name}" if path else str(name), child))
        level = children


def _compare(value: Json, path: str, declared: Sequence[TweetFormat]) -> Iterator[NearFormat]:
    excluded_by = sorted(NO_TWEET_FIELDS & value.keys())
    for format_ in (*declared, *BUILT_IN):
        if format_.marks:
            groups = [[mark] for mark in map(".".join, format_.marks)]
            groups += [[".".join(mark) for mark in format_.any_mark]] if format_.any_mark else []
            yield from _near(format_.name, path, value, groups, [] if format_ in declared else excluded_by)
    yield from _near(_SHARED_NAMES, path, value, _SHARED_GROUPS, excluded_by)


def _near(
    name: str, path: str, value: Json, groups: Sequence[Sequence[str]], excluded_by: list[str]
) -> Iterator[NearFormat]:
    present = [mark for group in groups for mark in group if get(value, mark.split(".")) is not None]
    if present:
        missing = [" or ".join(group) for group in groups if not set(group) & set(present)]
        yield NearFormat(name, path, present, missing, excluded_by)
