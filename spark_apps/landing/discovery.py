"""Finds the new files of a landing in a listing; `queue.py` finds them by messages."""

import time
from collections import deque
from heapq import nsmallest
from typing import Protocol

from spark_apps.landing.landed_file import LandedFile
from spark_apps.landing.listing import Listing
from spark_apps.landing.taken import TakenFiles

# A file may appear this long after its landing time: clocks differ, and a multipart upload has the time of its start.
OVERLAP_SECONDS = 3600.0
# A changed file is read again once it has not changed for this long: until then, it may still be growing.
_QUIET_SECONDS = 60.0
# A listing keeps at most this many new files, the oldest.
_MAX_FOUND = 50_000


class Discovery(Protocol):
    """Finds the new files of a landing."""

    def next_file(self, taken: TakenFiles, max_bytes: float, until: float | None) -> LandedFile | None:
        """Return a new file; None if no file is new, or if the next new file is too large.

        Args:
            taken: files of recent batches. The caller adds the returned file.
            max_bytes: maximum size of the file.
            until: do not wait for files that land after this time, in Unix seconds; None for no limit.

        Raises:
            OSError: the landing is not readable; S3 and SQS may raise botocore's `ClientError` instead.
        """

    def is_idle(self) -> bool:
        """Return whether the last search found no new file."""

    def acknowledge(self) -> None:
        """Note that all returned files are in the log, from which a restart reads them."""


class ListDiscovery:
    """Lists the landing, and returns new files in the order in which they landed."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._found: deque[LandedFile] = deque()
        # The last listing found all files that landed until this time; 0 if it found more files than it keeps.
        self._complete_until = 0.0
        self._idle = False

    def next_file(self, taken: TakenFiles, max_bytes: float, until: float | None) -> LandedFile | None:
        if not self._found:
            # All files of the last listing are in `taken` now.
            taken.shrink(self._complete_until)
            if until is None or not self._complete_until:
                self._list(taken)
        return self._found.popleft() if self._found and self._found[0].size <= max_bytes else None

    def is_idle(self) -> bool:
        return self._idle

    def acknowledge(self) -> None:
        """Do nothing: a listing changes nothing."""

    def _list(self, taken: TakenFiles) -> None:
        began = time.time()
        new = (file for file in self._listing.files(taken.cutoff) if taken.is_new(file, _QUIET_SECONDS))
        self._found.extend(nsmallest(_MAX_FOUND, new))
        self._idle = not self._found
        if len(self._found) < _MAX_FOUND:
            self._complete_until = began - OVERLAP_SECONDS
        else:
            self._complete_until = 0.0
            self._listing.forget()
