"""Backs up a lake while its streams run, and restores it (docs/decisions/0021-backups.md)."""

import time
from collections.abc import Mapping

from deltalake.exceptions import DeltaError

from spark_apps import storage
from spark_apps.backup import manifest, rotation
from spark_apps.backup.copying import BackupError, copy, in_threads, naming_errors
from spark_apps.backup.manifest import Manifest
from spark_apps.backup.report import Report
from spark_apps.lake.commits import LakeError, open_existing_table
from spark_apps.lake.snapshot import Snapshot, read_snapshot
from spark_apps.lake.status import check_exists
from spark_apps.tables import ALL_TABLES


def back_up(lake: str, place: str, keep: int | None = None) -> Report:
    """Copy the state of a lake at one instant; its streams may run.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        place: folder or s3a:// URI, empty or with an earlier backup of the lake, which is brought up to date.
        keep: number of backups to keep, each in a folder of `place`; None for one backup, which is `place` itself.

    Raises:
        LakeError: the lake is not usable, or has another history than the backup.
        BackupError: the place is not usable; the message names the reason and the remedy.
    """
    lake, place = lake.rstrip("/"), place.rstrip("/")
    with naming_errors(lake, place, DeltaError):
        check_exists(lake)
        if keep is None:
            return _update(lake, place)
        report = _update(lake, rotation.next_folder(place, keep))
        rotation.remove_surplus(place, keep)
        return report


def _update(lake: str, backup: str) -> Report:
    """Bring one backup up to date."""
    began = time.monotonic()
    known = manifest.open_backup(lake, backup)
    snapshot = read_snapshot(lake)
    if not snapshot.versions:
        raise LakeError(f"{lake} has no tables: check --lake, or start the streams to create them")
    _check_same_history(lake, backup, known, snapshot)
    new = [name for name in snapshot.files if name not in known.files]
    copies = in_threads(lambda name: copy(f"{lake}/{name}", backup, name), new)
    copied = {name: file for name, file in zip(new, copies, strict=True) if file is not None}
    if missing := sorted(set(new) - copied.keys() - snapshot.dispensable):
        raise LakeError(f"{lake}/{missing[0]} was removed during the backup: run the command again")
    digests = {**known.files, **{name: digest for name, (digest, _) in copied.items()}}
    files = {name: digests[name] for name in snapshot.files if name in digests}
    _check_versions(backup, snapshot.versions)
    content = Manifest(lake, snapshot.at.isoformat(timespec="milliseconds"), snapshot.versions, files)
    manifest.complete(backup, content, known)
    return Report.of(backup, content, [size for _, size in copied.values()], began)


def restore(place: str, lake: str) -> Report:
    """Copy a backup to a new lake.

    Args:
        place: folder or s3a:// URI of the backup, or of several: the newest is restored.
        lake: folder or s3a:// URI, which must be empty: a checkpoint of the lost lake would be ahead of the tables.

    Raises:
        LakeError: the lake is not empty.
        BackupError: the backup is incomplete or damaged.
    """
    began, lake, place = time.monotonic(), lake.rstrip("/"), place.rstrip("/")
    with naming_errors(place, lake, DeltaError):
        backup, content = rotation.newest(place)
        if (name := next(storage.paths(lake), None)) is not None:
            raise LakeError(f"{lake} is not empty ({name}): stop the streams, and delete it or pass another --lake")

        def restore_file(name: str) -> int:
            copied = copy(f"{backup}/{name}", lake, name, content.files[name])
            if copied is None:
                raise BackupError(f"{backup}/{name} is missing or damaged: delete {lake}, and restore another backup")
            return copied[1]

        # A table exists once it has a log: copy the logs last.
        log = {name for name in content.files if "/_delta_log/" in name}
        sizes = [*in_threads(restore_file, content.files.keys() - log), *in_threads(restore_file, log)]
        _check_versions(lake, content.versions)
    return Report.of(backup, content, sizes, began)


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
                f"empty folder as --to, or delete {backup} if you do not need it"
            )


def _check_versions(lake: str, versions: Mapping[str, int]) -> None:
    """Raise `LakeError` if a copied table cannot be opened at its version."""
    for table in ALL_TABLES:
        if table.name in versions and open_existing_table(lake, table).version() != versions[table.name]:
            raise LakeError(f"the copy of {table.name} in {lake} is incomplete: run the command again")
