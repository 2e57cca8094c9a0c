"""Lists the files of a landing in a folder or on S3. The memory does not grow with the number of files."""

import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from spark_apps import storage
from spark_apps.landing.landed_file import LandedFile, name_problem

# A change in a file does not change the modification time of its folder: all folders are read again at this interval.
_FULL_LISTING_SECONDS = 3600.0


class Listing(Protocol):
    """Lists a landing repeatedly."""

    def files(self, after: float) -> Iterator[LandedFile]:
        """Yield at least the files that have landed after `after` (Unix seconds), in any order.

        Raises:
            OSError: the landing is not readable; S3 may raise botocore's `ClientError` instead.
        """

    def forget(self) -> None:
        """Make the next call of `files` read all folders, because not all files of the last call were used."""


def open_listing(landing: str) -> Listing:
    """Return the listing of a folder or an s3a:// URI."""
    return Prefix(landing) if storage.is_s3(landing) else Folder(landing)


class Prefix:
    """Lists the objects under a prefix on S3, with one request for 1,000 objects."""

    def __init__(self, landing: str) -> None:
        self._bucket, self._prefix = storage.bucket_and_prefix(landing)

    def files(self, after: float) -> Iterator[LandedFile]:
        now = time.time()
        pages = storage.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        for page in pages:
            for item in page.get("Contents", ()):
                landed_at = item["LastModified"].timestamp()
                key = item["Key"]
                if landed_at <= after or key.endswith("/"):
                    continue
                problem = name_problem(key.removeprefix(self._prefix), landed_at, now)
                if problem is not None:
                    uri = f"s3a://{self._bucket}/{key}"
                    yield LandedFile(landed_at, uri, item["Size"], item["ETag"].strip('"'), problem)

    def forget(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory when it was last read: its modification time, and the paths of its subdirectories."""

    mtime_ns: int
    subdirectories: tuple[str, ...]


class Folder:
    """Lists a folder and its subfolders.

    A directory without a new entry since `after` is not read again. A landing with a folder for each hour therefore
    costs the same after years.

    A file landed when its inode last changed: a rename keeps the modification time of a file, which may be years old.
    A directory that is moved into the landing does not change the inodes of its files: they land with the directory.
    """

    def __init__(self, landing: str) -> None:
        self._root = str(storage.local_path(landing))
        self._directories: dict[str, _Directory] = {}
        self._all_read_at = 0.0

    def files(self, after: float) -> Iterator[LandedFile]:
        now = time.time()
        read_all = now - self._all_read_at > _FULL_LISTING_SECONDS
        if read_all:
            self._all_read_at = now
        walk = _Walk(self._root, self._directories, read_all, after, now)
        yield from walk.files()
        self._directories = walk.directories

    def forget(self) -> None:
        self._all_read_at = 0.0


class _Walk:
    """One listing of a folder.

    Attributes:
        directories: each directory of the folder, by its path.
    """

    def __init__(self, root: str, known: Mapping[str, _Directory], read_all: bool, after: float, now: float) -> None:
        """Prepare a listing.

        Args:
            root: path of the folder.
            known: `directories` of the listing before; empty for the first listing.
            read_all: whether to read known directories without a new entry as well.
            after: yield at least the files that have landed after this time, in Unix seconds.
            now: current time; the clock of the file system may be ahead of it.
        """
        self.directories: dict[str, _Directory] = {}
        self._root = root
        self._known = known
        self._read_all = read_all
        self._after = after
        self._now = now
        self._visited: set[tuple[int, int]] = set()
        # Directories to visit, each with the time at which it was moved into the landing; 0 if it was not.
        self._stack = [(root, 0.0)]

    def files(self) -> Iterator[LandedFile]:
        while self._stack:
            path, moved_at = self._stack.pop()
            try:
                yield from self._visit(path, moved_at)
            except (FileNotFoundError, NotADirectoryError):
                if path == self._root:
                    raise
            except PermissionError as error:
                if path == self._root:
                    raise
                yield self._unreadable(path, error)

    def _visit(self, path: str, moved_at: float) -> Iterator[LandedFile]:
        """Yield the files in a directory that has new entries; add its subdirectories to the stack."""
        status = os.stat(path)  # noqa: PTH116 - Path is slower
        identity = (status.st_dev, status.st_ino)
        if identity in self._visited:  # a link to a folder that contains it
            return
        self._visited.add(identity)
        before = self._known.get(path)
        if self._known and before is None:
            moved_at = max(moved_at, self._landed_at(status))
        elif before is not None and not self._read_all and before.mtime_ns == status.st_mtime_ns <= self._after * 1e9:
            self.directories[path] = before
            self._stack.extend((child, 0.0) for child in before.subdirectories)
            return
        subdirectories: list[str] = []
        yield from self._read(path, moved_at, subdirectories)
        self.directories[path] = _Directory(status.st_mtime_ns, tuple(subdirectories))
        self._stack.extend((child, moved_at) for child in subdirectories)

    def _read(self, path: str, moved_at: float, subdirectories: list[str]) -> Iterator[LandedFile]:
        """Yield the files in a directory, and append its subdirectories to a list."""
        with os.scandir(path) as entries:
            for entry in entries:
                try:
                    is_directory, entry_status = entry.is_dir(), entry.stat()
                except PermissionError as error:
                    if not entry.is_symlink():
                        raise  # without the permission to search the directory, no entry is accessible
                    yield self._unreadable(entry.path, error)
                    continue
                except OSError:  # removed meanwhile, or a link that leads nowhere
                    continue
                if is_directory:
                    subdirectories.append(entry.path)
                elif (file := self._file(entry.path, entry_status, moved_at)) is not None:
                    yield file

    def _file(self, path: str, status: os.stat_result, moved_at: float) -> LandedFile | None:
        landed_at = self._landed_at(status)
        if landed_at <= self._after:
            landed_at = moved_at
        if landed_at <= self._after or not stat.S_ISREG(status.st_mode):
            return None
        problem = name_problem(os.path.relpath(path, self._root), landed_at, self._now)
        if problem is None:
            return None
        return LandedFile(landed_at, f"file:{path}", status.st_size, str(status.st_mtime_ns), problem)

    def _unreadable(self, path: str, error: PermissionError) -> LandedFile:
        try:
            landed_at = self._landed_at(os.lstat(path))
        except OSError:
            landed_at = self._now
        return LandedFile(landed_at, f"file:{path}", 0, str(error), "unreadable")

    def _landed_at(self, status: os.stat_result) -> float:
        return min(status.st_ctime, self._now)
