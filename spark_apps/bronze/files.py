"""Open landed files: decompress them, take archives apart, and decode UTF-16 and UTF-32, in bounded memory."""

import bz2
import codecs
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa

_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 4096
# Maximum number of compressions and archives around a file, such as a gzip file in a compressed tar archive.
_MAX_LAYERS = 3
# JSON of tweets shrinks to between a fifth and a twentieth. A file that expands more repeats the same bytes.
_MAX_RATIO = 200
# A file that expands to less may have any ratio.
_FREE_BYTES = 4 << 20
_GZIP, _BZIP2, _XZ, _ZSTD, _ZIP = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
# The byte order mark, or the first character of JSON. UTF-32 comes first: its mark begins like that of UTF-16.
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
_DAMAGE = (
    EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, pa.ArrowException,
    RuntimeError,  # zipfile: an encrypted member, or a compression that Python lacks
)  # fmt: skip


class DamagedFile(Exception):  # noqa: N818 - names the condition, as StopIteration does
    """A file cannot be read to its end; `problem` is one of REASONS in tables.py."""

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = f"{detail}; the documents before it are kept"


@dataclass(frozen=True)
class File:
    """A landed file, or a file in a landed archive.

    Attributes:
        member: path in the archive; "" for the landed file itself.
        head: first bytes of the content.
        chunks: the content with `head`, decompressed, and as UTF-8 if it was UTF-16 or UTF-32. To iterate it may raise
            `DamagedFile`.
    """

    member: str
    head: bytes
    chunks: Iterator[bytes]


def open_files(stream: IO[bytes]) -> Iterator[File]:
    """Yield the files in a landed file: the members of an archive, or the file itself.

    Compressions, archives and encodings are recognised by their first bytes. Up to three compressions and archives may
    be nested. Read the chunks of a file before the next file.

    Raises:
        DamagedFile: the content is damaged, truncated or encrypted, or expands to more than 200 times its size.
        Exception: `stream` raised it.
    """
    source = _Source(stream)
    opened = _unpack(io.BufferedReader(source, _CHUNK_BYTES), "", source, 0)
    while True:
        with _damage(source):
            found = next(opened, None)
            if found is None:
                return
            member, content = found
            head = content.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        encoding = _encoding(head)
        chunks = _guarded(content, source)
        if encoding is not None:
            yield File(member, head.decode(encoding, "ignore").encode(), _transcoded(chunks, encoding))
        else:
            yield File(member, head, chunks)


