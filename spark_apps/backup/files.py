"""Backs up files that are not a lake: dumps of databases, and the model files of the registry."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from spark_apps import storage
from spark_apps.backup import manifest, rotation
from spark_apps.backup.copying import BackupError, copy, digest, in_threads, naming_errors
from spark_apps.backup.manifest import Manifest
from spark_apps.backup.report import Report


def back_up_files(sources: Mapping[str, str], place: str, keep: int) -> Report:
    """Copy all files of some folders. A file that appears or disappears meanwhile may be left out.

    Args:
        sources: folder or s3a:// URI by the name that it gets in the backup.
        place: folder or s3a:// URI, empty or with earlier backups of the folders.
        keep: number of backups to keep.

    Raises:
        BackupError: a folder has no files, or the place is not usable.
    """
    began, at, place = time.monotonic(), datetime.now(UTC), place.rstrip("/")
    listed = ", ".join(sources.values())
    with naming_errors(listed, place):
        folder = rotation.next_folder(place, keep)
        known = manifest.open_backup(listed, folder)
        stored = {(_name(path), sha): path for path, sha in known.files.items()}
        sizes: list[int] = []

        def store(name: str) -> tuple[str, str] | None:
            """Copy a file unless the backup has it; return its path in the backup and its SHA-256."""
            source, _, path = name.partition("/")
            uri = f"{sources[source].rstrip('/')}/{path}"
            sha = digest(uri)
            if sha is not None and (name, sha) in stored:
                return stored[name, sha], sha
            # A folder for each backup: a changed file must not replace the one of the backup before.
            copied = copy(uri, folder, target := f"{at:%Y%m%dT%H%M%S.%fZ}/{name}")
            if copied is None:
                return None
            sizes.append(copied[1])
            return target, copied[0]

        files = dict(filter(None, in_threads(store, _names(sources))))
        new = Manifest(listed, at.isoformat(timespec="milliseconds"), {}, files)
        manifest.complete(folder, new, known)
        rotation.remove_surplus(place, keep)
    return Report.of(folder, new, sizes, began)


def restore_files(place: str, target: str) -> Report:
    """Copy the newest backup of a place to an empty folder, each source to a folder with its name.

    Raises:
        BackupError: the place has no complete backup, a file is damaged, or the target is not empty.
    """
    began, place, target = time.monotonic(), place.rstrip("/"), target.rstrip("/")
    with naming_errors(place, target):
        folder, content = rotation.newest(place)
        if (name := next(storage.paths(target), None)) is not None:
            raise BackupError(f"{target} is not empty ({name}): pass another folder as --to")

        def restore(path: str) -> int:
            copied = copy(f"{folder}/{path}", target, _name(path), content.files[path])
            if copied is None:
                raise BackupError(f"{folder}/{path} is missing or damaged: restore another backup")
            return copied[1]

        sizes = in_threads(restore, content.files)
    return Report.of(folder, content, sizes, began)


def _names(sources: Mapping[str, str]) -> list[str]:
    names = []
    for name, folder in sources.items():
        paths = list(storage.paths(folder))
        if not paths:
            raise BackupError(f"{folder} has no files: check the folder, and the permission to list it")
        names += [f"{name}/{path}" for path in paths]
    return names


def _name(path: str) -> str:
    """Return the name of a file by its path in a backup, which begins with the time of the copy."""
    return path.partition("/")[2]
