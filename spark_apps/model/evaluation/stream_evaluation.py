"""The figures of the stream itself: gold/sentiment against the labels that came with the tweets, read without Spark."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from spark_apps.errors import UserError
from spark_apps.labels import LABELS
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.model.evaluation.evaluate import PERCENTILES
from spark_apps.model.evaluation.metrics import BINS, Quality
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS, Table


class StreamFiguresError(UserError):
    """A lake on which nothing can be measured; the text says why."""


@dataclass(frozen=True)
class VersionFigures:
    """What one version of the model did in the stream.

    `latency_seconds` is from landing to Gold, its percentiles approximate (t-digest); the rate is the mean between the
    first and the last tweet scored, None where that is no time at all.
    """

    quality: Quality
    latency_seconds: dict[str, float]
    tweets_per_second: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self.quality) | {
            "latency_seconds": self.latency_seconds,
            "tweets_per_second": self.tweets_per_second,
        }


@dataclass(frozen=True)
class StreamFigures:
    """All labelled tweets of a lake together, and by the version that scored them.

    `tables` are the versions of the Delta tables that were read; `waiting` tweets have a label and no score yet.
    """

    lake: str
    tables: dict[str, int]
    waiting: int
    total: VersionFigures
    versions: dict[str, VersionFigures]

    def to_dict(self) -> dict[str, Any]:
        """Return what `evaluate --lake … --json` prints: the figures of all tweets at the top."""
        return {
            **self.total.to_dict(),
            "lake": self.lake,
            "tables": self.tables,
            "waiting": self.waiting,
            "versions": {version: figures.to_dict() for version, figures in self.versions.items()},
        }


# A tweet is one row of either table, with one date.
_JOINED = "silver s JOIN gold g ON s.tweet_date = g.tweet_date AND s.id = g.id WHERE s.truth IS NOT NULL"
_COUNTS = f"""
    SELECT g.model_version AS version, s.truth AS truth, g.label AS label,
           greatest(CAST(ceil(CAST(g.score AS DOUBLE) * {BINS}) AS BIGINT), 1) - 1 AS bin,
           count(*) AS tweets, sum(CAST(g.score AS DOUBLE)) AS confidence
    FROM {_JOINED} GROUP BY 1, 2, 3, 4"""


def measure_stream(lake: str) -> StreamFigures:
    """Measure the stream of `lake`, a folder or s3a:// URI; `StreamFiguresError` where it has no labels to hold to."""
    silver, gold = _open(lake, SILVER_TWEETS), _open(lake, GOLD_SENTIMENT)
    query = QueryBuilder().register("silver", silver).register("gold", gold)
    (had,) = _rows(query, "SELECT count(*) AS tweets, count(truth) AS labelled FROM silver")
    if not had["labelled"]:
        raise StreamFiguresError(
            f"none of the {had['tweets']:,} tweets in {SILVER_TWEETS.path(lake)} came with a label (column truth), "
            "as those of the course form and of the flat form may: measure labelled tweets with --data instead"
        )
    counts = _rows(query, _COUNTS)
    if not counts:
        raise StreamFiguresError(
            f"none of the {had['labelled']:,} labelled tweets of {lake} is scored yet: "
            f"run tweet-sentiment run gold --lake {lake}"
        )
    total = _figures(counts, _rows(query, _times("'all'"))[0])
    times = sorted(_rows(query, _times("g.model_version")), key=lambda row: (len(row["version"]), row["version"]))
    return StreamFigures(
        lake=lake,
        tables={SILVER_TWEETS.name: silver.version(), GOLD_SENTIMENT.name: gold.version()},
        waiting=int(had["labelled"]) - total.quality.tweets,
        total=total,
        versions={
            row["version"]: _figures([count for count in counts if count["version"] == row["version"]], row)
            for row in times
        },
    )


def _times(version: str) -> str:
    """Return the query of the times from landing to Gold, one row for each value of the expression `version`."""
    seconds = "extract(epoch FROM g.scored_at) - extract(epoch FROM g.landed_at)"
    cuts = ", ".join(f"approx_percentile_cont({seconds}, {cut / 100}) AS p{cut}" for cut in PERCENTILES)
    scored = "extract(epoch FROM g.scored_at)"
    return f"SELECT {version} AS version, {cuts}, max({scored}) - min({scored}) AS span FROM {_JOINED} GROUP BY 1"


def _open(lake: str, table: Table) -> DeltaTable:
    try:
        found = open_table(lake, table)
    except LakeError as error:
        raise StreamFiguresError(str(error)) from error
    if found is None:
        raise StreamFiguresError(f"{table.path(lake)} is not there yet: run the streams over this lake first")
    return found


def _rows(query: QueryBuilder, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.table(query.execute(sql)).to_pylist()
    return found


def _figures(counts: list[dict[str, Any]], times: dict[str, Any]) -> VersionFigures:
    matrix = np.zeros((len(LABELS), len(LABELS)), np.int64)
    tweets, confidences, hits = np.zeros(BINS, np.int64), np.zeros(BINS), np.zeros(BINS, np.int64)
    for row in counts:
        matrix[LABELS.index(row["truth"]), LABELS.index(row["label"])] += row["tweets"]
        tweets[row["bin"]] += row["tweets"]
        confidences[row["bin"]] += row["confidence"]
        hits[row["bin"]] += row["tweets"] * (row["truth"] == row["label"])
    span = float(times["span"])
    return VersionFigures(
        quality=Quality.from_counts(matrix, tweets, confidences, hits),
        latency_seconds={f"p{cut}": round(float(times[f"p{cut}"]), 3) for cut in PERCENTILES},
        tweets_per_second=round(int(matrix.sum()) / span, 1) if span else None,
    )