class _Source(io.RawIOBase):
    """The landed file: it remembers its own error, which is not damage, and counts the bytes that were read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.error: Exception | None = None
        self.bytes = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except Exception as error:
            self.error = error
            raise
        self.bytes += len(data)
        buffer[: len(data)] = data
        return len(data)


class _Expanded(io.RawIOBase):
    """The output of a decompressor as a file. Bytes before damage are returned before the error is raised."""

    def __init__(self, chunks: Iterable[bytes], source: _Source) -> None:
        self._chunks = iter(chunks)
        self._source = source
        self._rest = b""
        self._error: Exception | None = None
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = 0
        while size < len(buffer) and self._fill():
            part = self._rest[: len(buffer) - size]
            buffer[size : size + len(part)] = part
            self._rest = self._rest[len(part) :]
            size += len(part)
        if not size and self._error is not None:
            raise self._error
        return size

    def _fill(self) -> bool:
        while not self._rest and self._error is None:
            try:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return False
                self._count(len(chunk))
                self._rest = chunk
            except Exception as error:
                self._error = error
        return bool(self._rest)

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > _FREE_BYTES and self._bytes > _MAX_RATIO * self._source.bytes:
            raise DamagedFile("too_compressed", f"the file expands to more than {_MAX_RATIO} times its size")


@contextmanager
def _damage(source: _Source) -> Iterator[None]:
    """Raise `DamagedFile` for errors of decompressors and archives, unless reading the landed file itself failed."""
    try:
        yield
    except _DAMAGE as error:
        if source.error is not None:
            raise source.error from None
        raise DamagedFile("damaged", str(error) or type(error).__name__) from error


def _guarded(content: io.BufferedReader, source: _Source) -> Iterator[bytes]:
    with _damage(source):
        yield from _reads(content.read1)


def _unpack(
    content: io.BufferedReader, member: str, source: _Source, layers: int
) -> Iterator[tuple[str, io.BufferedReader]]:
    """Yield the files in `content`, which may be compressed, an archive, or neither."""
    head = content.peek(_HEAD_BYTES)
    if layers < _MAX_LAYERS and (chunks := _decompress(head, content)) is not None:
        yield from _unpack(io.BufferedReader(_Expanded(chunks, source), _CHUNK_BYTES), member, source, layers + 1)
    elif layers < _MAX_LAYERS and head[257:262] == b"ustar":
        yield from _untar(content, member, source, layers)
    elif layers < _MAX_LAYERS and head.startswith(_ZIP) and content.seekable():
        yield from _unzip(content, member, source, layers)
    else:
        yield member, content


def _decompress(head: bytes, content: io.BufferedReader) -> Iterator[bytes] | None:
    """Return the decompressed chunks of `content`, or None if it is not compressed."""
    if head.startswith(_GZIP):
        return _inflate(content)
    if head.startswith(_BZIP2) and head[4:10] == b"1AY&SY":
        return _reads(bz2.BZ2File(content).read1)
    if head.startswith(_XZ):
        return _reads(lzma.LZMAFile(content).read1)
    if head.startswith(_ZSTD):
        return _reads(pa.CompressedInputStream(pa.PythonFile(content, mode="r"), "zstd").read)
    return None


def _reads(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := read(_CHUNK_BYTES):
        yield chunk


def _inflate(content: io.BufferedReader) -> Iterator[bytes]:
    """Decompress gzip of one or more members; unlike `gzip`, up to the very byte of the damage."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in _reads(content.read1):
        data = chunk
        while data:
            if inflater.eof:  # another member, or the zeros that some tools append to fill a block
                data = data.lstrip(b"\0") if not data.strip(b"\0") else data
                if not data:
                    break
                inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                yield inflater.decompress(data, _CHUNK_BYTES)
            except zlib.error as error:
                raise DamagedFile("bad_gzip", str(error)) from error
            data = inflater.unconsumed_tail or inflater.unused_data
    if not inflater.eof:
        raise DamagedFile("bad_gzip", "the gzip stream ends early")


def _untar(
    content: io.BufferedReader, member: str, source: _Source, layers: int
) -> Iterator[tuple[str, io.BufferedReader]]:
    with tarfile.open(fileobj=content, mode="r|") as archive:
        for info in archive:
            file = archive.extractfile(info) if info.isfile() else None
            if file is not None and info.size:
                yield from _unpack(file, _join(member, info.name), source, layers + 1)  # type: ignore[arg-type]
            archive.members = []  # type: ignore[attr-defined]  # or the list grows with each member


def _unzip(
    content: io.BufferedReader, member: str, source: _Source, layers: int
) -> Iterator[tuple[str, io.BufferedReader]]:
    with zipfile.ZipFile(content) as archive:
        for info in archive.infolist():
            if not info.is_dir() and info.file_size:
                with archive.open(info) as file:
                    expanded = io.BufferedReader(_Expanded(_reads(file.read), source), _CHUNK_BYTES)
                    yield from _unpack(
                        expanded,  # type: ignore[arg-type]
                        _join(member, info.filename),
                        source,
                        layers + 1,
                    )


def _join(member: str, name: str) -> str:
    return f"{member}/{name}" if member else name


def _encoding(head: bytes) -> str | None:
    """Return the encoding of a content in UTF-16 or UTF-32; None for UTF-8, and for binary content."""
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
