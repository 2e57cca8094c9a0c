"""Split a landed file into documents, in bounded memory for any content: text, gzip or binary."""

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import IO

_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 4096
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
# Control characters that occur in text.
_TEXT_CONTROLS = b"\t\n\r\f\b"
_CONTROLS = bytes(byte for byte in range(0x20) if byte not in _TEXT_CONTROLS)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file.

    `raw` is the text, with invalid UTF-8 replaced. `raw_bytes` are the original bytes if `raw` does not reproduce them
    exactly. `problem` is a quarantine reason for a document that could not be read, and `detail` explains the problem.
    """

    raw: str | None
    raw_bytes: bytes | None = None
    problem: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    data: bytes
    size: int  # in bytes; greater than len(data) if the line exceeds the limit and its data was dropped


def read_documents(stream: IO[bytes], name: str, limit: int) -> Iterator[Document]:
    """Yield the documents of one file; a file that is empty or contains only blank lines has none.

    A document is one line, or several lines if its JSON spans them. A file that starts with the gzip signature is
    decompressed; `name` only decides how unreadable content is reported. A document longer than `limit` bytes becomes
    a Document with the problem `too_large` and is never fully in memory.
    """
    head = stream.read(_HEAD_BYTES)
    chunks: Iterable[bytes] = _chunks(head, stream)
    is_gzip = head.startswith(_GZIP)
    if is_gzip:
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
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def _inflate(head: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    """Decompress a gzip stream of one or more members; raise `EOFError` or `zlib.error` if it is damaged."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in _chunks(head, stream):
        data = chunk
        while data:
            if inflater.eof:  # another member, or the zeros that some tools append to fill a block
                data = data.lstrip(b"\0") if not data.strip(b"\0") else data
                if not data:
                    break
                inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield inflater.decompress(data, _CHUNK_BYTES)
            data = inflater.unconsumed_tail or inflater.unused_data
    if not inflater.eof:
        raise EOFError("the gzip stream ends early")


def _is_text(head: bytes) -> bool:
    """Return whether the first bytes of a file are text: at most a tenth of the characters are invalid or controls.

    The threshold tolerates a damaged tweet, so that the other tweets of its file are still read.
    """
    # `_line` treats the same bytes as blank. Without this check, a file of vertical tabs would count as binary.
    if not head.strip():
        return True
    invalid = head.decode("utf-8", "replace").count("\ufffd")
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return (invalid + controls) * 10 <= len(head)


def _unreadable(head: bytes, chunks: Iterable[bytes], limit: int, problem: str) -> Document:
    kept, size = bytearray(), 0
    for chunk in chunks:
        size += len(chunk)
        if size <= limit:
            kept += chunk
    detail = f"{size} bytes, starting with {head[:16].hex(' ')}"
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        detail += ": the file is UTF-16; convert it to UTF-8"
    return Document(None, bytes(kept) if size <= limit else None, problem, detail)


def _lines(chunks: Iterable[bytes], limit: int) -> Iterator[_Line]:
    """Yield the non-blank lines, without line ends."""
    line, size = bytearray(), 0
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        size += len(first)
        if size <= limit:
            line += first
        for other in others:
            yield from _line(bytes(line), size, limit)
            line, size = bytearray(other[: limit + 1]), len(other)
        if size > limit:
            line.clear()
    yield from _line(bytes(line), size, limit)


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
        # The whole file may be a single document with an unusual layout. Try to parse it, if it is within the limit.
        buffered, size = [first], first.size
        while size <= limit and (line := next(lines, None)):
            buffered.append(line)
            size += line.size + 1
        if size <= limit and len(buffered) > 1 and _is_json(whole := b"\n".join(line.data for line in buffered)):
            yield _document(whole)
            return
        lines = chain(buffered[1:], lines)
    yield from _join_lines(chain([first], lines), limit)


def _join_lines(lines: Iterator[_Line], limit: int) -> Iterator[Document]:
    """Join the lines of pretty-printed documents.

    A line continues a document if it is indented or starts with a closing bracket. A line over the limit, which has no
    data, continues a document that is open: the document is too large then.
    """
    document: list[bytes] = []
    size = 0
    is_open = False
    for line in lines:
        if not (is_open and (not line.data or line.data[:1] in b" \t}]")):
            if size:
                yield _joined_document(document, size, limit)
            document, size = [], 0
            is_open = line.size == len(line.data) and _is_unclosed(line.data)
        size += line.size + 1
        if size <= limit + 1:
            document.append(line.data)
        else:
            document.clear()
    if size:
        yield _joined_document(document, size, limit)


def _is_unclosed(line: bytes) -> bool:
    """Return whether a line opens a JSON object or array and does not end with a closing bracket."""
    text = line.removeprefix(_BOM).strip()
    return text[:1] in (b"{", b"[") and text[-1:] not in (b"}", b"]")


def _joined_document(lines: list[bytes], size: int, limit: int) -> Document:
    if size > limit + 1:
        return Document(None, None, "too_large", f"{size - 1} bytes; the limit is {limit}")
    return _document(b"\n".join(lines))


def _document(data: bytes) -> Document:
    text = data.removeprefix(_BOM)
    try:
        return Document(text.decode(), None if text is data else data)
    except UnicodeDecodeError:
        return Document(text.decode("utf-8", "replace"), data)


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data.removeprefix(_BOM))
    except (ValueError, RecursionError):
        return False
    return True
