"""Malformed and unusual lines and files of every kind, each with its expected result."""

import bz2
import gzip
import io
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from spark_apps.demo import shapes
from spark_apps.demo.shapes import Draft

Json = dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """The expected result of landed data.

    Attributes:
        documents: rows in Bronze.
        tweets: new rows in Silver.
        duplicates: records that Silver drops as duplicates.
        quarantine: rejected records by reason.
    """

    documents: int = 0
    tweets: int = 0
    duplicates: int = 0
    quarantine: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Expected") -> "Expected":
        return Expected(
            self.documents + other.documents,
            self.tweets + other.tweets,
            self.duplicates + other.duplicates,
            self.quarantine + other.quarantine,
        )


@dataclass(frozen=True)
class GeneratedFile:
    """A file to land, and its expected result."""

    name: str
    data: bytes
    expected: Expected


def dumps(value: Any) -> bytes:
    """Return a value as compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _without(name: str) -> Callable[[Draft], bytes]:
    return lambda tweet: dumps({key: value for key, value in shapes.flat(tweet).items() if key != name})


def _with(**fields: Any) -> Callable[[Draft], bytes]:
    return lambda tweet: dumps(shapes.flat(tweet) | fields)


def _json(value: Any) -> Callable[[Draft], bytes]:
    return lambda _: dumps(value)


def _cut(tweet: Draft) -> bytes:
    line = json.dumps(shapes.flat(tweet)).encode()
    return line[: 20 + tweet.id % (len(line) - 40)]


def _invalid_utf8(tweet: Draft) -> bytes:
    return dumps(shapes.flat(tweet)).replace(b'full_text":"', b'full_text":"\xff\xfe ', 1)


def tar(members: dict[str, bytes]) -> bytes:
    """Return a tar archive of files, given by name and content."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def _raw(data: bytes) -> Callable[[Draft], bytes]:
    return lambda _: data


_USER = {"id": 7, "id_str": "7", "name": "Ann", "screen_name": "ann", "followers_count": 3}
_MESSAGE = {"direct_message": {"id": 5, "text": "hello", "sender": _USER, "recipient": _USER}}

# Quarantine reasons, each with a function that makes a line from a tweet; Silver rejects the line for this reason.
_REJECTED: tuple[tuple[str, Callable[[Draft], bytes]], ...] = (
    ("not_json", _raw(b"<html>502 Bad Gateway</html>")),
    ("cut_off", _cut),
    ("deletion", _json({"delete": {"favorite": {"tweet_id": 1, "tweet_id_str": "1", "user_id": 2}}})),
    ("notice", _json({"limit": {"track": 14, "timestamp_ms": "1409000000000"}})),
    ("notice", _json({"disconnect": {"code": 4, "reason": "stall"}})),
    ("user", _json(_USER)),
    ("list", _json({"id": 3, "name": "friends", "member_count": 4, "subscriber_count": 1, "mode": "public"})),
    ("direct_message", _json(_MESSAGE)),
    ("no_tweets", _json({"meta": {"result_count": 0}})),
    ("not_a_tweet", _json({"temperature": 21.5})),
    ("not_a_tweet", _raw(b"42")),
    ("too_deep", _raw(b"[" * 50_000 + b"]" * 50_000)),
    ("too_deep", _raw(b'{"data":' * 500 + b"1" + b"}" * 500)),
    ("other_network", _json({"id": "1", "created_at": "2024-01-01", "text": "toot", "spoiler_text": ""})),
    ("missing_id", _without("id")),
    ("missing_text", _with(full_text="")),
    ("missing_time", _with(timestamp=None)),
    ("bad_id", _with(id="not-a-number")),
    ("bad_text", _with(full_text={"html": "<b>hi</b>"})),
    ("long_text", _with(full_text="so very " * 15_000)),
    ("bad_time", _with(timestamp="2024-02-31T25:61:00Z")),
    ("bad_time", _with(timestamp="2099-06-01T00:00:00Z")),
    ("bad_encoding", _invalid_utf8),
)


