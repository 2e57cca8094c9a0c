"""What a backup or a restore has done."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from spark_apps.backup.manifest import Manifest


@dataclass(frozen=True)
class Report:
    """A finished backup or restore.

    Attributes:
        place: folder or s3a:// URI of the backup.
        at: the instant of the backup in ISO 8601, UTC.
        versions: version of each table of a lake; empty for other files.
        files: number of files in the backup.
        copied: number of files that were copied; a backup skips the files that it already has.
        copied_bytes: size of the copied files.
        seconds: duration of the command.
    """

    place: str
    at: str
    versions: Mapping[str, int]
    files: int
    copied: int
    copied_bytes: int
    seconds: float

    @classmethod
    def of(cls, place: str, content: Manifest, copied_sizes: Collection[int], began: float) -> Self:
        """Report the sizes of the copied files, in bytes, and the seconds since `began`, a time of `time.monotonic`."""
        seconds = round(time.monotonic() - began, 1)
        sizes = len(copied_sizes), sum(copied_sizes)
        return cls(place, content.at, content.versions, len(content.files), *sizes, seconds)

    def __str__(self) -> str:
        tables = f"{len(self.versions)} tables " if self.versions else ""
        return (
            f"{tables}as of {self.at}: {self.files:,} files, {self.copied:,} copied "
            f"({self.copied_bytes / 1e6:,.1f} MB), in {self.seconds} s"
        )
