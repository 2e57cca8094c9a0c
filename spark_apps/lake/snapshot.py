"""Reads the state of all tables of a lake at one instant, and the files that belong to it, while the streams run."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from spark_apps import storage
from spark_apps.lake.commits import LakeError, batch_commits, open_table
from spark_apps.tables import ALL_TABLES, TABLES, Table

# A round takes milliseconds in a folder and tenths of a second on S3; the streams commit a few times a second at most.
_MAX_ROUNDS = 500
# The name of an entry in the Delta log begins with its version.
_VERSION_DIGITS = 20
# Files beside the checkpoints that exist while a rescore, relayout or replay is not finished. Their content does not
# matter.
_UNFINISHED = ("rescore.json", "relayout.json", "replay.json")
# A restart of a stream plans its last batch again, which starts at the end of the batch before.
_BATCHES = 2


@dataclass(frozen=True)
class Snapshot:
    """The state of a lake at one instant: what a kill of all processes would have left.

    Attributes:
        at: the instant, UTC.
        versions: version of each existing table, by its name.
        files: paths of the files in the lake. The files that a cleanup may remove soon come first.
        dispensable: files among them that may be missing: a cleanup removes them only once no stream needs them.
    """

    at: datetime
    versions: Mapping[str, int]
    files: tuple[str, ...]
    dispensable: frozenset[str]


def read_snapshot(lake: str) -> Snapshot:
    """Return the state of a lake at one instant.

    Checkpoints are not part of it: the positions of the streams are in the commits of their tables.

    Args:
        lake: folder or s3a:// URI of the Delta tables, without a slash at its end.

    Raises:
        LakeError: a table is not readable, or the tables are written too often.
    """
    # An older position only adds files. A position after the instant would leave out files.
    positions = _read_positions(lake)
    tables, markers = _read_instant(lake)
    at = datetime.now(UTC)
    log, replaced, current, dispensable = [], set[str](), set[str](), set[str]()
    for table, delta in tables.items():
        version, folder = delta.version(), table.path(lake)
        first = positions.get(str(delta.metadata().id), 0) if table.reader else version + 1
        for name in _log_entries(folder, version):
            log.append(f"{table.name}/_delta_log/{name}")
            if _version(name) < first:
                dispensable.add(log[-1])
        active = set(pa.table(delta.get_add_actions())["path"].to_pylist())
        current |= {f"{table.name}/{path}" for path in active}
        # Skip files that a cleanup has removed: no stream needs them, and they may hold erased tweets.
        if others := set(_paths_since(folder, first, version)) - active:
            replaced |= {f"{table.name}/{path}" for path in others.intersection(storage.paths(folder))}
    versions = {table.name: delta.version() for table, delta in tables.items()}
    return Snapshot(at, versions, (*markers, *log, *replaced, *current), frozenset(dispensable | replaced))


def _read_instant(lake: str) -> tuple[dict[Table, DeltaTable], tuple[str, ...]]:
    """Return the tables at their versions at one instant, and the paths of the existing files `_UNFINISHED`.

    Versions and files are read in rounds. If two rounds find the same, nothing was written between the end of the first
    round and the beginning of the second.
    """
    tables: dict[Table, DeltaTable] = {}

    def update(table: Table) -> None:
        if table in tables:
            tables[table].update_incremental()
        elif (delta := open_table(lake, table)) is not None:
            tables[table] = delta

    last = None
    with ThreadPoolExecutor(len(ALL_TABLES)) as threads:
        for _ in range(_MAX_ROUNDS):
            list(threads.map(update, ALL_TABLES))
            names = sorted(set(storage.names(f"{lake}/checkpoints")).intersection(_UNFINISHED))
            state = ({table.name: delta.version() for table, delta in tables.items()}, names)
            if state == last:
                return tables, tuple(f"checkpoints/{name}" for name in names)
            last = state
    raise LakeError(f"the tables of {lake} change too often to be read together: stop the streams, then try again")


def _read_positions(lake: str) -> dict[str, int]:
    """Return the first version that the streams need of each table that they read, by Delta's id of the table."""
    offsets: dict[str, dict[int, Any]] = defaultdict(dict)
    for delta in filter(None, (open_table(lake, table) for table in TABLES)):
        batches = (commit.metadata for commit in batch_commits(delta) if commit.metadata.offset is not None)
        for metadata in islice(batches, _BATCHES):
            offsets[metadata.query][metadata.batch] = metadata.offset
    positions: dict[str, int] = {}
    for batches_of_query in offsets.values():
        for batch in sorted(batches_of_query)[-_BATCHES:]:
            offset = batches_of_query[batch]
            if "reservoirId" in offset:  # Bronze reads no table
                source, version = offset["reservoirId"], int(offset["reservoirVersion"])
                positions[source] = min(version, positions.get(source, version))
    return positions


def _log_entries(folder: str, version: int) -> list[str]:
    """Return the names of the entries in the log of a table up to a version, in their order."""
    names = sorted(storage.names(f"{folder}/_delta_log"))
    return [name for name in names if name[:_VERSION_DIGITS].isdecimal() and _version(name) <= version]


def _version(name: str) -> int:
    return int(name[:_VERSION_DIGITS])


def _paths_since(folder: str, first: int, version: int) -> Iterator[str]:
    """Yield the paths of the data files that the commits of a table from `first` to `version` have added or removed."""
    for number in range(first, version + 1):
        entry = storage.read(f"{folder}/_delta_log/{number:0{_VERSION_DIGITS}}.json") or b""
        for action in map(json.loads, entry.splitlines()):
            yield from (action[kind]["path"] for kind in ("add", "remove") if kind in action)
