"""Open landed files: decompress them, take archives apart, and decode UTF-16 and UTF-32, in bounded memory."""

import codecs
import io
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import IO

from spark_apps.bronze.decompress import (
    CHUNK_BYTES,
    MAX_RATIO,
    Expanded,
    LandedStream,
    chunks_of,
    decompress,
    reporting_damage,
)
from spark_apps.landing.landed_file import BEGINNING, Start

_HEAD_BYTES = 4096
# Maximum number of compressions and archives around a file, such as a gzip file in a compressed tar archive.
_MAX_LAYERS = 3
_ZIP = b"PK\x03\x04"
# The byte order mark, or the first character of JSON. UTF-32 comes first: its mark starts with the mark of UTF-16.
_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    *(
        (character.encode(encoding), encoding)
        for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
        for character in "{["
    ),
)


@dataclass(frozen=True)
class File:
    """A landed file, or a file in a landed archive.

    Attributes:
        number: number of the file in the archive, from 0.
        member: path in the archive; "" for the landed file itself.
        head: first bytes of the content.
        offset: number of bytes of the content before `chunks`.
        chunks: the content from `offset` on, decompressed, and as UTF-8 if it was UTF-16 or UTF-32. The iteration may
            raise `DamagedFile`.
    """

    number: int
    member: str
    head: bytes
    offset: int
    chunks: Iterator[bytes]


@dataclass(frozen=True)
class _Opened:
    """A file with a content that is neither compressed nor an archive.

    Attributes:
        member: path in the archive; "" for the landed file itself.
        content: content of the file.
        is_sequential: whether the file must be read to its end before the next file.
    """

    member: str
    content: io.BufferedReader
    is_sequential: bool


def open_files(stream: IO[bytes], start: Start = BEGINNING, max_ratio: int = MAX_RATIO) -> Iterator[File | None]:
    """Yield the files in a landed file: the members of an archive, or the file itself.

    Compressions, archives and encodings are recognised by their first bytes. Up to three compressions and archives may
    be nested. Read the chunks of a file before the next file.

    Args:
        stream: landed file. If it is seekable and not compressed, the content before `start` is not read.
        start: where to begin. Before it, None is yielded for each file, and for each chunk that must be read.
        max_ratio: the landed file may expand to this many times its size.

    Raises:
        DamagedFile: the content is damaged, truncated or encrypted, or expands too much.
        Exception: `stream` raised it.
    """
    landed = LandedStream(stream, max_ratio)
    opened = _unpack(io.BufferedReader(landed, CHUNK_BYTES), "", landed, 0, False)
    number = 0
    while True:
        with reporting_damage(landed):
            file = next(opened, None)
            if file is None:
                return
            head = file.content.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        if number >= start.member:
            offset = start.offset if number == start.member else 0
            yield from _open(file, number, head, offset, landed)
        else:
            yield None
            if file.is_sequential:
                yield from (None for _ in _guarded(file.content, landed))
        number += 1


def _open(file: _Opened, number: int, head: bytes, offset: int, landed: LandedStream) -> Iterator[File | None]:
    """Yield None for each chunk that is read before `offset`, then the file."""
    chunks = _guarded(file.content, landed)
    encoding = _encoding(head)
    if encoding is not None:
        head, chunks = head.decode(encoding, "ignore").encode(), _transcoded(chunks, encoding)
    elif offset and _is_seekable(file.content, file.is_sequential):
        with reporting_damage(landed):
            file.content.seek(offset)
        yield File(number, file.member, head, offset, chunks)
        return
    left = offset
    while left > 0 and (chunk := next(chunks, None)) is not None:
        yield None
        if len(chunk) > left:
            chunks = chain([chunk[left:]], chunks)
        left -= len(chunk)
    yield File(number, file.member, head, offset, chunks)


def _guarded(content: io.BufferedReader, landed: LandedStream) -> Iterator[bytes]:
    with reporting_damage(landed):
        yield from chunks_of(content.read1)


def _unpack(
    content: io.BufferedReader, member: str, landed: LandedStream, layers: int, is_sequential: bool
) -> Iterator[_Opened]:
    """Yield the files in `content`, which may be compressed, an archive, or neither."""
    head = content.peek(_HEAD_BYTES)
    if layers < _MAX_LAYERS and (chunks := decompress(head, content)) is not None:
        expanded: io.BufferedReader = io.BufferedReader(Expanded(chunks, landed), CHUNK_BYTES)
        yield from _unpack(expanded, member, landed, layers + 1, is_sequential)
    elif layers < _MAX_LAYERS and head[257:262] == b"ustar":
        yield from _untar(content, member, landed, layers, is_sequential)
    elif layers < _MAX_LAYERS and head.startswith(_ZIP) and _is_seekable(content, is_sequential):
        yield from _unzip(content, member, landed, layers)
    else:
        yield _Opened(member, content, is_sequential)


def _is_seekable(content: io.BufferedReader, is_sequential: bool) -> bool:
    # A file in a tar archive that is read as a stream has no `seekable`.
    return not is_sequential and content.seekable()


def _untar(
    content: io.BufferedReader, member: str, landed: LandedStream, layers: int, is_sequential: bool
) -> Iterator[_Opened]:
    is_sequential = not _is_seekable(content, is_sequential)
    with tarfile.open(fileobj=content, mode="r|" if is_sequential else "r:") as archive:
        for info in archive:
            file = archive.extractfile(info) if info.isfile() else None
            if file is not None and info.size:
                path = _join(member, info.name)
                yield from _unpack(file, path, landed, layers + 1, is_sequential)  # type: ignore[arg-type]
            archive.members = []  # type: ignore[attr-defined]  # or the list grows with each member


def _unzip(content: io.BufferedReader, member: str, landed: LandedStream, layers: int) -> Iterator[_Opened]:
    with zipfile.ZipFile(content) as archive:
        for info in archive.infolist():
            if not info.is_dir() and info.file_size:
                with archive.open(info) as file:
                    expanded: io.BufferedReader = io.BufferedReader(Expanded(chunks_of(file.read), landed), CHUNK_BYTES)
                    yield from _unpack(expanded, _join(member, info.filename), landed, layers + 1, False)


def _join(member: str, name: str) -> str:
    return f"{member}/{name}" if member else name


def _encoding(head: bytes) -> str | None:
    """Return the encoding of content in UTF-16 or UTF-32; None for UTF-8, and for binary content."""
    encoding = next((encoding for start, encoding in _ENCODINGS if head.startswith(start)), None)
    if encoding is None:
        return None
    text = head.decode(encoding, "replace")
    has_mark = text[:1] not in {"{", "["}
    # Binary content may begin like a mark, and UTF-8 may begin with a bracket and a stray NUL. In JSON, an ASCII
    # character follows the first bracket.
    is_json = bool({"{", "["} & set(text)) if has_mark else text[:2].isascii()
    return encoding if is_json else None


def _transcoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()
