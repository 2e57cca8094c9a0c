"""A file that has landed, and the names that are no landed files."""

from dataclasses import dataclass

# A program that writes a file under a hidden name renames it within this time. A file that keeps the name is reported.
_RENAMED_WITHIN_SECONDS = 600.0
# Files and folders that Spark, Hadoop, Delta, Kubernetes and operating systems leave beside data.
_MARKERS = (
    "_SUCCESS", "_committed_", "_started_", "_temporary", "__magic", "_spark_metadata", "_delta_log", "..",
    ".DS_Store", ".nfs", ".fuse_hidden",
)  # fmt: skip


@dataclass(frozen=True, order=True, slots=True)
class LandedFile:
    """A file of the landing.

    Attributes:
        landed_at: when the file landed, in Unix seconds.
        uri: `file:` path, not escaped, or s3a:// URI.
        size: size in bytes.
        version: changes with the content of the file: the entity tag on S3, the modification time in a folder.
        problem: quarantine reason of a file that Bronze does not open; empty for all others.
    """

    landed_at: float
    uri: str
    size: int
    version: str
    problem: str = ""


def name_problem(path: str, landed_at: float, now: float) -> str | None:
    """Return whether a file is read, by its path in the landing.

    Returns:
        "" for a file that is read, "hidden" for one that is reported, None for one that is ignored: a marker of
        another program, or a hidden file that may still get its final name.
    """
    parts = path.split("/")
    if parts[-1].endswith(".crc") or any(part.startswith(_MARKERS) for part in parts):
        return None
    if not any(part.startswith(".") for part in parts):
        return ""
    return "hidden" if landed_at < now - _RENAMED_WITHIN_SECONDS else None
