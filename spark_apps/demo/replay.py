"""Lands recorded files: all at once, or at the pace of their tweets' timestamps."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from spark_apps import storage
from spark_apps.bronze.documents import Document, read_documents
from spark_apps.settings import check_files
from spark_apps.silver.records import Tweet, read_records

_SLICE_SECONDS = 1.0
_DOCUMENT_LIMIT = 64 << 20


def replay(
    files: Sequence[Path], landing: str, speed: float | None, on_file: Callable[[str, int], None], stop: Event
) -> int:
    """Land recorded files.

    Args:
        files: files to land, in this order.
        landing: folder or s3a://bucket/prefix.
        speed: speed-up: 60 lands the tweets of a minute in a second. Documents land in files of one second each. A
            document without a timestamp, or with an earlier one than its predecessor, lands with its predecessor. A
            file with an unreadable document lands unchanged. None lands all files unchanged and at once.
        on_file: called with the name and the size in bytes of each landed file.
        stop: event that ends the replay early.

    Returns:
        The number of landed files.

    Raises:
        SettingsError: a file does not exist.
    """
    check_files(files)
    # The prefix is unique, so a replay never overwrites landed files.
    prefix = f"replay-{time.time_ns()}"
    landed = 0
    for name, data in _unchanged(files) if speed is None else _paced(files, speed, stop):
        if stop.is_set():
            break
        name = f"{prefix}-{landed:06}-{name}"
        storage.put(landing, name, data)
        on_file(name, len(data))
        landed += 1
    return landed


def _unchanged(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        yield file.name, file.read_bytes()


def _paced(files: Sequence[Path], speed: float, stop: Event) -> Iterator[tuple[str, bytes]]:
    """Yield each file to land, with its name, when it is due."""
    began = time.monotonic()
    first: float | None = None
    lines: list[bytes] = []
    due = 0.0  # seconds from `began` at which `lines` are due
    for file in files:
        if any(document.problem for document in _documents(file)):
            yield file.name, file.read_bytes()
            continue
        for document in _documents(file):
            timestamp = _timestamp(document)
            if timestamp is not None:
                first = timestamp if first is None else first
                document_due = (timestamp - first) / speed
                if document_due >= due + _SLICE_SECONDS:
                    if lines:
                        stop.wait(max(0.0, began + due - time.monotonic()))
                        yield "slice.json", b"".join(lines)
                        lines = []
                    due = document_due
            lines.append(_line(document))
    if lines:
        stop.wait(max(0.0, began + due - time.monotonic()))
        yield "slice.json", b"".join(lines)


def _documents(file: Path) -> Iterator[Document]:
    with file.open("rb") as stream:
        yield from read_documents(stream, file.name, _DOCUMENT_LIMIT)


def _timestamp(document: Document) -> float | None:
    """Return the timestamp of the first tweet in a document, in Unix seconds; None if it has none."""
    tweets = (item for item in read_records(document.raw or "", datetime.now(UTC)) if isinstance(item, Tweet))
    tweet = next(tweets, None)
    return None if tweet is None else tweet.timestamp.timestamp()


def _line(document: Document) -> bytes:
    data = document.raw_bytes if document.raw_bytes is not None else (document.raw or "").encode()
    # JSON has line ends only between tokens, where a space means the same.
    return data.replace(b"\n", b" ") + b"\n"