def _trailing(tweet: Draft) -> tuple[bytes, Expected]:
    return dumps(shapes.flat(tweet)) + b" and so on", Expected(1, 1, 0, Counter(trailing_text=1))


def _twice_on_a_line(tweet: Draft) -> tuple[bytes, Expected]:
    return dumps(shapes.flat(tweet)) + dumps(shapes.v1(tweet)), Expected(1, 1, 1)


def _byte_order_mark(tweet: Draft) -> tuple[bytes, Expected]:
    return b"\xef\xbb\xbf" + dumps(shapes.flat(tweet)), Expected(1, 1)


def _comma(tweet: Draft) -> tuple[bytes, Expected]:
    return dumps(shapes.flat(tweet)) + b",", Expected(1, 1)


def _duplicate_keys(tweet: Draft) -> tuple[bytes, Expected]:
    return b'{"id":1,"lang":"xx",' + dumps(shapes.flat(tweet))[1:], Expected(1, 1)


# Damaged lines from which Silver still reads a tweet.
_RECOVERED = (_trailing, _twice_on_a_line, _byte_order_mark, _comma, _duplicate_keys)

KINDS = len(_REJECTED) + len(_RECOVERED)


def line(kind: int, tweet: Draft) -> tuple[bytes, Expected]:
    """Return a malformed line of one kind (0 ≤ kind < KINDS) and its expected result."""
    if kind < len(_REJECTED):
        reason, make = _REJECTED[kind]
        return make(tweet), Expected(1, 0, 0, Counter({reason: 1}))
    return _RECOVERED[kind - len(_REJECTED)](tweet)


def files(draft: Callable[[], Draft]) -> Iterator[GeneratedFile]:
    """Yield one malformed or unusual file of each kind; `draft` returns a new tweet."""

    def lines(count: int) -> bytes:
        return b"".join(dumps(shapes.v1(draft())) + b"\n" for _ in range(count))

    def file(name: str, data: bytes, tweets: int, documents: int | None = None, *reasons: str) -> GeneratedFile:
        # By default, each tweet is a document of its own.
        expected = Expected(tweets if documents is None else documents, tweets, 0, Counter(reasons))
        return GeneratedFile(f"trouble/{name}", data, expected)

    compressed = gzip.compress(lines(500))
    yield file("empty.json", b"", 0, 1, "empty_file")
    yield file("blank.json", b"\n  \n\r\n", 0, 1, "empty_file")
    yield file("binary.json", bytes(range(256)) * 9, 0, 1, "binary")
    yield file("sixteen bits.json", lines(2).decode().encode("utf-16"), 2)
    yield file("no gzip.json.gz", bytes(range(255, -1, -1)), 0, 1, "bad_gzip")
    yield file("gzip.json.gz", gzip.compress(lines(3)), 3)
    yield file("gzip without its name.json", gzip.compress(lines(2)), 2)
    yield file("stream.json.bz2", bz2.compress(lines(2)), 2)
    yield file("archive.tar", tar({"1.json": lines(2), "2.json.gz": gzip.compress(lines(1))}), 3)
    yield file("damaged.json.gz", compressed[:12] + b"\xff\xff\xff" + compressed[15:], 0, 1, "bad_gzip")
    yield file("mark.json", b"\xef\xbb\xbf" + lines(2), 2)
    yield file("windows.json", lines(2).replace(b"\n", b"\r\n"), 2)
    yield file("printed.json", json.dumps(shapes.v1(draft()), indent=2).encode(), 1)
    yield file("printed many.json", json.dumps(shapes.timeline([draft(), draft()]), indent=4).encode(), 2, 1)
    yield file("printed search.json", json.dumps(shapes.search_result([draft(), draft()]), indent=1).encode(), 2, 1)
    yield file("large.json", dumps(shapes.flat(draft()) | {"more": "x" * (5 << 20)}) + b"\n" + lines(1), 2)
    yield file("a space and a:colon.json", lines(1), 1)
    yield file("日本語 ☃ %20[*]{}.json", lines(1), 1)
    yield file("no suffix", lines(1), 1)
