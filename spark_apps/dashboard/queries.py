"""Queries of the dashboard over the Gold tables, without Spark and without loading a table into memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pyarrow as pa

from spark_apps.dashboard import statements
from spark_apps.labels import LABELS
from spark_apps.lake.query import LakeQuery, Statement, Value
from spark_apps.lake.status import LakeStatus
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, Table

# Up to this span the queries read the tweets themselves, above it the aggregates by minute and by day.
_SHORT_SPAN = timedelta(hours=2)
_MAX_STEPS = 60
_STEPS_SECONDS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 604800)
# The rows scored last: enough for a median, and few files to read.
_RECENT = timedelta(minutes=15)
_SPIKE_BEFORE = 12
_SPIKE_FACTOR = 2.0
_SPIKE_TWEETS = 10


@dataclass(frozen=True)
class Filters:
    """Tweets with a timestamp from `since` (UTC; None: no lower bound) in one of `langs` (empty: all languages)."""

    since: datetime | None = None
    langs: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[datetime | None, date | None, tuple[str, ...] | None]:
        """The first three parameters of a statement: earliest timestamp, day of that timestamp, languages."""
        return self.since, self.since.astimezone(UTC).date() if self.since else None, self.langs or None

    @property
    def is_short(self) -> bool:
        """Whether the span is short enough to read the tweets themselves."""
        return self.since is not None and datetime.now(UTC) - self.since <= _SHORT_SPAN


@dataclass(frozen=True)
class Freshness:
    """Median and 95th percentile of the seconds from landing to Gold, over `tweets` tweets scored last."""

    median: float
    p95: float
    tweets: int


def _read(lake: str, name: str, table: Table, statement: Statement, *values: Value) -> pd.DataFrame:
    """Run `statement` over `table`, called `name` in the statement; return no rows if the table does not exist."""
    query = LakeQuery.open(lake, **{name: table})
    return pd.DataFrame() if query is None else _run(query, statement, *values)


def _run(query: LakeQuery, statement: Statement, *values: Value) -> pd.DataFrame:
    result = query.arrow(statement, *values)
    # pandas does not know the string views that DataFusion returns.
    fields = [field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field for field in result.schema]
    frame: pd.DataFrame = result.cast(pa.schema(fields)).to_pandas()
    return frame


def _sentiment(lake: str, statement: Statement, *values: Value) -> pd.DataFrame:
    query = LakeQuery.open(lake, gold=GOLD_SENTIMENT)
    if query is None:
        return pd.DataFrame()
    query.create_view(statements.LABELLED)
    return _run(query, statement, *values)


def _trends(lake: str, statement: Statement, *values: Value) -> pd.DataFrame:
    return _read(lake, "trends", GOLD_TRENDS, statement, *values)


def languages(lake: str) -> list[str]:
    """Return the 50 most frequent languages of all tweets, the most frequent first."""
    frame = _trends(lake, statements.LANGUAGES)
    return list(frame["lang"]) if len(frame) else []


def sentiment_over_time(lake: str, filters: Filters) -> tuple[pd.DataFrame, int]:
    """Return (time, label, tweets) in about 60 steps, and the length of a step in seconds."""
    span = _span(lake, filters)
    if span is None:
        return _fill_gaps(pd.DataFrame(), 60), 60
    first, seconds = span
    shortest = _STEPS_SECONDS[0] if filters.is_short else 60
    step = next((step for step in _STEPS_SECONDS if step >= max(shortest, seconds / _MAX_STEPS)), _STEPS_SECONDS[-1])
    charted = replace(filters, since=max(first, filters.since) if filters.since else first)
    if filters.is_short:
        frame = _sentiment(lake, statements.TWEETS_OVER_TIME, *charted.parameters, timedelta(seconds=step))
    else:
        frame = _trends(lake, statements.TRENDS_OVER_TIME, *charted.parameters, timedelta(seconds=step))
    return _fill_gaps(frame, step), step


def _span(lake: str, filters: Filters) -> tuple[datetime, float] | None:
    """Return the time at which the bulk of the tweets begins, and the seconds from there to the last tweet.

    Without the percentile, a few tweets that arrive hours or years late would press all others into one step. A short
    span reads the tweets themselves, because they arrive half a minute before their aggregates.
    """
    if filters.is_short:
        frame = _sentiment(lake, statements.SPAN_OF_TWEETS, *filters.parameters)
    else:
        frame = _trends(lake, statements.SPAN_OF_TRENDS, *filters.parameters)
    if not len(frame) or pd.isna(frame["first"][0]):
        return None
    first = datetime.fromtimestamp(int(frame["first"][0]), UTC)
    return first, float(frame["last"][0] - frame["first"][0]) + 60


def _fill_gaps(frame: pd.DataFrame, step: int) -> pd.DataFrame:
    """Give each step a row for each label, so that a chart shows a gap as 0 and draws no line across."""
    if not len(frame):
        return pd.DataFrame({"time": pd.Series(dtype="datetime64[ns, UTC]"), "label": [], "tweets": []})
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    times = pd.date_range(frame["time"].min(), frame["time"].max(), freq=f"{step}s")
    index = pd.MultiIndex.from_product([times, LABELS], names=["time", "label"])
    return frame.set_index(["time", "label"])["tweets"].reindex(index, fill_value=0).reset_index()


def spikes(over_time: pd.DataFrame) -> pd.DataFrame:
    """Return (time, label, tweets, times) of the steps in which a label rises sharply.

    A spike has at least twice the median of the 12 steps before, exceeds that median by more than three times its
    square root (the noise of a count), and is the first such step in a row. Steps with fewer than 10 tweets are left
    out, so a stream that resumes after a pause is no spike.
    """
    rises: list[pd.DataFrame] = []
    active = over_time.groupby("time")["tweets"].transform("sum") >= _SPIKE_TWEETS
    for _, series in over_time.where(active).dropna().groupby("label", sort=False):
        counts = series["tweets"].astype(float)
        usual = counts.rolling(_SPIKE_BEFORE, min_periods=5).median().shift(1).clip(lower=1)
        above = (counts >= _SPIKE_TWEETS) & (counts >= _SPIKE_FACTOR * usual) & (counts > usual + 3 * usual**0.5)
        first = above & ~above.shift(1, fill_value=False)
        rises.append(series[first].assign(times=(counts / usual)[first]))
    columns = ["time", "label", "tweets", "times"]
    marked = pd.concat(rises)[columns] if rises else pd.DataFrame({name: [] for name in columns})
    # One mark a step, for the label that rose most.
    strongest = marked[marked["label"] != "neutral"].sort_values("times").drop_duplicates("time", keep="last")
    return strongest.sort_values("time").reset_index(drop=True)


def totals(lake: str, filters: Filters) -> dict[str, int]:
    """Return the number of tweets by label."""
    if filters.is_short:
        frame = _sentiment(lake, statements.TOTALS_OF_TWEETS, *filters.parameters)
    else:
        frame = _trends(lake, statements.TOTALS_OF_TRENDS, *filters.parameters)
    counts = dict(zip(frame["label"], frame["tweets"], strict=True)) if len(frame) else {}
    return {label: int(counts.get(label, 0)) for label in LABELS}


def top_mentions(lake: str, filters: Filters, limit: int = 10) -> pd.DataFrame:
    """Return (mention, label, tweets, total) of the `limit` accounts mentioned most, by number of mentions."""
    if filters.is_short:
        frame = _sentiment(lake, statements.MENTIONS_IN_TWEETS, *filters.parameters, limit)
    else:
        _, day, langs = filters.parameters
        frame = _read(lake, "mentions", GOLD_MENTIONS, statements.MENTIONS_BY_DAY, day, langs, limit)
    if not len(frame):
        return pd.DataFrame({"mention": [], "label": [], "tweets": [], "total": []})
    return frame.melt(["mention", "total"], list(LABELS), "label", "tweets")


def latest(lake: str, status: LakeStatus, filters: Filters, limit: int = 12) -> pd.DataFrame:
    """Return the `limit` tweets scored last, with the columns `statements.LATEST_COLUMNS`, the newest first."""
    scored_since = _recent(status)
    # Nearly always the newest quarter of an hour has enough tweets; only without any does the query read all files.
    for since in (scored_since, None) if scored_since else (None,):
        frame = _sentiment(lake, statements.LATEST, *filters.parameters, since, limit)
        if len(frame):
            return frame
    return pd.DataFrame({name: [] for name in statements.LATEST_COLUMNS})


def freshness(lake: str, status: LakeStatus) -> Freshness | None:
    """Measure landing → Gold over the last quarter of an hour of scoring; return None without tweets."""
    frame = _sentiment(lake, statements.FRESHNESS, _recent(status))
    if not len(frame) or not frame["tweets"][0]:
        return None
    return Freshness(float(frame["median"][0]), float(frame["p95"][0]), int(frame["tweets"][0]))


def _recent(status: LakeStatus) -> datetime | None:
    """Return the start of the last quarter of an hour of scoring."""
    newest = status.tables[GOLD_SENTIMENT.name].newest
    return newest - _RECENT if newest else None


def model_versions(tweets: pd.DataFrame) -> Sequence[str]:
    """Return the versions that scored the tweets of `latest`, the newest first."""
    return list(dict.fromkeys(tweets["model_version"])) if len(tweets) else []
