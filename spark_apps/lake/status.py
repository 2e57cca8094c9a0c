"""The status of a lake, read without Spark: rows, sizes and versions of its tables, and the lag between layers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps import storage
from spark_apps.lake.commits import LakeError, batch_commits, open_table
from spark_apps.lake.expired import Expired
from spark_apps.tables import (
    ALL_TABLES,
    BRONZE_TWEETS,
    ERASURES,
    GOLD_MENTIONS,
    GOLD_SENTIMENT,
    GOLD_SHADOW,
    GOLD_TRENDS,
    HUMAN_LABELS,
    QUARANTINE,
    SCHEMA_VERSION_PROPERTY,
    SILVER_TWEETS,
    Table,
)

# The column with the time of a row. The Delta log has the range of this column in each file: as statistics, or as a
# partition value.
_TIME_COLUMNS = {
    BRONZE_TWEETS.name: "ingested_at",
    SILVER_TWEETS.name: "ingested_at",
    QUARANTINE.name: "ingested_at",
    ERASURES.name: "ingested_at",
    GOLD_SENTIMENT.name: "scored_at",
    GOLD_TRENDS.name: "minute",
    GOLD_MENTIONS.name: "tweet_date",
    GOLD_SHADOW.name: "scored_at",
    HUMAN_LABELS.name: "labelled_at",
}


@dataclass(frozen=True)
class LastBatch:
    """The last micro-batch that wrote a table: its query and id, the time of its commit (UTC), and its counts."""

    query: str
    batch: int
    at: datetime
    counts: dict[str, int]


@dataclass(frozen=True)
class TableStatus:
    """The status of one table; all fields but `name` are empty if the table does not exist yet.

    Attributes:
        name: name of the table, such as gold/sentiment.
        exists: whether the table exists.
        rows: number of rows.
        files: number of data files.
        bytes: size of the data files.
        version: version of the table.
        schema_version: version of the program's schema that the table has.
        oldest: time of the oldest row, UTC; in a table with partitions, the day.
        newest: time of the newest row, UTC.
        last_batch: last micro-batch that wrote the table.
        totals: sum of the counts of all micro-batches.
        expired: number of rows that were deleted because of their age.
        expired_before: rows of days before this day were deleted; None if no row was.
        stored_bytes: size of all files of the table, including replaced files and the log; None if not requested.
        oldest_version: oldest version in the log; None if not requested.
    """

    name: str
    exists: bool = False
    rows: int = 0
    files: int = 0
    bytes: int = 0
    version: int | None = None
    schema_version: int | None = None
    oldest: datetime | None = None
    newest: datetime | None = None
    last_batch: LastBatch | None = None
    totals: dict[str, int] = field(default_factory=dict)
    expired: int = 0
    expired_before: date | None = None
    stored_bytes: int | None = None
    oldest_version: int | None = None


@dataclass(frozen=True)
class LakeStatus:
    """The status of all tables of a lake, including tables that do not exist yet."""

    lake: str
    tables: dict[str, TableStatus]

    @property
    def quarantine(self) -> dict[str, int]:
        """Number of rejected records by reason, in descending order."""
        totals = self.tables[QUARANTINE.name].totals.items()
        return dict(sorted(((reason, rows) for reason, rows in totals if rows), key=lambda item: -item[1]))

    @property
    def lag(self) -> dict[str, int]:
        """Rows that a layer has not read yet: documents for silver, tweets for gold and for the aggregates."""
        bronze, silver, gold, trends = (
            self.tables[table.name].totals for table in (BRONZE_TWEETS, SILVER_TWEETS, GOLD_SENTIMENT, GOLD_TRENDS)
        )
        return {
            "silver": bronze.get("rows", 0) - documents_read(silver),
            "gold": silver.get("rows", 0) - tweets_read(silver, gold),
            "aggregates": gold.get("rows", 0) - trends.get("rows", 0),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the status as a dict, with the keys of `tables --json`."""
        return {
            "lake": self.lake,
            "tables": {name: asdict(table) for name, table in self.tables.items()},
            "lag": self.lag,
            "quarantine": self.quarantine,
        }


