"""Decompress landed files, with limits on what they expand to."""

import bz2
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa

CHUNK_BYTES = 1 << 20
# JSON of tweets shrinks to between a fifth and a twentieth. A file that expands more repeats the same bytes.
MAX_RATIO = 200
# A file that expands to less may have any ratio.
_FREE_BYTES = 4 << 20
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
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


class LandedStream(io.RawIOBase):
    """The bytes of a landed file.

    Attributes:
        max_ratio: the file may expand to this many times its size.
        error: error of the storage, which is not damage of the file; None without an error.
        bytes: number of bytes that were read.
    """

    def __init__(self, stream: IO[bytes], max_ratio: int) -> None:
        self._stream = stream
        self.max_ratio = max_ratio
        self.error: Exception | None = None
        self.bytes = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._stream.seek(offset, whence)
        except Exception as error:
            self.error = error
            raise

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


class Expanded(io.RawIOBase):
    """The output of a decompressor as a file. It returns all bytes before the damage, then raises the error."""

    def __init__(self, chunks: Iterable[bytes], landed: LandedStream) -> None:
        self._chunks = iter(chunks)
        self._source = landed
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
        max_ratio = self._source.max_ratio
        if self._bytes > _FREE_BYTES and self._bytes > max_ratio * self._source.bytes:
            raise DamagedFile("too_compressed", f"the file expands to more than {max_ratio} times its size")


@contextmanager
def reporting_damage(landed: LandedStream) -> Iterator[None]:
    """Raise `DamagedFile` for errors of decompressors and archives, unless reading the landed file itself failed."""
    try:
        yield
    except _DAMAGE as error:
        if landed.error is not None:
            raise landed.error from None
        raise DamagedFile("damaged", str(error) or type(error).__name__) from error


def decompress(head: bytes, content: io.BufferedReader) -> Iterator[bytes] | None:
    """Return the decompressed chunks of `content`, or None if it is not compressed."""
    if head.startswith(_GZIP):
        return _inflate(content)
    if head.startswith(_BZIP2) and head[4:10] == b"1AY&SY":
        return chunks_of(bz2.BZ2File(content).read1)
    if head.startswith(_XZ):
        return chunks_of(lzma.LZMAFile(content).read1)
    if head.startswith(_ZSTD):
        return chunks_of(pa.CompressedInputStream(pa.PythonFile(content, mode="r"), "zstd").read)
    return None


def chunks_of(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the results of `read`, a method of a file, up to the end of the file."""
    while chunk := read(CHUNK_BYTES):
        yield chunk


def _inflate(content: io.BufferedReader) -> Iterator[bytes]:
    """Decompress gzip of one or more members; unlike the module `gzip`, up to the damaged byte."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in chunks_of(content.read1):
        data = chunk
        while data:
            if inflater.eof:  # another member, or the zeros that some tools append to fill a block
                data = data.lstrip(b"\0") if not data.strip(b"\0") else data
                if not data:
                    break
                inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                yield inflater.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                raise DamagedFile("bad_gzip", str(error)) from error
            data = inflater.unconsumed_tail or inflater.unused_data
    if not inflater.eof:
        raise DamagedFile("bad_gzip", "the gzip stream ends early")
