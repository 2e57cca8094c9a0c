"""The state of the erasures of a lake, read without Spark: what is pending, applied and complete."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table as RichTable

from spark_apps.erasure.request import LANDED_AGAIN, user_key
from spark_apps.lake.commits import open_table
from spark_apps.lake.erasure_progress import Progress, Step
from spark_apps.lake.query import LakeQuery, Statement
from spark_apps.tables import (
    BRONZE_TWEETS,
    ERASURES,
    GOLD_MENTIONS,
    GOLD_SENTIMENT,
    GOLD_SHADOW,
    GOLD_TRENDS,
    QUARANTINE,
    SILVER_TWEETS,
    Table,
)

# The tables to which erasures apply, and the streams that write them.
_STREAMS: tuple[tuple[Table, str], ...] = (
    (BRONZE_TWEETS, "bronze"),
    (SILVER_TWEETS, "silver"),
    (QUARANTINE, "silver"),
    (GOLD_SENTIMENT, "gold"),
    (GOLD_TRENDS, "gold-aggregates"),
    (GOLD_MENTIONS, "gold-aggregates"),
    (GOLD_SHADOW, "gold-aggregates"),
)
_BATCHES = """
    SELECT batch, count(*) FILTER (WHERE kind = 'tweet') AS tweets, count(*) FILTER (WHERE kind <> 'tweet') AS users,
           count(*) FILTER (WHERE why = '{landed_again}') AS landed_again, min(requested_at) AS requested_at,
           min(ingested_at) AS ingested_at, array_agg(DISTINCT why) AS whys
    FROM erasures {where} GROUP BY batch ORDER BY batch DESC LIMIT {limit}
"""
_ALL = Statement(_BATCHES.format(landed_again=LANDED_AGAIN, where="", limit="$1"), "BIGINT")
_OF_KEYS = Statement(
    _BATCHES.format(
        landed_again=LANDED_AGAIN,
        where="WHERE (kind = 'tweet' AND key = $1) OR (kind <> 'tweet' AND key = $2)",
        limit="$3",
    ),
    "VARCHAR",
    "VARCHAR",
    "BIGINT",
)


@dataclass(frozen=True)
class BatchErasures:
    """The erasures that one micro-batch of Silver has recorded; times are in UTC.

    Attributes:
        batch: the micro-batch.
        tweets: number of tweets to erase.
        users: number of users, including those with only their locations to erase.
        landed_again: number of these rows that record a later landing of an erased tweet, not a request.
        why: the reasons.
        requested_at: when the first of them was requested; None if unknown.
        ingested_at: when Bronze read the first of them.
        applied: tables that do not have the tweets any more, and since when; None for an unknown time.
        removed: tables without a file that has the tweets, and since when.
        tables: all tables to which the erasures apply.
    """

    batch: int
    tweets: int
    users: int
    landed_again: int
    why: tuple[str, ...]
    requested_at: datetime | None
    ingested_at: datetime
    applied: dict[str, datetime | None]
    removed: dict[str, datetime]
    tables: tuple[str, ...]

    @property
    def complete_at(self) -> datetime | None:
        """Since when no file of the lake has the tweets; None if a file may have them."""
        is_complete = bool(self.tables) and self.removed.keys() == set(self.tables)
        return max(self.removed.values()) if is_complete else None

    @property
    def state(self) -> str:
        """`complete`, `applied` (old files remain until the retention is over), or the tables that are pending."""
        pending = [table for table in self.tables if table not in self.applied]
        if pending:
            return f"pending: {', '.join(pending)}"
        return "complete" if self.complete_at else "applied"

    def to_dict(self) -> dict[str, Any]:
        """Return the erasures with the keys of `erasures --json`."""
        return {**vars(self), "state": self.state, "complete_at": self.complete_at}


def read_erasures(lake: str, limit: int, tweet: str | None = None, user: str | None = None) -> list[BatchErasures]:
    """Return the erasures of the newest batches of Silver, newest first.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        limit: maximum number of batches.
        tweet: only batches that erase the tweet with this id, if given.
        user: only batches that erase the user with this id, if given.

    Raises:
        LakeError: a table exists but is not readable.
    """
    query = LakeQuery.open(lake, erasures=ERASURES)
    if query is None:
        return []
    if tweet is None and user is None:
        rows = query.rows(_ALL, limit)
    else:
        rows = query.rows(_OF_KEYS, tweet or "", user_key(user) if user else "", limit)
    progress = _TableProgress(lake, str(query.tables["erasures"].metadata().id))
    return [_report(row, progress) for row in rows]


class _TableProgress:
    """The progress of all tables that exist."""

    def __init__(self, lake: str, erasures: str) -> None:
        self.tables = {table.name: stream for table, stream in _STREAMS if open_table(lake, table) is not None}
        self._progress = {stream: Progress.read(lake, stream, erasures) for stream in set(self.tables.values())}

    def step_of(self, table: str, batch: int) -> Step | None:
        return self._progress[self.tables[table]].step_of(table, batch)


def _report(row: dict[str, Any], progress: _TableProgress) -> BatchErasures:
    steps = {table: progress.step_of(table, row["batch"]) for table in progress.tables}
    return BatchErasures(
        batch=row["batch"],
        tweets=row["tweets"],
        users=row["users"],
        landed_again=row["landed_again"],
        why=tuple(sorted(row["whys"])),
        requested_at=row["requested_at"],
        ingested_at=row["ingested_at"],
        applied={table: _time(step.applied_at) for table, step in steps.items() if step},
        removed={table: _time(step.removed_at) for table, step in steps.items() if step and step.removed_at},
        tables=tuple(progress.tables),
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def render(erasures: list[BatchErasures], lake: str) -> RichTable:
    """Return the report for a terminal; times are in UTC."""
    view = RichTable(
        title=f"erasures of {lake}, times in UTC",
        title_justify="left",
        header_style="dim",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for name in ("requested", "tweets", "users", "state", "complete", "why"):
        view.add_column(name)
    for batch in erasures:
        requested, complete = (
            f"{time:%Y-%m-%d %H:%M}" if time else "" for time in (batch.requested_at, batch.complete_at)
        )
        view.add_row(requested, f"{batch.tweets:,}", f"{batch.users:,}", batch.state, complete, "; ".join(batch.why))
    return view
