"""Reads the commits of the lake's tables and their batch metadata, without Spark, in a few milliseconds.

Each micro-batch writes its rows and its metadata (`userMetadata`) in one atomic commit. A batch with metadata in the
log was written completely, and the counts in the metadata are as exact as the rows.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from spark_apps.errors import UserError
from spark_apps.storage import CONNECT_TIMEOUT_SECONDS, S3_ENDPOINT_ENV, TIMEOUT_SECONDS, is_s3
from spark_apps.tables import Table

# Number of commits to read first. Only maintenance commits lack batch metadata, so these nearly always suffice.
_RECENT_COMMITS = 20
# If these do not suffice, read this many times more: each commit is one file, and an hour has a few hundred.
_GROWTH = 8
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
        offset: position of the query in its source after the batch; None for a write that no query made.
        erased: the erasures that are applied to the table; None before the first.
    """

    query: str
    app: str
    batch: int
    counts: dict[str, int]
    totals: dict[str, int]
    offset: Any = None
    erased: dict[str, Any] | None = None

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


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
    path = table.path(lake)
    options: dict[str, str] = {}
    if is_s3(path):
        path = "s3://" + path.removeprefix("s3a://")
        options = {
            "allow_http": str(os.environ.get(S3_ENDPOINT_ENV, "").startswith("http://")).lower(),
            "connect_timeout": f"{CONNECT_TIMEOUT_SECONDS}s",
            "timeout": f"{TIMEOUT_SECONDS}s",
            "retry_timeout": f"{TIMEOUT_SECONDS}s",
        }
    try:
        return DeltaTable(path, storage_options=options or None)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        if not is_s3(path) and not os.path.exists(path):  # noqa: PTH110 - Path rejects some strings
            return None
        cause = " ".join(_DECORATION.sub("", str(error)).split())
        raise LakeError(f"{path} cannot be read: {cause}: check that the table is intact and readable") from error


def open_existing_table(lake: str, table: Table) -> DeltaTable:
    """Open one table of a lake, as `open_table` does; raise a LakeError if the table does not exist."""
    delta = open_table(lake, table)
    if delta is None:
        raise LakeError(f"{table.path(lake)} was removed while the stream started: start again to recreate it")
    return delta


def batch_commits(delta: DeltaTable, after: int | None = None) -> Iterator[Commit]:
    """Yield the commits that carry batch metadata, newest first.

    Args:
        delta: table to read.
        after: yield only commits above this version; None yields all of them.
    """
    done = 0
    for limit in _growing_limits(delta.version() + 1) if after is None else (delta.version() - after,):
        history = delta.history(limit) if limit != 0 else []
        for commit in history[done:]:
            text = commit.get("userMetadata")
            # A compaction within a MERGE repeats the metadata of that MERGE.
            if text and commit["operation"] != "OPTIMIZE":
                at = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
                yield Commit(commit["version"], at, BatchMetadata(**json.loads(text)))
        done = len(history)


def _growing_limits(number_of_commits: int) -> Iterator[int]:
    limit = _RECENT_COMMITS
    while limit < number_of_commits:
        yield limit
        limit *= _GROWTH
    yield number_of_commits
