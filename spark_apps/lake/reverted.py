"""Finds tables that Delta's RESTORE has set back: their totals and the positions of the streams would be wrong.

The newest batch metadata in the log is the one before the RESTORE. A stream would continue there, and the rows that the
table has lost would stay lost.
"""

from deltalake import DeltaTable

from spark_apps.lake.commits import Commit, LakeError, batch_commits, batches, commit_infos
from spark_apps.tables import Table


def last_batch(delta: DeltaTable) -> Commit | None:
    """Return the newest commit with batch metadata; None without one."""
    return next(batch_commits(delta), None)


def version_before_restore(delta: DeltaTable) -> int | None:
    """Return the last version before a table was set back; None if its rows are those of its last batch."""
    return _read(delta)[1]


def check_not_reverted(lake: str, table: Table, delta: DeltaTable) -> Commit | None:
    """Return the newest commit with batch metadata, as `last_batch` does.

    Raises:
        LakeError: the table was set back since.
    """
    newest, version = _read(delta)
    if version is not None:
        raise LakeError(
            f"{table.path(lake)} was set back by RESTORE after version {version}, but other tables and the checkpoints "
            f"were not: run `tweet-sentiment undo-restore --lake {lake}`"
        )
    return newest


def _read(delta: DeltaTable) -> tuple[Commit | None, int | None]:
    """Return the results of `last_batch` and `version_before_restore`, which need the same commits."""
    restores: dict[int, int] = {}
    newest = None
    for version, info in commit_infos(delta):
        if newest := next(batches([(version, info)]), None):
            break
        if info.get("operation") == "RESTORE":
            # A RESTORE to a time has no version.
            restores[version] = int(info["operationParameters"].get("version") or -1)
    rows_of = delta.version()
    # A RESTORE may go back to another one, or undo it.
    while restore := max((version for version in restores if version <= rows_of), default=None):
        rows_of = restores[restore]
    is_set_back = newest is not None and rows_of < newest.version
    return newest, min(restores) - 1 if is_set_back else None
