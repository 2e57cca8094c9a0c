"""Reads the commits of the lake's tables and their batch metadata, without Spark, in a few milliseconds.

Each micro-batch writes its rows and its metadata (`userMetadata`) in one atomic commit. A batch with metadata in the
log was written completely, and the counts in the metadata are as exact as the rows.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from spark_apps import storage
from spark_apps.errors import UserError
from spark_apps.storage import CONNECT_TIMEOUT_SECONDS, S3_ENDPOINT_ENV, TIMEOUT_SECONDS, is_s3
from spark_apps.tables import Table

# Number of commits to read at once, if the last commit has no batch metadata: a rare case, because only commits of
# maintenance have none.
_PARALLEL_READS = 16
# Arrows and terminal colours in the errors of deltalake.
_DECORATION = re.compile(r"↳|\x1b\[\d*m")


class LakeError(UserError):
    """A lake is not usable in its current state; the message names the reason and the remedy."""


@dataclass(frozen=True)
class BatchMetadata:
    """The batch metadata in the commit of a micro-batch, stored as JSON with these keys.

    Attributes:
        query: name of the streaming query.
        app: name of the query and id of its checkpoint; batch ids are unique per checkpoint.
        batch: id of the micro-batch.
        counts: number of rows per outcome, such as `rows` and `duplicates`.
        totals: sum of the counts of all batches of the table, up to this batch.
        offset: position of the query in its source after the batch; None for a write outside of a streaming query.
        erased: position in silver/erasures up to which erasures are applied to the table; None before the first.
        expired: the rows that were deleted because of their age, as `Expired.to_json` returns them; None before the
            first.
    """

    query: str
    app: str
    batch: int
    counts: dict[str, int]
    totals: dict[str, int]
    offset: Any = None
    erased: dict[str, Any] | None = None
    expired: dict[str, Any] | None = None

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read metadata, and leave out keys of a newer version: its tables can be read, but not written."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in json.loads(text).items() if key in known})

    def next(self, query: str, app: str, batch: int, counts: Mapping[str, int], offset: Any = None) -> "BatchMetadata":
        """Return the metadata of the commit after this one: it adds to the totals, and keeps `erased` and `expired`."""
        totals = {key: self.totals.get(key, 0) + counts.get(key, 0) for key in self.totals.keys() | counts.keys()}
        return BatchMetadata(query, app, batch, dict(counts), totals, offset, self.erased, self.expired)


# The metadata before the first commit of a table.
NO_METADATA = BatchMetadata("", "", -1, {}, {})


@dataclass(frozen=True)
class Commit:
    """The commit of a micro-batch: the table version that it created, its time (UTC) and its batch metadata."""

    version: int
    at: datetime
    metadata: BatchMetadata


def open_table(lake: str, table: Table) -> DeltaTable | None:
    """Open one table of a lake.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        table: table to open.

    Returns:
        The table at its newest version; None if the table does not exist yet.

    Raises:
        LakeError: the table exists but is not readable, or S3 is not reachable.
    """
    path, options = delta_location(lake, table)
    try:
        return DeltaTable(path, storage_options=options)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        if not is_s3(path) and not os.path.exists(path):  # noqa: PTH110 - Path rejects some strings
            return None
        cause = " ".join(_DECORATION.sub("", str(error)).split())
        raise LakeError(f"{path} cannot be read: {cause}: check that the table is intact and readable") from error


def delta_location(lake: str, table: Table) -> tuple[str, dict[str, str] | None]:
    """Return the path or s3:// URI of a table, and the options of its storage, as deltalake takes them."""
    path = table.path(lake)
    if not is_s3(path):
        return path, None
    return "s3://" + path.removeprefix("s3a://"), {
        "allow_http": str(os.environ.get(S3_ENDPOINT_ENV, "").startswith("http://")).lower(),
        "connect_timeout": f"{CONNECT_TIMEOUT_SECONDS}s",
        "timeout": f"{TIMEOUT_SECONDS}s",
        "retry_timeout": f"{TIMEOUT_SECONDS}s",
    }


def open_existing_table(lake: str, table: Table) -> DeltaTable:
    """Open one table of a lake, as `open_table` does; raise a LakeError if the table does not exist."""
    delta = open_table(lake, table)
    if delta is None:
        raise LakeError(f"{table.path(lake)} does not exist: check --lake, or run the layer that writes the table")
    return delta


def batch_commits(delta: DeltaTable, after: int | None = None) -> Iterator[Commit]:
    """Return the commits that carry batch metadata, newest first, from the version that `delta` has loaded.

    Args:
        delta: table to read.
        after: only commits above this version; None for all commits.
    """
    return batches(commit_infos(delta, after))


def batches(infos: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Commit]:
    """Yield those of the commits from `commit_infos` that carry batch metadata."""
    for version, info in infos:
        if has_batch_metadata(info):
            at = datetime.fromtimestamp(info["timestamp"] / 1000, UTC)
            yield Commit(version, at, BatchMetadata.from_json(info["userMetadata"]))


def commit_infos(delta: DeltaTable, after: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield version and Delta's `commitInfo` of all commits; arguments and order are those of `batch_commits`."""
    for version, entry in _log_entries(delta, -1 if after is None else after):
        yield version, next((json.loads(line)["commitInfo"] for line in entry if line.startswith(b'{"commitInfo"')), {})


def has_batch_metadata(info: Mapping[str, Any]) -> bool:
    """Return whether a commit carries batch metadata, by its `commitInfo`."""
    # A compaction within a MERGE repeats the metadata of that MERGE.
    return bool(info.get("userMetadata")) and info["operation"] != "OPTIMIZE"


def _log_entries(delta: DeltaTable, after: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield version and lines of the commits above `after` that the log still has, newest first.

    `DeltaTable.history` numbers the newest commits of the log downwards from the version of `delta`: if another process
    has committed since, all versions are wrong.
    """
    log = f"{_table_path(delta)}/_delta_log"

    def read(version: int) -> bytes | None:
        return storage.read(f"{log}/{version:020}.json")

    newest, size = delta.version(), 1
    with ThreadPoolExecutor(_PARALLEL_READS) as threads:
        while newest > after:
            versions = range(newest, max(newest - size, after), -1)
            for version, entry in zip(versions, threads.map(read, versions), strict=True):
                if entry is None:
                    return
                yield version, entry.splitlines()
            newest, size = versions[-1] - 1, _PARALLEL_READS


def _table_path(delta: DeltaTable) -> str:
    """Return the path or s3a:// URI of a table."""
    uri = delta.table_uri.rstrip("/")
    if uri.startswith("s3://"):
        return "s3a://" + uri.removeprefix("s3://")
    return unquote(uri.removeprefix("file://"))
