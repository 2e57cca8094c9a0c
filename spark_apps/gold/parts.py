"""Parts of gold/sentiment: ranges of whole hours that a rescore or a rebuild rewrites in one commit each."""

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import DataFrame

from spark_apps.lake.hours import HourRange

# Rows of a part: some minutes of scoring. A kill loses at most this work, and a stop waits at most this time. Smaller
# parts would rewrite more files, because a part rewrites every file that contains one of its rows.
_PART_ROWS = 200_000


@dataclass(frozen=True)
class Part(HourRange):
    """A range of whole hours of gold/sentiment.

    Attributes:
        tweets: number of tweets in the part that are the reason to rewrite it.
    """

    tweets: int

    @property
    def where(self) -> str:
        """The SQL condition for the rows of the part, including the rows that do not change.

        Its condition on `tweet_date` prunes the partitions of a table with the earlier layout.
        """
        return self.condition("timestamp", "tweet_date")


def plan_parts(hours: DataFrame) -> list[Part]:
    """Divide the hours with tweets to rewrite into parts, newest first.

    Args:
        hours: the columns `hour` (hours since 1970), `tweets` (number of tweets to rewrite) and `rows` (number of all
            tweets in the hour).
    """
    rows = hours.select("hour", "tweets", "rows").orderBy("hour").collect()
    return _join_hours((row["hour"], row["tweets"], row["rows"]) for row in rows)


def _join_hours(hours: Iterable[tuple[int, int, int]]) -> list[Part]:
    """Join `hours` (hour since 1970, tweets to rewrite, rows) into parts of at most `_PART_ROWS` rows.

    The newest part comes first, because people look at recent tweets first.
    """
    parts: list[Part] = []
    between = 0  # rows in the hours since the last part, which need no rewrite
    for hour, tweets, rows in hours:
        last = parts[-1] if parts else None
        if not tweets:
            between += rows
        elif last and last.rows + between + rows <= _PART_ROWS:
            parts[-1] = Part(last.first, hour + 1, last.rows + between + rows, last.tweets + tweets)
            between = 0
        else:
            parts.append(Part(hour, hour + 1, rows, tweets))
            between = 0
    return parts[::-1]
