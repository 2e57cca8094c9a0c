"""Explain why an object is not a tweet: the formats that it matches best, and the fields that it lacks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from spark_apps.silver.tweet import Json
from spark_apps.silver.tweet_formats import BUILT_IN, NO_TWEET_FIELDS, TEXT_FIELDS, TWEET_FIELDS
from spark_apps.silver.tweet_reader import TweetFormat, get

_MAX_OBJECTS = 200
_MAX_FORMATS = 3
# The formats without marks of their own: a tweet has at least one field of each group.
_SHARED_NAME = "v1.1, v2, flat or course"
_SHARED_GROUPS = [sorted(TEXT_FIELDS), sorted(TWEET_FIELDS)]


@dataclass(frozen=True, slots=True)
class NearFormat:
    """A format that an object matches in part.

    Attributes:
        name: name of the format.
        path: path of the object in its record; "" for the record itself.
        present: marks of the format that the object has.
        missing: marks that the object lacks; alternatives are joined by "or".
        excluded_by: fields of the object that no tweet in a built-in format has.
    """

    name: str
    path: str
    present: list[str]
    missing: list[str]
    excluded_by: list[str]


def near_formats(record: Any, declared: Sequence[TweetFormat]) -> list[NearFormat]:
    """Return the formats that match an object in a record best, at most three, the best first.

    Args:
        record: JSON value that contains no tweet. Its first 200 objects are compared, level by level.
        declared: formats that a user has declared.
    """
    objects = islice(_objects(record), _MAX_OBJECTS)
    candidates = [near for path, value in objects for near in _compare(value, path, declared)]
    candidates.sort(key=lambda near: (len(near.missing) + len(near.excluded_by), -len(near.present)))
    nearest: dict[str, NearFormat] = {}
    for near in candidates:
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
    yield from _near(_SHARED_NAME, path, value, _SHARED_GROUPS, excluded_by)


def _near(
    name: str, path: str, value: Json, groups: Sequence[Sequence[str]], excluded_by: list[str]
) -> Iterator[NearFormat]:
    """Yield the format if the object has a mark; a tweet has at least one mark of each group."""
    present = [mark for group in groups for mark in group if get(value, mark.split(".")) is not None]
    if present:
        missing = [" or ".join(group) for group in groups if not set(group) & set(present)]
        yield NearFormat(name, path, present, missing, excluded_by)
