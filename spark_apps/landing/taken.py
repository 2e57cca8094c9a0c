"""Remembers the files of recent batches, in bounded memory: the next listing or queue message repeats them."""

import time
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice

from spark_apps.landing.landed_file import LandedFile

_MAX_FILES = 100_000


class TakenFiles:
    """The files of recent batches, at most 100,000.

    Attributes:
        cutoff: time in Unix seconds. A file with an earlier landing time counts as taken. If such a file appears later,
            only a reconciliation finds it.
    """

    def __init__(self, cutoff: float = 0.0, files: Iterable[tuple[int, int, float]] = ()) -> None:
        self.cutoff = cutoff
        # In the order of the batches, which is about the order of landing.
        self._files = {uri: (version, landed_at) for uri, version, landed_at in files}

    def is_new(self, file: LandedFile, quiet_seconds: float = 0.0) -> bool:
        """Return whether a file, or this version of the file, has not been taken.

        Args:
            file: a landed file.
            quiet_seconds: how long a changed file must have been unchanged to be new.
        """
        if file.landed_at <= self.cutoff:
            return False
        taken = self._files.get(_hash(file.uri))
        if taken is None:
            return True
        version, landed_at = taken
        # The message about an older version may come after the message about a newer version.
        return version != _version(file) and landed_at <= file.landed_at < time.time() - quiet_seconds

    def add(self, file: LandedFile) -> None:
        """Add a file of a batch."""
        uri = _hash(file.uri)
        self._files.pop(uri, None)
        self._files[uri] = (_version(file), file.landed_at)

    def shrink(self, cutoff: float) -> None:
        """Raise the cutoff to `cutoff`, or higher if there are too many files, and drop the files before the cutoff."""
        self.cutoff = max(self.cutoff, cutoff)
        # Drop the files at the end: deleting the first entry of a dict repeatedly takes quadratic time.
        dropped: list[int] = []
        for uri, (_, landed_at) in self._files.items():
            if landed_at > self.cutoff and len(self._files) - len(dropped) <= _MAX_FILES:
                break
            self.cutoff = max(self.cutoff, landed_at)
            dropped.append(uri)
        for uri in dropped:
            del self._files[uri]

    def drop_oldest(self) -> None:
        """Drop the oldest files over the limit, without raising the cutoff."""
        for uri in list(islice(self._files, max(0, len(self._files) - _MAX_FILES))):
            del self._files[uri]

    def __iter__(self) -> Iterator[tuple[int, int, float]]:
        """Yield the files in the form that the constructor expects."""
        return ((uri, version, landed_at) for uri, (version, landed_at) in self._files.items())


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _version(file: LandedFile) -> int:
    return _hash(f"{file.size} {file.version}")
