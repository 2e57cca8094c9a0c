"""Remembers the files that were taken lately, in bounded memory: the next listing or queue message repeats them."""

import time
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice

from spark_apps.landing.landed_file import LandedFile

_MAX_FILES = 100_000


class TakenFiles:
    """The last 100,000 files that were taken, at most, and the time up to which the landing is finished.

    Attributes:
        cutoff: files that landed until then, in Unix seconds, were taken. One that appears later with an earlier time
            is left to the reconciliation.
    """

    def __init__(self, cutoff: float = 0.0, files: Iterable[tuple[int, int, float]] = ()) -> None:
        self.cutoff = cutoff
        # In the order of taking, which is about the order of landing.
        self._files = {uri: (version, landed_at) for uri, version, landed_at in files}

    def is_new(self, file: LandedFile, quiet_seconds: float = 0.0) -> bool:
        """Return whether a file is to be taken.

        Args:
            file: a landed file.
            quiet_seconds: another version of a file that was taken is new if the file has not changed for so long.
        """
        if file.landed_at <= self.cutoff:
            return False
        taken = self._files.get(_hash(file.uri))
        if taken is None:
            return True
        version, landed_at = taken
        # A message about an older version may come after that about a newer one.
        return version != _version(file) and landed_at <= file.landed_at < time.time() - quiet_seconds

    def add(self, file: LandedFile) -> None:
        """Add a file that was taken."""
        uri = _hash(file.uri)
        self._files.pop(uri, None)
        self._files[uri] = (_version(file), file.landed_at)

    def shrink(self, cutoff: float) -> None:
        """Raise the cutoff, as far as necessary above `cutoff`, and drop the files that landed before it."""
        self.cutoff = max(self.cutoff, cutoff)
        while self._files:
            oldest = next(iter(self._files))
            landed_at = self._files[oldest][1]
            if landed_at > self.cutoff and len(self._files) <= _MAX_FILES:
                break
            self.cutoff = max(self.cutoff, landed_at)
            del self._files[oldest]

    def drop_oldest(self) -> None:
        """Drop the files above the limit, and keep the cutoff."""
        for uri in list(islice(self._files, max(0, len(self._files) - _MAX_FILES))):
            del self._files[uri]

    def __iter__(self) -> Iterator[tuple[int, int, float]]:
        """Yield the files as the constructor takes them."""
        return ((uri, version, landed_at) for uri, (version, landed_at) in self._files.items())


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _version(file: LandedFile) -> int:
    return _hash(f"{file.size} {file.version}")
