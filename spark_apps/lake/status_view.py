"""The status of a lake for people: tables for a terminal, and times and sizes in words."""

from datetime import UTC, datetime

from rich.console import Group
from rich.table import Table as RichTable

from spark_apps.lake.status import LakeStatus
from spark_apps.tables import GOLD_SENTIMENT, GOLD_TRENDS, SILVER_TWEETS


def render(status: LakeStatus) -> Group:
    """Return the status for a terminal, in two tables: sizes and lag, times and versions; times are in UTC."""
    sizes = _view(f"lake {status.lake}, times in UTC", "table", "rows", "lag", "files", "size", "stored")
    times = _view(None, "table", "oldest", "newest", "written", "versions")
    lag_names = {SILVER_TWEETS.name: "silver", GOLD_SENTIMENT.name: "gold", GOLD_TRENDS.name: "aggregates"}
    for table in status.tables.values():
        if not table.exists:
            sizes.add_row(table.name, "none yet")
            continue
        sizes.add_row(
            table.name,
            f"{table.rows:,}",
            f"{status.lag[lag_names[table.name]]:,}" if table.name in lag_names else "",
            f"{table.files:,}",
            _size(table.bytes),
            _size(table.stored_bytes) if table.stored_bytes is not None else "",
        )
        times.add_row(
            table.name,
            _time(table.oldest),
            _time(table.newest),
            _time(table.last_batch.at if table.last_batch else None),
            f"{table.version}" if table.oldest_version is None else f"{table.oldest_version}–{table.version}",
        )
    return Group(sizes, times) if times.row_count else Group(sizes)


def _view(title: str | None, *columns: str) -> RichTable:
    view = RichTable(header_style="dim", title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in columns:
        view.add_column(name, justify="left" if name == "table" else "right", no_wrap=True)
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


def ago(time: datetime, now: datetime) -> str:
    """Return the time since `time`, such as `5 min ago`."""
    seconds = max(0, round((now - time).total_seconds()))
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= unit * 1.5:
            return f"{round(seconds / unit)} {name} ago"
    return f"{seconds} s ago"
