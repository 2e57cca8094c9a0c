"""Ranges of whole hours, by which long jobs divide a table into parts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F


@dataclass(frozen=True)
class HourRange:
    """A range of whole hours.

    Attributes:
        first: first hour, in hours since 1970.
        end: the hour after the last, in hours since 1970.
        rows: number of rows of the table in these hours.
    """

    first: int
    end: int
    rows: int

    @property
    def first_day(self) -> date:
        return _time(self.first).date()

    @property
    def last_day(self) -> date:
        return _time(self.end - 1).date()

    def condition(self, time: str, day: str | None = None) -> str:
        """Return the SQL condition for rows with a time in this range.

        Args:
            time: name of a timestamp column.
            day: name of the column with the date of `time`, to prune partitions; None if the table has no such column.
        """
        first, end = (f"TIMESTAMP'{_time(hour):%Y-%m-%dT%H:%M:%SZ}'" for hour in (self.first, self.end))
        days = f"{day} >= DATE'{self.first_day}' AND {day} <= DATE'{self.last_day}' AND " if day else ""
        return f"{days}{time} >= {first} AND {time} < {end}"


def hour_of(time: str) -> Column:
    """Return the hour of a timestamp column, in hours since 1970."""
    return F.floor(F.unix_seconds(time) / 3600)


def join_hours(hours: Iterable[tuple[int, int]], max_rows: int) -> list[HourRange]:
    """Join `hours` (hour since 1970, rows), which are in order, into ranges of at most `max_rows` rows.

    An hour with more rows is a range of its own.
    """
    ranges: list[HourRange] = []
    for hour, rows in hours:
        last = ranges[-1] if ranges else None
        if last and last.rows + rows <= max_rows:
            ranges[-1] = HourRange(last.first, hour + 1, last.rows + rows)
        else:
            ranges.append(HourRange(hour, hour + 1, rows))
    return ranges


def _time(hour: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
