"""Lists the files of a landing in a folder or on S3. The memory does not grow with the number of files."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from spark_apps import storage
from spark_apps.landing.landed_file import LandedFile, name_problem

# A change in a file does not change the modification time of its folder: all folders are read again at this interval.
_FULL_LISTING_SECONDS = 3600.0


class Listing(Protocol):
    """Lists a landing again and again."""

    def files(self, after: float) -> Iterator[LandedFile]:
        """Yield at least the files that have landed after `after` (Unix seconds), in any order.

        Raises:
            OSError: the landing is not readable.
        """

    def forget(self) -> None:
        """Read all folders at the next call of `files`, because not all files of the last call were used."""


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
        known, self._directories = self._directories, {}
        read_all = now - self._all_read_at > _FULL_LISTING_SECONDS
        if read_all:
            self._all_read_at = now
        visited: set[tuple[int, int]] = set()
        stack = [(self._root, 0.0)]
        while stack:
            path, moved_at = stack.pop()
            try:
                status = os.stat(path)  # noqa: PTH116 - Path is slower
                identity = (status.st_dev, status.st_ino)
                if identity in visited:  # a link to a folder that contains it
                    continue
                visited.add(identity)
                before = known.get(path)
                if known and before is None:
                    moved_at = max(moved_at, min(status.st_ctime, now))
                elif before is not None and not read_all and before.mtime_ns == status.st_mtime_ns <= after * 1e9:
                    self._directories[path] = before
                    stack.extend((child, 0.0) for child in before.subdirectories)
                    continue
                entries = os.scandir(path)
            except (FileNotFoundError, NotADirectoryError):
                if path == self._root:
                    raise
                continue
            except PermissionError as error:
                if path == self._root:
                    raise
                yield LandedFile(min(status.st_ctime, now), f"file:{path}", 0, str(error), "unreadable")
                continue
            subdirectories = []
            with entries:
                for entry in entries:
                    try:
                        is_directory = entry.is_dir()
                        entry_status = entry.stat()
                    except OSError:  # removed meanwhile, or a link that leads nowhere
                        continue
                    if is_directory:
                        subdirectories.append(entry.path)
                    elif (file := self._file(entry.path, entry_status, after, moved_at, now)) is not None:
                        yield file
            self._directories[path] = _Directory(status.st_mtime_ns, tuple(subdirectories))
            stack.extend((child, moved_at) for child in subdirectories)

    def forget(self) -> None:
        self._all_read_at = 0.0

    def _file(self, path: str, status: os.stat_result, after: float, moved_at: float, now: float) -> LandedFile | None:
        landed_at = min(status.st_ctime, now)
        if landed_at <= after:
            landed_at = moved_at
        if landed_at <= after or not stat.S_ISREG(status.st_mode):
            return None
        problem = name_problem(os.path.relpath(path, self._root), landed_at, now)
        if problem is None:
            return None
        return LandedFile(landed_at, f"file:{path}", status.st_size, str(status.st_mtime_ns), problem)
