"""Plan a rescore: find the tweets that another model version scored, and divide them into parts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.scoring.description import ModelVersion

# Some minutes of scoring: the work that a kill loses, and the time that a stop takes. With smaller parts, more files
# would be rewritten, because a part rewrites every file that contains one of its rows.
_PART_TWEETS = 200_000


@dataclass(frozen=True)
class Part:
    """Whole hours of one day.

    `first_hour` is the first hour and `end_hour` the hour after the last, both in hours since 1970. `tweets` is the
    number of tweets in the part that must be scored again.
    """

    day: date
    first_hour: int
    end_hour: int
    tweets: int

    @property
    def condition(self) -> str:
        """The SQL condition for the rows of the part, including the rows that need no new score."""
        first, end = _timestamp(self.first_hour), _timestamp(self.end_hour)
        return f"tweet_date = DATE'{self.day}' AND timestamp >= {first} AND timestamp < {end}"


def plan_parts(sentiment: DataFrame, model: ModelVersion, since: date | None) -> list[Part]:
    """Divide the stale tweets among the rows of GOLD_SENTIMENT into parts, the newest first.

    A day before `since` is left as it is.
    """
    stale = sentiment.where(is_stale(model))
    if since is not None:
        stale = stale.where(F.col("tweet_date") >= F.lit(since))
    hour = F.floor(F.unix_seconds("timestamp") / 3600).alias("hour")
    rows = stale.groupBy("tweet_date", hour).agg(F.count("*").alias("tweets")).orderBy("tweet_date", "hour").collect()
    return _join_hours((row["tweet_date"], row["hour"], row["tweets"]) for row in rows)


def is_stale(model: ModelVersion) -> Column:
    """Return the condition for rows of GOLD_SENTIMENT that another model or version scored."""
    return ~(F.col("model").eqNullSafe(model.name) & F.col("model_version").eqNullSafe(model.version))


def _join_hours(hours: Iterable[tuple[date, int, int]]) -> list[Part]:
    """Join consecutive `hours` (day, hour since 1970, tweets) of a day into parts.

    The newest part comes first, because people look at recent tweets first.
    """
    parts: list[Part] = []
    for day, hour, tweets in hours:
        last = parts[-1] if parts else None
        if last and last.day == day and last.tweets + tweets <= _PART_TWEETS:
            parts[-1] = replace(last, end_hour=hour + 1, tweets=last.tweets + tweets)
        else:
            parts.append(Part(day, hour, hour + 1, tweets))
    return parts[::-1]


def _timestamp(hour: int) -> str:
    return f"TIMESTAMP'{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}'"
