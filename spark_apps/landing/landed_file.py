"""A landed file, and the names of files that Bronze does not read."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

# A file that is written under a hidden name must be renamed within this time. Later, the file is reported.
_RENAMED_WITHIN_SECONDS = 600.0
# Files and folders that Spark, Hadoop, Delta, Kubernetes and operating systems leave beside data.
_MARKERS = (
    "_SUCCESS", "_committed_", "_started_", "_temporary", "__magic", "_spark_metadata", "_delta_log", "..",
    ".DS_Store", ".nfs", ".fuse_hidden",
)  # fmt: skip


@dataclass(frozen=True, order=True, slots=True)
class Start:
    """The position in a landed file at which to start reading.

    Attributes:
        member: number of the file in the archive, from 0; 0 if the landed file is not an archive.
        position: position of the next document in that member.
        offset: number of bytes of that member before the document, decompressed and as UTF-8.
    """

    member: int = 0
    position: int = 0
    offset: int = 0


BEGINNING = Start()


@dataclass(frozen=True, order=True, slots=True)
class LandedFile:
    """A file of the landing.

    Attributes:
        landed_at: when the file landed, in Unix seconds.
        uri: `file:` path, not escaped, or s3a:// URI.
        size: size in bytes.
        version: changes with the content of the file: the entity tag on S3, the modification time in a folder. An
            unreadable file and a file that ended its task have the cause instead.
        problem: quarantine reason of a file that Bronze does not open; empty for all others.
        start: where to start reading. A file that an earlier batch has read in part does not start at the beginning.
    """

    landed_at: float
    uri: str
    size: int
    version: str
    problem: str = ""
    start: Start = BEGINNING

    def to_json(self) -> list[Any]:
        """Return the fields as a list for JSON, without `start` if that is the beginning."""
        *fields, start = astuple(self)
        return fields if self.start == BEGINNING else [*fields, list(start)]

    @classmethod
    def from_json(cls, fields: Sequence[Any]) -> "LandedFile":
        """Return the file of a list from `to_json`."""
        return cls(*fields[:5], *(Start(*start) for start in fields[5:]))


def name_problem(path: str, landed_at: float, now: float) -> str | None:
    """Decide by its path in the landing whether Bronze reads a file.

    Returns:
        "" for a file to read, "hidden" for a file to report, and None for a file to ignore: a marker of another
        program, or a hidden file that may still get its final name.
    """
    parts = path.split("/")
    if parts[-1].endswith(".crc") or any(part.startswith(_MARKERS) for part in parts):
        return None
    if not any(part.startswith(".") for part in parts):
        return ""
    return "hidden" if landed_at < now - _RENAMED_WITHIN_SECONDS else None
