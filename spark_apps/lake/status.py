"""What stands in a lake: rows, sizes and versions of its tables, the lag between layers. Read without Spark."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table as RichTable

from spark_apps.lake.commits import batch_commits, open_table
from spark_apps.tables import (
    BRONZE_TWEETS,
    GOLD_MENTIONS,
    GOLD_SENTIMENT,
    GOLD_TRENDS,
    QUARANTINE,
    SCHEMA_VERSION_PROPERTY,
    SILVER_TWEETS,
    TABLES,
    Table,
)

# The column that says when a row was written; each has statistics in the table's log.
_WRITTEN = {
    BRONZE_TWEETS.name: "ingested_at",
    SILVER_TWEETS.name: "ingested_at",
    QUARANTINE.name: "ingested_at",
    GOLD_SENTIMENT.name: "scored_at",
    GOLD_TRENDS.name: "minute",
    GOLD_MENTIONS.name: "tweet_date",
}


@dataclass(frozen=True)
class LastBatch:
    """The micro-batch that wrote last: its query, its id, when it was committed, and what it counted."""

    query: str
    batch: int
    at: datetime
    counts: dict[str, int]


@dataclass(frozen=True)
class TableStatus:
    """One table; `totals` sums the counts of all its batches, `newest` is the time of its newest row."""

    name: str
    exists: bool = False
    rows: int = 0
    files: int = 0
    bytes: int = 0
    version: int | None = None
    schema_version: int | None = None
    newest: datetime | None = None
    last_batch: LastBatch | None = None
    totals: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LakeStatus:
    """All tables of a lake, those that are not there yet included."""

    lake: str
    tables: dict[str, TableStatus]

    @property
    def quarantine(self) -> dict[str, int]:
        """Rejected records by reason."""
        return dict(sorted(self.tables[QUARANTINE.name].totals.items(), key=lambda item: -item[1]))

    @property
    def lag(self) -> dict[str, int]:
        """Rows that each layer has yet to read: documents for silver, tweets for gold and for the aggregates."""
        bronze, silver, gold, trends = (
            self.tables[table.name].totals for table in (BRONZE_TWEETS, SILVER_TWEETS, GOLD_SENTIMENT, GOLD_TRENDS)
        )
        return {
            "silver": bronze.get("rows", 0) - silver.get("documents", 0),
            "gold": silver.get("rows", 0) - gold.get("rows", 0),
            "aggregates": gold.get("rows", 0) - trends.get("rows", 0),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return what `tables --json` prints: times in ISO 8601."""
        return {
            "lake": self.lake,
            "tables": {name: asdict(table) for name, table in self.tables.items()},
            "lag": self.lag,
            "quarantine": self.quarantine,
        }


def read_status(lake: str) -> LakeStatus:
    """Look at all tables of `lake`, a folder or s3a:// URI; what is not there has no rows."""
    return LakeStatus(lake, {table.name: _table_status(lake, table) for table in TABLES})


def _table_status(lake: str, table: Table) -> TableStatus:
    delta = open_table(lake, table)
    if delta is None:
        return TableStatus(table.name)
    files = pa.table(delta.get_add_actions(flatten=True))
    properties = delta.metadata().configuration
    last = next(batch_commits(delta), None)
    return TableStatus(
        name=table.name,
        exists=True,
        rows=_sum(files, "num_records"),
        files=files.num_rows,
        bytes=_sum(files, "size_bytes"),
        version=delta.version(),
        schema_version=int(properties.get(SCHEMA_VERSION_PROPERTY, 0)),
        newest=_newest(files, _WRITTEN[table.name]),
        last_batch=LastBatch(last.metadata.query, last.metadata.batch, last.at, last.metadata.counts) if last else None,
        totals=last.metadata.totals if last else {},
    )


def _sum(files: pa.Table, column: str) -> int:
    return int(pc.sum(files[column]).as_py() or 0) if files.num_rows else 0


def _newest(files: pa.Table, column: str) -> datetime | None:
    name = next((name for name in (f"max.{column}", f"partition.{column}") if name in files.column_names), None)
    found = pc.max(files[name]).as_py() if name and files.num_rows else None
    if found is None or isinstance(found, datetime):
        return found.astimezone(UTC) if found is not None and found.tzinfo else found and found.replace(tzinfo=UTC)
    return datetime(found.year, found.month, found.day, tzinfo=UTC)


def render(found: LakeStatus) -> RichTable:
    """Return the tables as a person reads them; times are in UTC."""
    view = RichTable(
        header_style="dim",
        title=f"lake {found.lake}, times in UTC",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for name in ("table", "rows", "lag", "files", "size", "version", "newest", "written"):
        view.add_column(name, justify="left" if name == "table" else "right", no_wrap=True)
    lag = {SILVER_TWEETS.name: "silver", GOLD_SENTIMENT.name: "gold", GOLD_TRENDS.name: "aggregates"}
    for table in found.tables.values():
        if not table.exists:
            view.add_row(table.name, "none yet")
            continue
        view.add_row(
            table.name,
            f"{table.rows:,}",
            f"{found.lag[lag[table.name]]:,}" if table.name in lag else "",
            f"{table.files:,}",
            _size(table.bytes),
            f"{table.version:,}",
            _time(table.newest),
            _time(table.last_batch.at if table.last_batch else None),
        )
    return view


def _time(time: datetime | None) -> str:
    if time is None:
        return ""
    return f"{time:%H:%M:%S}" if time.date() == datetime.now(UTC).date() else f"{time:%Y-%m-%d}"


def _size(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
