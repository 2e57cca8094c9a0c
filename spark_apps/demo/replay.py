"""Lands recorded files: all at once, or at the pace of their tweets' timestamps."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from spark_apps import storage
from spark_apps.bronze.documents import Document, read_documents
from spark_apps.settings import Settings, check_files
from spark_apps.silver.records import Tweet, read_records
from spark_apps.silver.tweet_reader import TweetFormat
from spark_apps.silver.user_formats import load_formats

_SLICE_SECONDS = 1.0


def replay(
    files: Sequence[Path], settings: Settings, speed: float | None, on_file: Callable[[str, int], None], stop: Event
) -> int:
    """Land recorded files.

    Args:
        files: files to land, in this order.
        settings: settings with the landing, the limit of a document, and the declared formats.
        speed: speed-up: 60 lands the tweets of a minute in a second. Documents land in files of one second each. A
            document without a timestamp, or with an earlier one than its predecessor, lands with its predecessor. A
            file with an unreadable document lands unchanged. None lands all files unchanged and at once.
        on_file: called with the name and the size in bytes of each landed file.
        stop: event that ends the replay early.

    Returns:
        The number of landed files.

    Raises:
        SettingsError: a file does not exist, no landing is set, or a declared format is invalid.
    """
    (landing,) = settings.require("landing")
    check_files(files)
    # The prefix is unique, so a replay never overwrites landed files.
    prefix = f"replay-{time.time_ns()}"
    landed = 0
    for name, data in _unchanged(files) if speed is None else _paced(files, settings, speed, stop):
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


def _paced(files: Sequence[Path], settings: Settings, speed: float, stop: Event) -> Iterator[tuple[str, bytes]]:
    """Yield each file to land, with its name, when it is due."""
    formats, max_bytes = load_formats(settings.formats), settings.max_document_mb << 20
    began = time.monotonic()
    first: float | None = None
    lines: list[bytes] = []
    due = 0.0  # seconds from `began` at which `lines` are due
    for file in files:
        if any(document.problem for document in _documents(file, max_bytes)):
            yield file.name, file.read_bytes()
            continue
        for document in _documents(file, max_bytes):
            timestamp = _timestamp(document, formats)
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


def _documents(file: Path, max_bytes: int) -> Iterator[Document]:
    with file.open("rb") as stream:
        yield from read_documents(stream, file.name, max_bytes)


def _timestamp(document: Document, formats: Sequence[TweetFormat]) -> float | None:
    """Return the timestamp of the first tweet in a document, in Unix seconds; None if it has none."""
    records = read_records(document.raw or "", datetime.now(UTC), formats=formats)
    tweet = next((record for record in records if isinstance(record, Tweet)), None)
    return None if tweet is None else tweet.timestamp.timestamp()


def _line(document: Document) -> bytes:
    data = document.raw_bytes if document.raw_bytes is not None else (document.raw or "").encode()
    # JSON has line ends only between tokens, where a space means the same.
    return data.replace(b"\n", b" ") + b"\n"
