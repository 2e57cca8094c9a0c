"""Backs up a lake while its streams run, and restores it (docs/decisions/0021-backups.md).

`backup.json` in a backup lists the files of the backup. It is replaced after new files are copied and before old files
are removed, so an interrupted backup leaves the previous backup intact.
"""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from deltalake.exceptions import DeltaError

from spark_apps import storage
from spark_apps.errors import first_line
from spark_apps.lake.commits import LakeError, open_existing_table
from spark_apps.lake.snapshot import Snapshot, read_snapshot
from spark_apps.lake.status import check_exists
from spark_apps.tables import TABLES

_MANIFEST = "backup.json"
# Each thread holds one file in memory.
_THREADS = 8
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Manifest:
    """The content of a backup.

    Attributes:
        lake: folder or s3a:// URI of the lake.
        at: the instant of the backup in ISO 8601, UTC; empty before the first backup is complete.
        versions: version of each table.
        files: SHA-256 of each file, by its path in the lake.
    """

    lake: str
    at: str = ""
    versions: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """A finished backup or restore.

    Attributes:
        at: the instant of the backup in ISO 8601, UTC.
        versions: version of each table.
        files: number of files in the backup.
        copied: number of files that were copied; a backup skips the files that it already has.
        copied_bytes: size of the copied files.
        seconds: duration of the command.
    """

    at: str
    versions: Mapping[str, int]
    files: int
    copied: int
    copied_bytes: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{len(self.versions)} tables as of {self.at}: {self.files:,} files, {self.copied:,} copied "
            f"({self.copied_bytes / 1e6:,.1f} MB), in {self.seconds} s"
        )


def back_up(lake: str, backup: str) -> Report:
    """Copy the state of a lake at one instant; its streams may run.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        backup: folder or s3a:// URI, empty or with an earlier backup of the lake, which is brought up to date.

    Raises:
        LakeError: the lake or the backup is not usable; the message names the reason and the remedy.
    """
    began, lake, backup = time.monotonic(), lake.rstrip("/"), backup.rstrip("/")
    with _naming_storage_errors(lake, backup):
        check_exists(lake)
        known = _open_backup(lake, backup)
        snapshot = read_snapshot(lake)
        if not snapshot.versions:
            raise LakeError(f"{lake} has no tables: check --lake, or start the streams to create them")
        _check_same_history(lake, backup, known, snapshot)
        new = [name for name in snapshot.files if name not in known.files]
        copies = _in_threads(lambda name: _copy(lake, backup, name), new)
        copied = {name: copy for name, copy in zip(new, copies, strict=True) if copy is not None}
        if missing := sorted(set(new) - copied.keys() - snapshot.dispensable):
            raise LakeError(f"{lake}/{missing[0]} was removed during the backup: run the command again")
        digests = {**known.files, **{name: digest for name, (digest, _) in copied.items()}}
        files = {name: digests[name] for name in snapshot.files if name in digests}
        _check_versions(backup, snapshot.versions)
        manifest = Manifest(lake, snapshot.at.isoformat(timespec="milliseconds"), snapshot.versions, files)
        _write_manifest(backup, manifest)
        _remove(backup, known.files.keys() - files.keys())
    return _report(manifest, [size for _, size in copied.values()], began)


def restore(backup: str, lake: str) -> Report:
    """Copy a backup to a new lake.

    Args:
        backup: folder or s3a:// URI of the backup.
        lake: folder or s3a:// URI, which must be empty: a checkpoint of the lost lake would be ahead of the tables.

    Raises:
        LakeError: the backup is incomplete or damaged, or the lake is not empty.
    """
    began, lake, backup = time.monotonic(), lake.rstrip("/"), backup.rstrip("/")
    with _naming_storage_errors(backup, lake):
        manifest = _read_manifest(backup)
        if manifest is None or not manifest.at:
            raise LakeError(f"{backup} is not a complete backup ({_MANIFEST}): check --from, or use another backup")
        if (name := next(storage.paths(lake), None)) is not None:
            raise LakeError(f"{lake} is not empty ({name}): stop the streams, and delete it or pass another --lake")

        def copy(name: str) -> int:
            digest, size = _copy(backup, lake, name, manifest.files[name]) or ("", 0)
            if digest != manifest.files[name]:
                raise LakeError(f"{backup}/{name} is missing or damaged: delete {lake}, and restore another backup")
            return size

        # A table exists once it has a log: copy the logs last.
        log = {name for name in manifest.files if "/_delta_log/" in name}
        sizes = [*_in_threads(copy, manifest.files.keys() - log), *_in_threads(copy, log)]
        _check_versions(lake, manifest.versions)
    return _report(manifest, sizes, began)