def documents_read(silver: Mapping[str, int]) -> int:
    """Return how many of the rows of bronze/tweets Silver has read, by the totals of silver/tweets.

    Documents that were deleted because of their age before the first batch of Silver count as read.
    """
    return silver.get("documents", 0) + silver.get("expired", 0)


def tweets_read(silver: Mapping[str, int], gold: Mapping[str, int]) -> int:
    """Return how many of the rows of silver/tweets Gold has read, by the totals of silver/tweets and gold/sentiment.

    Tweets that were erased before the first batch of Gold count as read.
    """
    erased = gold.get("erased", 0)
    return gold.get("rows", 0) + erased + max(0, silver.get("deleted", 0) - gold.get("deleted", 0) - erased)


def read_status(lake: str, missing_ok: bool = False, with_storage: bool = False) -> LakeStatus:
    """Read the status of all tables of a lake.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        missing_ok: whether to return the status of an empty lake if the lake does not exist.
        with_storage: whether to list all files, which `stored_bytes` and `oldest_version` need.

    Raises:
        LakeError: the lake does not exist, or a table is not readable.
    """
    tables = {table.name: _table_status(lake, table) for table in ALL_TABLES}
    if with_storage:
        tables = {name: _with_storage(lake, table) for name, table in tables.items()}
    status = LakeStatus(lake, tables)
    if not missing_ok and not any(table.exists for table in status.tables.values()):
        check_exists(lake)
    return status


def check_exists(lake: str) -> None:
    """Raise `LakeError` if the lake is not a folder, or if S3 has no object under its prefix: it may be a typo."""
    try:
        exists = storage.exists(lake)
    except OSError as error:
        raise LakeError(
            f"lake {lake} cannot be listed ({error}): check --lake and the permission to list it"
        ) from error
    if not exists:
        raise LakeError(f"lake {lake} does not exist: check --lake, or start the streams to create it")


def _table_status(lake: str, table: Table) -> TableStatus:
    delta = open_table(lake, table)
    if delta is None:
        return TableStatus(table.name)
    files = pa.table(delta.get_add_actions(flatten=True))
    properties = delta.metadata().configuration
    # People write HUMAN_LABELS: a search for batch metadata would read its whole log.
    last = None if table is HUMAN_LABELS else next(batch_commits(delta), None)
    expired = Expired.of(last)
    oldest, newest = _range(files, _TIME_COLUMNS[table.name])
    return TableStatus(
        name=table.name,
        exists=True,
        rows=_sum(files, "num_records"),
        files=files.num_rows,
        bytes=_sum(files, "size_bytes"),
        version=delta.version(),
        schema_version=int(properties.get(SCHEMA_VERSION_PROPERTY, 0)),
        oldest=oldest,
        newest=newest,
        last_batch=LastBatch(last.metadata.query, last.metadata.batch, last.at, last.metadata.counts) if last else None,
        totals=last.metadata.totals if last else {},
        expired=expired.rows if expired else 0,
        expired_before=expired.before if expired else None,
    )


def _with_storage(lake: str, status: TableStatus) -> TableStatus:
    if not status.exists:
        return status
    path = f"{lake.rstrip('/')}/{status.name}"
    versions = (name.partition(".") for name in storage.names(f"{path}/_delta_log"))
    oldest = min((int(stem) for stem, _, suffix in versions if stem.isdecimal() and suffix == "json"), default=None)
    return replace(status, stored_bytes=storage.size(path), oldest_version=oldest)


def _sum(files: pa.Table, column: str) -> int:
    return int(pc.sum(files[column]).as_py() or 0) if files.num_rows else 0


def _range(files: pa.Table, column: str) -> tuple[datetime | None, datetime | None]:
    """Return the earliest and latest time in `column`, from statistics or partitions in the log; None without rows."""
    if not files.num_rows:
        return None, None
    names = (f"min.{column}", f"max.{column}")
    if names[0] not in files.column_names:
        names = (f"partition.{column}",) * 2
    if names[0] not in files.column_names:
        return None, None
    return _time_of(pc.min(files[names[0]]).as_py()), _time_of(pc.max(files[names[1]]).as_py())


def _time_of(value: date | datetime | None) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
