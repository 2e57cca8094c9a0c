"""Plan a rescore: find the tweets that another model version scored, and divide them into parts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.scoring.description import ModelVersion

# Rows of a part: some minutes of scoring. A kill loses at most this work, and a stop waits at most this time. Smaller
# parts would rewrite more files, because a part rewrites every file that contains one of its rows.
_PART_ROWS = 200_000


@dataclass(frozen=True)
class Part:
    """A range of whole hours of gold/sentiment.

    Attributes:
        first_hour: first hour, in hours since 1970.
        end_hour: the hour after the last, in hours since 1970.
        tweets: number of tweets in the part that must be scored again.
        rows: number of all tweets in the part.
    """

    first_hour: int
    end_hour: int
    tweets: int
    rows: int

    @property
    def first_day(self) -> date:
        return _time(self.first_hour).date()

    @property
    def last_day(self) -> date:
        return _time(self.end_hour - 1).date()

    @property
    def condition(self) -> str:
        """The SQL condition for the rows of the part, including the rows that need no new score.

        The condition on `tweet_date` prunes the partitions of a table with the earlier layout.
        """
        first, end = (f"TIMESTAMP'{_time(hour):%Y-%m-%dT%H:%M:%SZ}'" for hour in (self.first_hour, self.end_hour))
        days = f"tweet_date >= DATE'{self.first_day}' AND tweet_date <= DATE'{self.last_day}'"
        return f"{days} AND timestamp >= {first} AND timestamp < {end}"


def plan_parts(sentiment: DataFrame, model: ModelVersion, since: date | None) -> list[Part]:
    """Divide the rows of GOLD_SENTIMENT that are stale into parts, newest first; ignore days before `since`."""
    if since is not None:
        sentiment = sentiment.where(F.col("tweet_date") >= F.lit(since))
    hour = F.floor(F.unix_seconds("timestamp") / 3600).alias("hour")
    tweets = F.count_if(is_stale(model)).alias("tweets")
    hours = sentiment.groupBy(hour).agg(tweets, F.count("*").alias("rows")).orderBy("hour").collect()
    return _join_hours((row["hour"], row["tweets"], row["rows"]) for row in hours)


def is_stale(model: ModelVersion) -> Column:
    """Return the condition for rows of GOLD_SENTIMENT that another model or model version scored."""
    return ~(F.col("model").eqNullSafe(model.name) & F.col("model_version").eqNullSafe(model.version))


def _join_hours(hours: Iterable[tuple[int, int, int]]) -> list[Part]:
    """Join `hours` (hour since 1970, tweets to score, rows) into parts of at most `_PART_ROWS` rows.

    The newest part comes first, because people look at recent tweets first.
    """
    parts: list[Part] = []
    between = 0  # rows in the hours after the last part, none of which needs a new score
    for hour, tweets, rows in hours:
        last = parts[-1] if parts else None
        if not tweets:
            between += rows
        elif last and last.rows + between + rows <= _PART_ROWS:
            parts[-1] = Part(last.first_hour, hour + 1, last.tweets + tweets, last.rows + between + rows)
            between = 0
        else:
            parts.append(Part(hour, hour + 1, tweets, rows))
            between = 0
    return parts[::-1]


def _time(hour: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
