"""Split a landed file into documents, in bounded memory and time for any content."""

import json
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import IO

from spark_apps.bronze.decompress import MAX_RATIO, DamagedFile
from spark_apps.bronze.files import File, open_files
from spark_apps.bronze.lines import Line, split_lines
from spark_apps.landing.landed_file import BEGINNING, Start

_BOM = b"\xef\xbb\xbf"
# May precede JSON: a byte order mark, a record separator (RFC 7464), and the assignment in X's archives.
_BEFORE_JSON = re.compile(
    rb"(?:\xef\xbb\xbf)?[\s\x1e]*(?:(?:(?:var|let|const)\s+)?[A-Za-z_$][\w.$]{0,100}\s*=\s*(?=[\[{]))?"
)
# After this many consecutive lines that cannot start a JSON object or array, such as the lines of a CSV file, the next
# lines are joined to documents of `_JOINED_BYTES`.
_SINGLE_LINES = 100
_JOINED_BYTES = 64 << 10
# A document with more lines has more JSON values than Silver accepts, or some lines without a value.
_BUFFERED_LINES = 4_000_000
# Control characters that occur in text.
_TEXT_CONTROLS = b"\t\n\r\f\b"
_CONTROLS = bytes(byte for byte in range(0x20) if byte not in _TEXT_CONTROLS)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file.

    Attributes:
        raw: the text, with invalid UTF-8 replaced; None if the document is unreadable.
        raw_bytes: the original bytes if `raw` does not reproduce them exactly; else None.
        problem: quarantine reason of an unreadable document; else None.
        detail: explanation of the problem.
        member: path of the file in a landed archive; "" if the landed file is not an archive.
        file: number of the file in the archive, from 0.
        end: number of bytes of the file up to the end of the document.
    """

    raw: str | None
    raw_bytes: bytes | None = None
    problem: str | None = None
    detail: str | None = None
    member: str = ""
    file: int = 0
    end: int = 0


def read_documents(stream: IO[bytes], name: str, limit: int, max_ratio: int = MAX_RATIO) -> Iterator[Document]:
    """Yield the documents of a landed file, at least one: a file of blank lines has one document with a problem.

    A document is one line, or several lines if its JSON spans them. Compressed files and archives are recognised by
    their first bytes.

    Args:
        stream: landed file.
        name: name of the file; it only decides how unreadable content is reported.
        limit: a document of more bytes has the problem `too_large`, and is never fully in memory.
        max_ratio: a compressed file may expand to this many times its size.
    """
    documents = read_documents_from(stream, name, limit, max_ratio, BEGINNING)
    return (document for document in documents if document is not None)


def read_documents_from(
    stream: IO[bytes], name: str, limit: int, max_ratio: int, start: Start
) -> Iterator[Document | None]:
    """Yield the documents of a landed file from `start` on, as `read_documents` does.

    Before the first document, None is yielded for each chunk and each file that precedes `start`, so that the caller
    can report progress.
    """
    file = document = None
    try:
        for file in open_files(stream, start, max_ratio):
            if file is None:
                yield None
                continue
            for document in _read_file(file, name, limit):
                yield replace(document, member=file.member, file=file.number)
        if document is None and start == BEGINNING:
            yield Document(None, None, "empty_file", "nothing, or blank lines only")
    except DamagedFile as error:
        member, number = (file.member, file.number) if file else ("", start.member)
        yield Document(None, None, error.problem, error.detail, member, number)


def _read_file(file: File, name: str, limit: int) -> Iterator[Document]:
    if not _is_text(file.head):
        yield _unreadable(file.head, file.chunks, limit, "bad_gzip" if name.endswith(".gz") else "binary")
        return
    lines = split_lines(file.chunks, file.offset, limit)
    yield from _join_lines(lines, limit) if file.offset else _documents(lines, limit)


def _is_text(head: bytes) -> bool:
    """Return whether the first bytes of a file are text: at most a tenth of the characters are invalid or controls.

    The threshold tolerates a damaged tweet, so that the other tweets of its file are still read.
    """
    # `lines.py` treats the same bytes as blank. Without this check, a file of vertical tabs would count as binary.
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
    return Document(None, bytes(kept) if size <= limit else None, problem, detail, end=size)


def _documents(lines: Iterator[Line], limit: int) -> Iterator[Document]:
    first = next(lines, None)
    if first is None:
        return
    lines = chain([first], lines)
    if first.data and not _is_json(first.data):
        # The whole file may be a single document with an unusual layout: try to parse it if it is within the limit.
        buffer = _Buffer()
        next_line = buffer.fill(lines, limit)
        if next_line is None and len(buffer.ends) > 1 and _is_json(buffer.text):
            yield _document(bytes(buffer.text[:-1]), buffer.ends[-1])
            return
        lines = chain(buffer.lines(), [next_line] if next_line else [], lines)
    yield from _join_lines(lines, limit)


class _Buffer:
    """The first lines of a file. One object per line would take a hundred times the memory of a short line."""

    def __init__(self) -> None:
        self.text = bytearray()
        self.ends = array("q")

    def fill(self, lines: Iterable[Line], limit: int) -> Line | None:
        """Take lines up to `limit` bytes; return the first line that does not fit, None if all fit."""
        for line in lines:
            if not line.data or len(self.text) + line.size > limit or len(self.ends) == _BUFFERED_LINES:
                return line
            self.text += line.data + b"\n"
            self.ends.append(line.end)
        return None

    def lines(self) -> Iterator[Line]:
        start = 0
        for end in self.ends:
            stop = self.text.index(b"\n", start)
            yield Line(bytes(self.text[start:stop]), stop - start, end)
            start = stop + 1


def _join_lines(lines: Iterator[Line], limit: int) -> Iterator[Document]:
    """Join the lines of pretty-printed documents.

    A line continues an open document if it is indented or starts with a closing bracket. A line over the limit, which
    has no data, continues it too, and makes the document too large.
    """
    document: list[bytes] = []
    size = single_lines = end = 0
    is_open = False
    for line in lines:
        single_lines = 0 if _can_start(line.data) else single_lines + 1
        joins = single_lines > _SINGLE_LINES and size + line.size < min(_JOINED_BYTES, limit) and not is_open
        if not joins and not (is_open and (not line.data or line.data[:1] in b" \t}]")):
            if size:
                yield _joined_document(document, size, end, limit)
            document, size = [], 0
            is_open = line.size == len(line.data) and _is_unclosed(line.data)
        size += line.size + 1
        end = line.end
        if size <= limit + 1:
            document.append(line.data)
        else:
            document.clear()
    if size:
        yield _joined_document(document, size, end, limit)


def _is_unclosed(line: bytes) -> bool:
    """Return whether a line opens a JSON object or array and does not end with a closing bracket."""
    start = _json_start(line)
    return line[start : start + 1] in (b"{", b"[") and line.rstrip()[-1:] not in (b"}", b"]")


def _can_start(line: bytes) -> bool:
    """Return whether a line may start a JSON object or array; true for a line over the limit, which has no data."""
    start = _json_start(line)
    return line[start : start + 1] in (b"{", b"[", b"")


def _json_start(line: bytes | bytearray) -> int:
    """Return the position after everything that may precede JSON."""
    return _BEFORE_JSON.match(line).end()  # type: ignore[union-attr]  # the pattern also matches the empty string


def _joined_document(lines: list[bytes], size: int, end: int, limit: int) -> Document:
    if size > limit + 1:
        return Document(None, None, "too_large", f"{size - 1} bytes; the limit is {limit}", end=end)
    return _document(b"\n".join(lines), end)


def _document(data: bytes, end: int) -> Document:
    text = data.removeprefix(_BOM)
    try:
        return Document(text.decode(), None if text is data else data, end=end)
    except UnicodeDecodeError:
        return Document(_decode_cesu8(text) or text.decode("utf-8", "replace"), data, end=end)


def _decode_cesu8(data: bytes) -> str | None:
    """Decode CESU-8, in which Java and old MySQL encode emoji as two surrogates; return None if it is not CESU-8."""
    try:
        return data.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeError:
        return None


def _is_json(data: bytes | bytearray) -> bool:
    try:
        json.loads(data[_json_start(data) :])
    except (ValueError, RecursionError):
        return False
    return True
