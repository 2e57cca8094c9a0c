"""Cuts a landed file into documents, in bounded memory, whatever the file holds."""

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import IO

_CHUNK = 1 << 20
_HEAD = 4096
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
# Bytes that a text may hold besides the printable ones.
_TEXT_CONTROLS = b"\t\n\r\f\b"
_CONTROLS = bytes(byte for byte in range(0x20) if byte not in _TEXT_CONTROLS)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its text, or the problem (a quarantine reason) that kept it from being read."""

    raw: str | None
    raw_bytes: bytes | None = None
    problem: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    data: bytes
    size: int  # more than len(data) where the line is over the limit and its data was dropped


def read_documents(stream: IO[bytes], name: str, limit: int) -> Iterator[Document]:
    """Yield the documents of one file; an empty file and one of blank lines hold none.

    A document is a line, or several where JSON goes on over line ends. `limit` is in bytes: a longer document
    becomes a Document with the problem `too_large`, and is never held in memory whole.
    """
    head = stream.read(_HEAD)
    chunks: Iterable[bytes] = _chunks(head, stream)
    zipped = head.startswith(_GZIP)
    if zipped:
        chunks = _inflate(head, stream)
    elif not _is_text(head):
        yield _unreadable(head, chunks, limit, "bad_gzip" if name.endswith(".gz") else "binary")
        return
    try:
        yield from _documents(_lines(chunks, limit), limit)
    except (EOFError, zlib.error) as error:
        yield Document(None, None, "bad_gzip", f"{error}; the documents before the damage are kept")


def _chunks(head: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    yield head
    while chunk := stream.read(_CHUNK):
        yield chunk


def _inflate(head: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    """Decompress a gzip stream of one or more members; `EOFError` or `zlib.error` where it is damaged."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in _chunks(head, stream):
        data = chunk
        while data:
            if inflater.eof:  # another member, or the zeros with which some tools fill up a block
                data = data.lstrip(b"\0") if not data.strip(b"\0") else data
                if not data:
                    break
                inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield inflater.decompress(data, _CHUNK)
            data = inflater.unconsumed_tail or inflater.unused_data
    if not inflater.eof:
        raise EOFError("the gzip stream ends early")


def _is_text(head: bytes) -> bool:
    """Tell whether the first bytes of a file are text: at most a tenth of them are anything else.

    One damaged tweet must not cost the others in its file: it is judged by itself, later.
    """
    # What `_line` takes for blank: a vertical tab is one of the controls too.
    if not head.strip():
        return True
    broken = head.decode("utf-8", "replace").count("\ufffd")
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return (broken + controls) * 10 <= len(head)


def _unreadable(head: bytes, chunks: Iterable[bytes], limit: int, problem: str) -> Document:
    kept, size = bytearray(), 0
    for chunk in chunks:
        size += len(chunk)
        if size <= limit:
            kept += chunk
    detail = f"{size} bytes, the first of them {head[:16].hex(' ')}"
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        detail += ": this is UTF-16; save it as UTF-8"
    return Document(None, bytes(kept) if size <= limit else None, problem, detail)


def _lines(chunks: Iterable[bytes], limit: int) -> Iterator[_Line]:
    """Yield the lines that are not blank, without their ends."""
    rest, size = bytearray(), 0
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        size += len(first)
        if size <= limit:
            rest += first
        for other in others:
            yield from _line(bytes(rest), size, limit)
            rest, size = bytearray(other[: limit + 1]), len(other)
        if size > limit:
            rest.clear()
    yield from _line(bytes(rest), size, limit)


def _line(data: bytes, size: int, limit: int) -> Iterator[_Line]:
    if size > limit:
        yield _Line(b"", size)
    elif data.strip():
        yield _Line(data.removesuffix(b"\r"), size)


def _documents(lines: Iterator[_Line], limit: int) -> Iterator[Document]:
    first = next(lines, None)
    if first is None:
        return
    if not _is_json(first.data):
        # Perhaps the file is one document in a layout of its own: try it whole, if it may be held whole.
        held, size = [first], first.size
        while size <= limit and (line := next(lines, None)):
            held.append(line)
            size += line.size + 1
        if size <= limit and len(held) > 1 and _is_json(whole := b"\n".join(line.data for line in held)):
            yield _document(whole)
            return
        lines = chain(held[1:], lines)
    yield from _join(chain([first], lines), limit)


def _join(lines: Iterator[_Line], limit: int) -> Iterator[Document]:
    """Join the lines of a document that is printed over several: those after its first are indented or close it."""
    document: list[bytes] = []
    size = 0
    is_open = False
    for line in lines:
        if not (is_open and (not line.data or line.data[:1] in b" \t}]")):
            if size:
                yield _joined(document, size, limit)
            document, size = [], 0
            is_open = line.size == len(line.data) and _goes_on(line.data)
        size += line.size + 1
        if size <= limit + 1:
            document.append(line.data)
        else:
            document.clear()
    if size:
        yield _joined(document, size, limit)


def _goes_on(line: bytes) -> bool:
    start = line.removeprefix(_BOM).strip()
    return start[:1] in (b"{", b"[") and start[-1:] not in (b"}", b"]")


def _joined(lines: list[bytes], size: int, limit: int) -> Document:
    if size > limit + 1:
        return Document(None, None, "too_large", f"{size - 1} bytes; the limit is {limit}")
    return _document(b"\n".join(lines))


def _document(data: bytes) -> Document:
    bare = data.removeprefix(_BOM)
    try:
        return Document(bare.decode(), None if bare is data else data)
    except UnicodeDecodeError:
        return Document(bare.decode("utf-8", "replace"), data)


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data.removeprefix(_BOM))
    except (ValueError, RecursionError):
        return False
    return True
