"""Queries of the dashboard over the Gold tables, without Spark and without loading a table into memory."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pyarrow as pa

from spark_apps.dashboard import statements
from spark_apps.labels import LABELS
from spark_apps.lake.query import LakeQuery, Statement, Value
from spark_apps.lake.status import LakeStatus
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, HUMAN_LABELS, Table

# Queries read the tweets up to this span, and the aggregates by minute and by day beyond it.
_SHORT_SPAN = timedelta(hours=2)
_MAX_STEPS = 60
_STEP_SECONDS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 604800)
# "Latest" tweets were scored at most this long before the newest one: enough for a median, and few files to read.
_RECENT = timedelta(minutes=15)
# A spike is compared with the median of the 12 steps before it, or of at least 5 at the start of a chart.
_SPIKE_BEFORE = 12
_SPIKE_MIN_BEFORE = 5
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
    """Median and 95th percentile of the seconds from landing to Gold, over the `tweets` scored last."""

    median: float
    p95: float
    tweets: int


def _read(lake: str, table: Table, statement: Statement, *values: Value) -> pd.DataFrame:
    """Run `statement` over `table`; return a frame without rows and columns if the table does not exist yet.

    The statement names the table without its layer: `trends` is gold/trends. For gold/sentiment, it reads the view
    `labelled`.
    """
    query = LakeQuery.open(lake, **{table.name.rpartition("/")[2]: table})
    if query is None:
        return pd.DataFrame()
    if table is GOLD_SENTIMENT:
        query.create_view(statements.LABELLED_VIEW)
    return _frame(query.arrow(statement, *values))


def _frame(result: pa.Table) -> pd.DataFrame:
    # pandas does not know the string views that DataFusion returns.
    fields = [field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field for field in result.schema]
    frame: pd.DataFrame = result.cast(pa.schema(fields)).to_pandas()
    return frame


def _read_counts(
    lake: str, filters: Filters, of_tweets: Statement, of_trends: Statement, *values: Value
) -> pd.DataFrame:
    """Run `of_tweets` over the tweets of a short span, or `of_trends` over the counts by minute of a longer one."""
    table, statement = (GOLD_SENTIMENT, of_tweets) if filters.is_short else (GOLD_TRENDS, of_trends)
    return _read(lake, table, statement, *filters.parameters, *values)


def languages(lake: str) -> list[str]:
    """Return the 50 most frequent languages of all tweets, the most frequent first."""
    frame = _read(lake, GOLD_TRENDS, statements.LANGUAGES)
    return list(frame["lang"]) if len(frame) else []


def sentiment_over_time(lake: str, filters: Filters) -> tuple[pd.DataFrame, int]:
    """Return (time, label, tweets) in at most about 60 steps, and the length of a step in seconds."""
    span = _span(lake, filters)
    if span is None:
        return _fill_gaps(pd.DataFrame(), 60), 60
    first, seconds = span
    # The aggregates have no times shorter than a minute.
    shortest = _STEP_SECONDS[0] if filters.is_short else 60
    step = next((step for step in _STEP_SECONDS if step >= max(shortest, seconds / _MAX_STEPS)), _STEP_SECONDS[-1])
    # Choose the table by `filters`: the span of `charted` may be short although its tweets are old.
    table, statement = (
        (GOLD_SENTIMENT, statements.TWEETS_OVER_TIME)
        if filters.is_short
        else (GOLD_TRENDS, statements.TRENDS_OVER_TIME)
    )
    charted = replace(filters, since=max(first, filters.since) if filters.since else first)
    frame = _read(lake, table, statement, *charted.parameters, timedelta(seconds=step))
    return _fill_gaps(frame, step), step


def _span(lake: str, filters: Filters) -> tuple[datetime, float] | None:
    """Return the 5th percentile of the tweets' times, and the seconds from then to the newest tweet plus a minute.

    If the span began with the oldest tweet, a few tweets that land years late would squeeze all others into one step. A
    short span reads the tweets themselves, because the aggregates lag behind by half a minute.
    """
    frame = _read_counts(lake, filters, statements.SPAN_OF_TWEETS, statements.SPAN_OF_TRENDS)
    if not len(frame) or pd.isna(frame["first"][0]):
        return None
    first = datetime.fromtimestamp(int(frame["first"][0]), UTC)
    return first, float(frame["last"][0] - frame["first"][0]) + 60


def _fill_gaps(frame: pd.DataFrame, step: int) -> pd.DataFrame:
    """Return a row for each step and label, so that a chart shows a gap as 0 instead of a line across."""
    if not len(frame):
        return pd.DataFrame({"time": pd.Series(dtype="datetime64[ns, UTC]"), "label": [], "tweets": []})
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    times = pd.date_range(frame["time"].min(), frame["time"].max(), freq=f"{step}s")
    index = pd.MultiIndex.from_product([times, LABELS], names=["time", "label"])
    return frame.set_index(["time", "label"])["tweets"].reindex(index, fill_value=0).reset_index()


def spikes(over_time: pd.DataFrame) -> pd.DataFrame:
    """Return (time, label, tweets, times) of the steps in which positive or negative tweets rise sharply.

    A spike has at least twice the median of the 12 steps before (`times` is this ratio), exceeds the median by more
    than three times its square root (the noise of a count), and is the first such step in a row. Steps with fewer than
    10 tweets are left out: a stream that resumes after a pause does not spike. A step has one spike at most, of the
    label that rose most.

    Args:
        over_time: result of `sentiment_over_time`, (time, label, tweets).
    """
    rises: list[pd.DataFrame] = []
    active = over_time.groupby("time")["tweets"].transform("sum") >= _SPIKE_TWEETS
    for _, series in over_time.where(active).dropna().groupby("label", sort=False):
        counts = series["tweets"].astype(float)
        usual = counts.rolling(_SPIKE_BEFORE, min_periods=_SPIKE_MIN_BEFORE).median().shift(1).clip(lower=1)
        above = (counts >= _SPIKE_TWEETS) & (counts >= _SPIKE_FACTOR * usual) & (counts > usual + 3 * usual**0.5)
        first = above & ~above.shift(1, fill_value=False)
        rises.append(series[first].assign(times=(counts / usual)[first]))
    columns = ["time", "label", "tweets", "times"]
    marked = pd.concat(rises)[columns] if rises else pd.DataFrame({name: [] for name in columns})
    strongest = marked[marked["label"] != "neutral"].sort_values("times").drop_duplicates("time", keep="last")
    return strongest.sort_values("time").reset_index(drop=True)


def totals(lake: str, filters: Filters) -> dict[str, int]:
    """Return the number of tweets by label."""
    frame = _read_counts(lake, filters, statements.TOTALS_OF_TWEETS, statements.TOTALS_OF_TRENDS)
    counts = dict(zip(frame["label"], frame["tweets"], strict=True)) if len(frame) else {}
    return {label: int(counts.get(label, 0)) for label in LABELS}


def by_language(lake: str, filters: Filters, limit: int) -> pd.DataFrame:
    """Return (lang, negative, neutral, positive): the tweets of the `limit` most frequent languages by label."""
    frame = _read_counts(lake, filters, statements.LANGUAGES_IN_TWEETS, statements.LANGUAGES_IN_TRENDS, limit)
    return frame if len(frame) else pd.DataFrame({name: [] for name in ("lang", *LABELS)})


def top_mentions(lake: str, filters: Filters, limit: int = 10) -> pd.DataFrame:
    """Return (mention, label, tweets, total) of the `limit` most mentioned accounts, one row per account and label.

    A long span begins with a whole day, because gold/mentions counts by day.
    """
    if filters.is_short:
        frame = _read(lake, GOLD_SENTIMENT, statements.MENTIONS_IN_TWEETS, *filters.parameters, limit)
    else:
        _, day, langs = filters.parameters
        frame = _read(lake, GOLD_MENTIONS, statements.MENTIONS_BY_DAY, day, langs, limit)
    if not len(frame):
        return pd.DataFrame({"mention": [], "label": [], "tweets": [], "total": []})
    return frame.melt(["mention", "total"], list(LABELS), "label", "tweets")


def latest(lake: str, status: LakeStatus, filters: Filters, limit: int = 12) -> pd.DataFrame:
    """Return up to `limit` tweets scored last, with the columns `statements.LATEST_COLUMNS`, the newest first."""
    recent = _recent(status)
    frame = _read(lake, GOLD_SENTIMENT, statements.LATEST, *filters.parameters, recent, limit)
    if recent and not len(frame):
        # This query reads all files. It runs only if the filters leave no tweet of the last quarter of an hour.
        frame = _read(lake, GOLD_SENTIMENT, statements.LATEST, *filters.parameters, None, limit)
    return frame if len(frame) else pd.DataFrame({name: [] for name in statements.LATEST_COLUMNS})


def uncertain(lake: str, status: LakeStatus, filters: Filters, words: str | None, limit: int) -> pd.DataFrame:
    """Return recent tweets that no person has labelled, the least certain first: `statements.UNCERTAIN_COLUMNS`.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        status: status of the lake.
        filters: time span and languages.
        words: only tweets that contain these words, in any case; None for all.
        limit: maximum number of tweets.
    """
    labels = {"human_labels": HUMAN_LABELS} if status.tables[HUMAN_LABELS.name].exists else {}
    query = LakeQuery.open(lake, sentiment=GOLD_SENTIMENT, **labels)
    if query is None:
        return pd.DataFrame({name: [] for name in statements.UNCERTAIN_COLUMNS})
    query.create_view(statements.LABELLED_VIEW)
    if not labels:
        query.create_view(statements.NO_HUMAN_LABELS_VIEW)
    return _frame(query.arrow(statements.UNCERTAIN, *filters.parameters, _recent(status), words, limit))


def freshness(lake: str, status: LakeStatus) -> Freshness | None:
    """Measure the time from landing to Gold over the last quarter of an hour of scoring; return None without tweets."""
    frame = _read(lake, GOLD_SENTIMENT, statements.FRESHNESS, _recent(status))
    if not len(frame) or not frame["tweets"][0]:
        return None
    return Freshness(float(frame["median"][0]), float(frame["p95"][0]), int(frame["tweets"][0]))


def _recent(status: LakeStatus) -> datetime | None:
    """Return the start of the last quarter of an hour of scoring; None if no tweet is scored."""
    newest = status.tables[GOLD_SENTIMENT.name].newest
    return newest - _RECENT if newest else None


def newest_model_version(lake: str, status: LakeStatus) -> str | None:
    """Return the version that scored the newest tweet; None if no tweet is scored."""
    tweets = latest(lake, status, Filters(), 1)
    return str(tweets["model_version"][0]) if len(tweets) else None
