"""Copies files between folders and S3 in pieces, with their SHA-256: memory does not grow with the size of a file."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TypeVar

from spark_apps import storage
from spark_apps.errors import UserError, first_line

_THREADS = 8
_PIECE = 1 << 20
_Result = TypeVar("_Result")


class BackupError(UserError):
    """A backup is not usable; the message names the reason and the remedy."""


class _OtherContentError(Exception):
    """A file has another SHA-256 than expected."""


class _HashingStream:
    """Reads a file and computes its SHA-256. With an expected SHA-256, the end of another file is an error.

    The error comes before the end of the copy, so that no copy of a damaged file is left.
    """

    def __init__(self, source: IO[bytes], expected: str | None) -> None:
        self.size = 0
        self._source = source
        self._expected = expected
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        self.size += len(data)
        is_end = size < 0 or not data
        if is_end and self._expected not in {None, self.digest}:
            raise _OtherContentError
        return data


def digest(uri: str) -> str | None:
    """Return the SHA-256 of a file; None if the file does not exist."""
    try:
        with storage.open_stream(uri) as source:
            stream = _HashingStream(source, None)
            while stream.read(_PIECE):
                pass
    except FileNotFoundError:
        return None
    return stream.digest


def copy(uri: str, folder: str, name: str, expected: str | None = None) -> tuple[str, int] | None:
    """Copy a file to the path `name` in a folder.

    Args:
        uri: path or s3a:// URI of the file.
        folder: folder or s3a:// URI.
        name: path of the copy in the folder.
        expected: SHA-256 of the file; None accepts any.

    Returns:
        The SHA-256 and the size of the file; None if the file does not exist, or has another SHA-256 than `expected`.
    """
    try:
        with storage.open_stream(uri) as source:
            stream = _HashingStream(source, expected)
            storage.put_stream(folder, name, stream)
    except (FileNotFoundError, _OtherContentError):
        return None
    return stream.digest, stream.size


def remove(folder: str, names: Iterable[str]) -> None:
    """Delete files of a folder, by their paths in it."""
    in_threads(lambda name: storage.delete(f"{folder}/{name}"), names)


def in_threads(function: Callable[[str], _Result], names: Iterable[str]) -> list[_Result]:
    """Call a function with each name; return the results in the order of the names."""
    with ThreadPoolExecutor(_THREADS) as threads:
        try:
            return list(threads.map(function, names))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


@contextmanager
def naming_errors(source: str, target: str, *others: type[Exception]) -> Iterator[None]:
    """Replace errors of the storage, and errors of the types `others`, by one that names both places."""
    try:
        yield
    except Exception as error:
        if not storage.is_storage_error(error) and not isinstance(error, others):
            raise
        raise BackupError(
            f"{source} was not copied to {target} ({first_line(error)}): check both, and the permissions on them"
        ) from error