def _open_backup(lake: str, backup: str) -> Manifest:
    """Return the manifest of a backup; create an empty one in an empty place. Remove files of an interrupted backup."""
    manifest = _read_manifest(backup)
    if manifest is None:
        if (name := next(storage.paths(backup), None)) is not None:
            raise LakeError(f"{backup} is not a backup ({name}, but no {_MANIFEST}): pass an empty folder as --to")
        manifest = Manifest(lake)
        _write_manifest(backup, manifest)
    _remove(backup, [name for name in storage.paths(backup) if name not in manifest.files and name != _MANIFEST])
    return manifest


def _read_manifest(backup: str) -> Manifest | None:
    text = storage.read(f"{backup}/{_MANIFEST}")
    if text is None:
        return None
    try:
        manifest = Manifest(**json.loads(text))
        if outside := [name for name in manifest.files if name.startswith("/") or ".." in name.split("/")]:
            raise ValueError(f"{outside[0]} is not in the lake")
    except (AttributeError, TypeError, ValueError) as error:
        raise LakeError(
            f"{backup}/{_MANIFEST} was not written by this command ({error}): pass another place"
        ) from error
    return manifest


def _write_manifest(backup: str, manifest: Manifest) -> None:
    storage.put(backup, _MANIFEST, json.dumps(asdict(manifest)).encode())


def _check_same_history(lake: str, backup: str, known: Manifest, snapshot: Snapshot) -> None:
    """Raise `LakeError` if lake and backup have a commit with the same name and different content.

    After a restore of an older backup, new commits get the names of lost commits. Names of data files are unique.
    """
    for table in snapshot.versions:
        common = {name for name in snapshot.files if name.startswith(f"{table}/_delta_log/")} & known.files.keys()
        # Each commit has a random id. If the newest common commit is the same, all earlier commits are the same.
        newest = max((name for name in common if name.endswith(".json")), default=None)
        if newest is not None and storage.read(f"{lake}/{newest}") != storage.read(f"{backup}/{newest}"):
            raise LakeError(
                f"{backup} has other commits of {table} than {lake}, which was restored or created since: pass an "
                "empty folder as --to"
            )


def _check_versions(lake: str, versions: Mapping[str, int]) -> None:
    """Raise `LakeError` if a copied table cannot be opened at its version."""
    for table in TABLES:
        if table.name in versions and open_existing_table(lake, table).version() != versions[table.name]:
            raise LakeError(f"the copy of {table.name} in {lake} is incomplete: run the command again")


def _copy(source: str, target: str, name: str, digest: str | None = None) -> tuple[str, int] | None:
    """Copy a file; return its SHA-256 and its size. None if it does not exist, or has another SHA-256 than `digest`."""
    data = storage.read(f"{source}/{name}")
    if data is None:
        return None
    actual = hashlib.sha256(data).hexdigest()
    if digest is not None and actual != digest:
        return None
    storage.put(target, name, data)
    return actual, len(data)


def _remove(folder: str, names: Iterable[str]) -> None:
    _in_threads(lambda name: storage.delete(f"{folder}/{name}"), names)


def _in_threads(function: Callable[[str], _Result], names: Iterable[str]) -> list[_Result]:
    """Call a function with each name; return the results in the order of the names."""
    with ThreadPoolExecutor(_THREADS) as threads:
        try:
            return list(threads.map(function, names))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


@contextmanager
def _naming_storage_errors(source: str, target: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not storage.is_storage_error(error) and not isinstance(error, DeltaError):
            raise
        raise LakeError(
            f"{source} was not copied to {target} ({first_line(error)}): check both, and the permissions on them"
        ) from error


def _report(manifest: Manifest, sizes: Collection[int], began: float) -> Report:
    seconds = round(time.monotonic() - began, 1)
    return Report(manifest.at, manifest.versions, len(manifest.files), len(sizes), sum(sizes), seconds)
