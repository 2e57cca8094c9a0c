"""A place with several backups: each is in a folder of its own, with a number as its name.

A new backup brings the oldest one up to date, so that only files since then are copied. The oldest one stays complete
until the new one is.
"""

from spark_apps import storage
from spark_apps.backup import manifest
from spark_apps.backup.copying import BackupError
from spark_apps.backup.manifest import Manifest


def backups(place: str) -> dict[str, Manifest]:
    """Return the complete backups of a place by their folders, newest first; a single backup is the place itself."""
    if (single := manifest.read(place)) is not None:
        return {place: single} if single.at else {}
    found = {folder: content for folder, content in _manifests(place).items() if content.at}
    return dict(sorted(found.items(), key=lambda item: item[1].at, reverse=True))


def newest(place: str) -> tuple[str, Manifest]:
    """Return folder and manifest of the newest complete backup of a place.

    Raises:
        BackupError: the place has no complete backup.
    """
    for folder, content in backups(place).items():
        return folder, content
    raise BackupError(f"{place} is not a complete backup, and has none: check --from, or use another backup")


def next_folder(place: str, keep: int) -> str:
    """Return the folder for the next backup of a place that keeps `keep` of them.

    Raises:
        BackupError: the place is a single backup.
    """
    if manifest.read(place) is not None:
        raise BackupError(f"{place} is a single backup, made without --keep: pass another place as --to")
    complete = list(backups(place))
    if len(complete) >= keep:
        return complete[-1]
    return next(folder for number in range(1, keep + 1) if (folder := f"{place}/{number}") not in complete)


def remove_surplus(place: str, keep: int) -> None:
    """Remove all but the newest `keep` complete backups, and what interruptions have left.

    Without a complete backup, remove nothing.
    """
    kept = list(backups(place))[:keep]
    if kept:
        for folder in _manifests(place).keys() - kept:
            manifest.delete(folder)


def _manifests(place: str) -> dict[str, Manifest]:
    """Return the manifests of all backups, complete or not. Folders without a manifest belong to somebody else."""
    folders = [f"{place}/{name}" for name in storage.folders(place) if name.isdecimal()]
    read = {folder: manifest.read(folder) for folder in folders}
    return {folder: content for folder, content in read.items() if content is not None}
