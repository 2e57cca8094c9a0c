"""What the dashboard shows, read from the Gold tables by deltalake and DataFusion: no Spark, no table held in memory.

Into a query goes nothing from outside but through `_text`, `_instant` or `int`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
from deltalake import QueryBuilder

from spark_apps.labels import LABELS
from spark_apps.lake.commits import open_table
from spark_apps.lake.status import LakeStatus
from spark_apps.tables import GOLD_MENTIONS, GOLD_SENTIMENT, GOLD_TRENDS, Table

# Up to this span the tweets themselves are read, above it the aggregates of minutes and days.
_CLOSE = timedelta(hours=2)
_BINS = 60
_STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 604800)
# The rows that were written last: enough for a median, and few files.
_FRESH = timedelta(minutes=15)
# The share of tweets that may have been written before the charts begin.
_LATE = 0.05
_SPIKE_BEFORE = 12
_SPIKE_FACTOR = 2.0
_SPIKE_TWEETS = 10


@dataclass(frozen=True)
class Filters:
    """Tweets written since `since` (UTC; None: ever) in one of `langs` (none given: in all)."""

    since: datetime | None = None
    langs: tuple[str, ...] = ()

    def where(self, time: str) -> str:
        """Return the condition on the time column `time` and on lang."""
        conditions = ["true"]
        if self.since:
            conditions.append(f"{time} >= {_instant(self.since)}")
            # The partition is pruned by its own column only.
            conditions.append(f"tweet_date >= DATE '{self.since:%Y-%m-%d}'")
        if self.langs:
            conditions.append(f"lang IN ({', '.join(_text(lang) for lang in self.langs)})")
        return " AND ".join(conditions)

    @property
    def close(self) -> bool:
        return self.since is not None and datetime.now(UTC) - self.since <= _CLOSE


@dataclass(frozen=True)
class Freshness:
    """Seconds from landing to Gold of the tweets that were scored last: median and 95th percentile, of how many."""

    median: float
    p95: float
    tweets: int


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _instant(time: datetime) -> str:
    return f"TIMESTAMP '{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"


def _query(lake: str, table: Table, sql: str) -> pd.DataFrame:
    """Run `sql` over the table, which it calls t; no rows where the table is not there yet."""
    delta = open_table(lake, table)
    if delta is None:
        return pd.DataFrame()
    found = pa.table(QueryBuilder().register("t", delta).execute(sql))
    # Strings of the views that DataFusion makes: pandas knows plain ones.
    plain = [field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field for field in found.schema]
    frame: pd.DataFrame = found.cast(pa.schema(plain)).to_pandas()
    return frame


def languages(lake: str) -> list[str]:
    """Return the languages of all tweets, the most frequent first."""
    found = _query(lake, GOLD_TRENDS, "SELECT lang, sum(tweets) n FROM t GROUP BY lang ORDER BY n DESC, lang LIMIT 50")
    return list(found["lang"]) if len(found) else []


def sentiment_over_time(lake: str, filters: Filters) -> tuple[pd.DataFrame, int]:
    """Return (time, label, tweets) in about 60 steps, and the length of a step in seconds."""
    span = _span(lake, filters)
    if span is None:
        return _filled(pd.DataFrame(), 60), 60
    first, seconds = span
    least = _STEPS[0] if filters.close else 60
    step = next((step for step in _STEPS if step >= max(least, seconds / _BINS)), _STEPS[-1])
    shown = replace(filters, since=max(first, filters.since) if filters.since else first)
    if filters.close:
        sql = f"""SELECT date_bin(INTERVAL '{step} seconds', timestamp) AS time, label, count(*) AS tweets
                  FROM t WHERE {shown.where("timestamp")} GROUP BY 1, 2 ORDER BY 1"""
        return _filled(_query(lake, GOLD_SENTIMENT, sql), step), step
    sql = f"""SELECT date_bin(INTERVAL '{step} seconds', minute) AS time, label, CAST(sum(tweets) AS BIGINT) AS tweets
              FROM t WHERE {shown.where("minute")} GROUP BY 1, 2 ORDER BY 1"""
    return _filled(_query(lake, GOLD_TRENDS, sql), step), step


def _span(lake: str, filters: Filters) -> tuple[datetime, float] | None:
    """Return where the bulk of the tweets begins, and the seconds from there to the last of them.

    A few tweets that come late, by hours or years, would else press all others into one step.
    """
    # Where the charts read the tweets themselves, those are there half a minute before their aggregates.
    table, time, percentile = (
        (GOLD_SENTIMENT, "timestamp", f"approx_percentile_cont({_LATE})")
        if filters.close
        else (GOLD_TRENDS, "minute", f"approx_percentile_cont_with_weight(tweets, {_LATE})")
    )
    sql = f"""SELECT {percentile} WITHIN GROUP (ORDER BY CAST(extract(epoch FROM {time}) AS BIGINT)) AS first,
                     CAST(max(extract(epoch FROM {time})) AS BIGINT) AS last
              FROM t WHERE {filters.where(time)}"""
    found = _query(lake, table, sql)
    if not len(found) or pd.isna(found["first"][0]):
        return None
    first = datetime.fromtimestamp(int(found["first"][0]), UTC)
    return first, float(found["last"][0] - found["first"][0]) + 60


def _filled(found: pd.DataFrame, step: int) -> pd.DataFrame:
    """Give each step a row for each label: no tweets are 0, not a line drawn across the gap."""
    if not len(found):
        return pd.DataFrame({"time": pd.Series(dtype="datetime64[ns, UTC]"), "label": [], "tweets": []})
    found["time"] = pd.to_datetime(found["time"], utc=True)
    times = pd.date_range(found["time"].min(), found["time"].max(), freq=f"{step}s")
    index = pd.MultiIndex.from_product([times, LABELS], names=["time", "label"])
    return found.set_index(["time", "label"])["tweets"].reindex(index, fill_value=0).reset_index()


def spikes(over_time: pd.DataFrame) -> pd.DataFrame:
    """Return (time, label, tweets, times) of the steps in which a mood came far more often than just before.

    That is at least twice as often as in the median of the 12 steps before, by more than three times the root of
    that median (what chance alone does to a count), and the first such step in a row. Steps with hardly a tweet
    tell nothing of what is usual: after a pause, a stream that goes on is no spike.
    """
    found: list[pd.DataFrame] = []
    active = over_time.groupby("time")["tweets"].transform("sum") >= _SPIKE_TWEETS
    for _, series in over_time.where(active).dropna().groupby("label", sort=False):
        counts = series["tweets"].astype(float)
        usual = counts.rolling(_SPIKE_BEFORE, min_periods=5).median().shift(1).clip(lower=1)
        above = (counts >= _SPIKE_TWEETS) & (counts >= _SPIKE_FACTOR * usual) & (counts > usual + 3 * usual**0.5)
        first = above & ~above.shift(1, fill_value=False)
        found.append(series[first].assign(times=(counts / usual)[first]))
    columns = ["time", "label", "tweets", "times"]
    marked = pd.concat(found)[columns] if found else pd.DataFrame({name: [] for name in columns})
    # One mark a step: that of the mood which rose most.
    strongest = marked[marked["label"] != "neutral"].sort_values("times").drop_duplicates("time", keep="last")
    return strongest.sort_values("time").reset_index(drop=True)


def totals(lake: str, filters: Filters) -> dict[str, int]:
    """Return the number of tweets by label."""
    if filters.close:
        sql = f"SELECT label, count(*) AS tweets FROM t WHERE {filters.where('timestamp')} GROUP BY label"
        found = _query(lake, GOLD_SENTIMENT, sql)
    else:
        sql = f"SELECT label, CAST(sum(tweets) AS BIGINT) AS tweets FROM t WHERE {filters.where('minute')} GROUP BY 1"
        found = _query(lake, GOLD_TRENDS, sql)
    counts = dict(zip(found["label"], found["tweets"], strict=True)) if len(found) else {}
    return {label: int(counts.get(label, 0)) for label in LABELS}


def top_mentions(lake: str, filters: Filters, most: int = 10) -> pd.DataFrame:
    """Return (mention, label, tweets, total) of the accounts that are mentioned most, the first the most."""
    if filters.close:
        table, sums = GOLD_SENTIMENT, [f"count(*) FILTER (WHERE label = '{label}') AS {label}" for label in LABELS]
        source = f"(SELECT unnest(mentions) AS mention, label FROM t WHERE {filters.where('timestamp')})"
        total = "count(*)"
    else:
        table, sums = GOLD_MENTIONS, [f"CAST(sum({label}) AS BIGINT) AS {label}" for label in LABELS]
        day = filters.since and f"tweet_date >= DATE '{filters.since:%Y-%m-%d}'"
        lang = Filters(None, filters.langs).where("last_seen")
        source, total = f"(SELECT * FROM t WHERE {day or 'true'} AND {lang})", "CAST(sum(total) AS BIGINT)"
    sql = f"""SELECT mention, {", ".join(sums)}, {total} AS total FROM {source}
              GROUP BY mention ORDER BY total DESC, mention LIMIT {int(most)}"""
    found = _query(lake, table, sql)
    if not len(found):
        return pd.DataFrame({"mention": [], "label": [], "tweets": [], "total": []})
    return found.melt(["mention", "total"], list(LABELS), "label", "tweets")


def latest(lake: str, status: LakeStatus, filters: Filters, most: int = 12) -> pd.DataFrame:
    """Return the tweets that were scored last: id, time, lang, text, label, score and the version that scored them."""
    columns = "id, timestamp, lang, full_text, label, score, model_version, scored_at, landed_at"
    recent = _recent(status, _FRESH)
    for scored in (recent, "true") if recent != "true" else (recent,):
        sql = f"""SELECT {columns} FROM t WHERE {scored} AND {filters.where("timestamp")}
                  ORDER BY scored_at DESC, timestamp DESC LIMIT {int(most)}"""
        found = _query(lake, GOLD_SENTIMENT, sql)
        if len(found):
            return found
    return pd.DataFrame({name: [] for name in columns.split(", ")})


def freshness(lake: str, status: LakeStatus) -> Freshness | None:
    """Measure landing → Gold over the tweets of the last quarter of an hour of scoring; None where there are none."""
    sql = f"""WITH waited AS (
                SELECT extract(epoch FROM scored_at) - extract(epoch FROM landed_at) AS seconds FROM t
                WHERE {_recent(status, _FRESH)})
              SELECT approx_percentile_cont(seconds, 0.5) AS median, approx_percentile_cont(seconds, 0.95) AS p95,
                     count(*) AS tweets FROM waited"""
    found = _query(lake, GOLD_SENTIMENT, sql)
    if not len(found) or not found["tweets"][0]:
        return None
    return Freshness(float(found["median"][0]), float(found["p95"][0]), int(found["tweets"][0]))


def _recent(status: LakeStatus, span: timedelta) -> str:
    newest = status.tables[GOLD_SENTIMENT.name].newest
    return f"scored_at >= {_instant(newest - span)}" if newest else "true"


def model_versions(found: pd.DataFrame) -> Sequence[str]:
    """Return the versions that scored the tweets of `latest`, the newest first."""
    return list(dict.fromkeys(found["model_version"])) if len(found) else []
