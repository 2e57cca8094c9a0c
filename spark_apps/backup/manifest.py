"""The manifest of a backup lists its files. It says which state a backup has, whatever happens while files are copied.

The manifest is replaced after new files are copied and before old files are removed. An interrupted backup therefore
leaves the previous one intact.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from spark_apps import storage
from spark_apps.backup.copying import BackupError, remove

_NAME = "backup.json"


@dataclass(frozen=True)
class Manifest:
    """The content of a backup.

    Attributes:
        source: what was copied: the folder or s3a:// URI of a lake, or of other files.
        at: the instant of the backup in ISO 8601, UTC; empty while no backup is complete.
        versions: version of each table of a lake.
        files: SHA-256 of each file, by its path in the backup.
    """

    source: str
    at: str = ""
    versions: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def read(folder: str) -> Manifest | None:
    """Return the manifest of a backup, complete or not; None if the folder has none.

    Raises:
        BackupError: the manifest was not written by this program.
    """
    text = storage.read(f"{folder}/{_NAME}")
    if text is None:
        return None
    try:
        manifest = Manifest(**json.loads(text))
        if outside := [name for name in manifest.files if name.startswith("/") or ".." in name.split("/")]:
            raise ValueError(f"{outside[0]} is outside of the backup")
    except (AttributeError, TypeError, ValueError) as error:
        raise BackupError(f"{folder}/{_NAME} was not written by this program ({error}): pass another place") from error
    return manifest


def open_backup(source: str, folder: str) -> Manifest:
    """Return the manifest of a backup; write an incomplete one into an empty folder. Remove files of an interruption.

    Raises:
        BackupError: the folder has other files.
    """
    manifest = read(folder)
    if manifest is None:
        if (name := next(storage.paths(folder), None)) is not None:
            raise BackupError(f"{folder} is not a backup ({name}, but no {_NAME}): pass an empty folder as --to")
        manifest = Manifest(source)
        _write(folder, manifest)
    remove(folder, [name for name in storage.paths(folder) if name not in manifest.files and name != _NAME])
    return manifest


def complete(folder: str, manifest: Manifest, before: Manifest) -> None:
    """Write the manifest of a backup whose files are all copied, and remove the files that only `before` has."""
    _write(folder, manifest)
    remove(folder, before.files.keys() - manifest.files.keys())


def delete(folder: str) -> None:
    """Remove a backup. Its manifest says first that the backup is incomplete, and goes last."""
    _write(folder, Manifest(""))
    remove(folder, [name for name in storage.paths(folder) if name != _NAME])
    remove(folder, [_NAME])


def _write(folder: str, manifest: Manifest) -> None:
    storage.put(folder, _NAME, json.dumps(asdict(manifest)).encode())
