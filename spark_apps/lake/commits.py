"""The commits of the lake's tables and the notes in them, read without Spark in a few milliseconds.

Each micro-batch leaves a note in the commit of its rows (`userMetadata`). Rows and note are one atomic commit: a batch
whose note is there was written, whole, and counts are as exact as rows.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from spark_apps.errors import UserError
from spark_apps.storage import S3_ENDPOINT_ENV, is_s3
from spark_apps.tables import Table

# Only maintenance commits carry no note of their own, so what is looked for is nearly always among these.
_RECENT = 20
# A commit is a file to be read: those of an hour are looked for among some hundreds, not among all.
_FURTHER = 8


class LakeError(UserError):
    """A lake that cannot be used as it is; the text says why and what to do."""


@dataclass(frozen=True)
class Note:
    """What a micro-batch says of itself: its query, the checkpoint (`app`), its id, what it counted.

    `totals` sums the counts of all batches of the table up to this one.
    """

    query: str
    app: str
    batch: int
    counts: dict[str, int]
    totals: dict[str, int]

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Commit:
    """One commit of a micro-batch: the version of the table that it made, when, and its note."""

    version: int
    at: datetime
    note: Note


def open_table(lake: str, table: Table) -> DeltaTable | None:
    """Open one table of a lake; None where it is not there yet, `LakeError` where it cannot be read."""
    path = table.path(lake)
    options: dict[str, str] = {}
    if is_s3(path):
        path = "s3://" + path.removeprefix("s3a://")
        options = {"allow_http": str(os.environ.get(S3_ENDPOINT_ENV, "").startswith("http://")).lower()}
    try:
        return DeltaTable(path, storage_options=options or None)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        if not is_s3(path) and not os.path.exists(path):  # noqa: PTH110 - may be no path at all
            return None
        raise LakeError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def commits(delta: DeltaTable, after: int | None = None) -> Iterator[Commit]:
    """Yield the commits of micro-batches, newest first; with `after`, those above that version."""
    seen = 0
    for limit in _growing(delta.version() + 1) if after is None else (delta.version() - after,):
        history = delta.history(limit) if limit != 0 else []
        for commit in history[seen:]:
            text = commit.get("userMetadata")
            # A compaction within a MERGE repeats the note of that MERGE.
            if text and commit["operation"] != "OPTIMIZE":
                at = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
                yield Commit(commit["version"], at, Note(**json.loads(text)))
        seen = len(history)


def _growing(most: int) -> Iterator[int]:
    limit = _RECENT
    while limit < most:
        yield limit
        limit *= _FURTHER
    yield most
