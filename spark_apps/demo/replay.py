"""Recorded files → the landing, at once or in the rhythm in which their tweets were written."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

from spark_apps import storage
from spark_apps.bronze.documents import Document, read_documents
from spark_apps.settings import SettingsError
from spark_apps.silver.records import Tweet, read_records

_SLICE_SECONDS = 1.0
_DOCUMENT_LIMIT = 64 << 20


def replay(
    files: Sequence[Path], landing: str, speed: float | None, on_file: Callable[[str, int], None], stop: Event
) -> int:
    """Land `files` in the order given; return how many files were landed.

    With `speed` None each lands as it is. Else their documents land in files of one second each, `speed` times
    faster than their tweets were written; a document without a time, or of an earlier one, lands with the one
    before it. A file with a document that cannot be read lands as it is. `on_file` hears of each landed file its
    name and its size in bytes. `stop` ends it early. Raises `SettingsError` where a file is missing.
    """
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise SettingsError("\n".join(f"{file} is no file" for file in missing))
    # Of this replay alone: what was landed before is never written over.
    prefix = f"replay-{time.time_ns()}"
    landed = 0
    for name, data in _whole(files) if speed is None else _paced(files, speed, stop):
        if stop.is_set():
            break
        name = f"{prefix}-{landed:06}-{name}"
        storage.put(landing, name, data)
        on_file(name, len(data))
        landed += 1
    return landed


def _whole(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        yield file.name, file.read_bytes()


def _paced(files: Sequence[Path], speed: float, stop: Event) -> Iterator[tuple[str, bytes]]:
    began = time.monotonic()
    first: float | None = None
    lines: list[bytes] = []
    due = 0.0
    for file in files:
        if any(document.problem for document in _documents(file)):
            yield file.name, file.read_bytes()
            continue
        for document in _documents(file):
            written = _written(document)
            if written is not None:
                first = written if first is None else first
                ahead = (written - first) / speed
                if ahead >= due + _SLICE_SECONDS:
                    if lines:
                        stop.wait(max(0.0, began + due - time.monotonic()))
                        yield "slice.json", b"".join(lines)
                        lines = []
                    due = ahead
            lines.append(_line(document))
    if lines:
        stop.wait(max(0.0, began + due - time.monotonic()))
        yield "slice.json", b"".join(lines)


def _documents(file: Path) -> Iterator[Document]:
    with file.open("rb") as stream:
        yield from read_documents(stream, file.name, _DOCUMENT_LIMIT)


def _written(document: Document) -> float | None:
    """Return when the first tweet of a document was written, in seconds since 1970."""
    tweets = (item for item in read_records(document.raw or "") if isinstance(item, Tweet))
    tweet = next(tweets, None)
    return None if tweet is None else tweet.timestamp.timestamp()


def _line(document: Document) -> bytes:
    data = document.raw_bytes if document.raw_bytes is not None else (document.raw or "").encode()
    # JSON has line ends between its tokens only, where any space will do.
    return data.replace(b"\n", b" ") + b"\n"
