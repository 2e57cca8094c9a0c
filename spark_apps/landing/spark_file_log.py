"""Reads the log of Spark's file source, which earlier versions of Bronze used: their checkpoints stay valid."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from spark_apps import storage
from spark_apps.landing.discovery import OVERLAP_SECONDS
from spark_apps.landing.landed_file import LandedFile
from spark_apps.landing.listing import Listing
from spark_apps.landing.log import LandingLog, LandingState
from spark_apps.landing.taken import TakenFiles


class SparkFileLog:
    """The log of Spark's file source in a checkpoint."""

    def __init__(self, checkpoint: str) -> None:
        self._folder = f"{checkpoint}/sources/0"

    def files(self, after: int, end: int) -> list[LandedFile]:
        """Return the files of the batches `after` + 1 to `end`, as the file source numbers them."""
        return [
            LandedFile(entry["timestamp"] / 1000, _uri(entry), 0, "")
            for entry in self._entries()
            if after < entry["batchId"] <= end
        ]

    def adopt(self, end: int, listing: Listing, log: LandingLog) -> LandingState:
        """Return the state of a landing that the file source has read up to its batch `end`.

        A file that the source has not read, and that is too old to be discovered as new, becomes a missed file.
        """
        read = {_uri(entry) for entry in self._entries() if entry["batchId"] <= end}
        cutoff = time.time() - OVERLAP_SECONDS
        taken, missed = TakenFiles(cutoff), []
        for file in listing.files(0.0):
            if file.uri in read:
                if file.landed_at > cutoff:
                    taken.add(file)
            elif file.landed_at <= cutoff:
                missed.append(file)
        log.write_missed("adopted", cutoff, missed)
        return LandingState(taken, time.time())

    def _entries(self) -> Iterator[dict[str, Any]]:
        """Yield each entry once: a compact file repeats all earlier entries."""
        names = storage.names(self._folder)
        compact = max((int(name.removesuffix(".compact")) for name in names if name.endswith(".compact")), default=-1)
        later = sorted(int(name) for name in names if name.isdecimal() and int(name) > compact)
        for name in ([f"{compact}.compact"] if compact >= 0 else []) + [str(number) for number in later]:
            # The first line is the version of the format.
            for line in (storage.read(f"{self._folder}/{name}") or b"").splitlines()[1:]:
                yield json.loads(line)


def _uri(entry: dict[str, Any]) -> str:
    uri = unquote(entry["path"])
    return f"file:{uri.removeprefix('file://')}" if uri.startswith("file:///") else uri
