"""Evaluates a stream without Spark: compares gold/sentiment with the labels that came with the tweets."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spark_apps.errors import UserError
from spark_apps.labels import LABELS
from spark_apps.lake.commits import LakeError, open_table
from spark_apps.lake.query import LakeQuery, Statement
from spark_apps.model.evaluation.evaluate import PERCENTILES
from spark_apps.model.evaluation.metrics import BINS, Quality
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS


class StreamEvaluationError(UserError):
    """The lake has no labelled and scored tweets, or is not readable."""


@dataclass(frozen=True)
class VersionEvaluation:
    """Figures of one model version in the stream.

    `latency_seconds` has approximate percentiles (t-digest) of the time from landing to Gold. `tweets_per_second` is
    the mean rate from the first to the last tweet scored; None if all have the same time.
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
class StreamEvaluation:
    """Figures of all labelled tweets of a lake, together and by the version that scored them.

    `tables` maps the name of each Delta table to the version that was read. `waiting` is the number of labelled tweets
    without a score.
    """

    lake: str
    tables: dict[str, int]
    waiting: int
    total: VersionEvaluation
    versions: dict[str, VersionEvaluation]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of `model evaluate --lake`: the figures of all tweets at the top level."""
        return {
            **self.total.to_dict(),
            "lake": self.lake,
            "tables": self.tables,
            "waiting": self.waiting,
            "versions": {version: figures.to_dict() for version, figures in self.versions.items()},
        }


# Both tables have one row per tweet, with the same tweet_date: the condition on the date only prunes files.
_LABELLED = """
    CREATE VIEW labelled AS
    SELECT g.model_version AS version, s.truth AS truth, g.label AS label, CAST(g.score AS DOUBLE) AS score,
           extract(epoch FROM g.scored_at) AS scored, extract(epoch FROM g.landed_at) AS landed
    FROM silver s JOIN gold g ON s.tweet_date = g.tweet_date AND s.id = g.id
    WHERE s.truth IS NOT NULL AND g.label IS NOT NULL
"""
_TWEETS = Statement("SELECT count(*) AS tweets, count(truth) AS labelled FROM silver")
# $1 is the number of calibration bins.
_COUNTS = Statement(
    """
    SELECT version, truth, label, greatest(CAST(ceil(score * $1) AS BIGINT), 1) - 1 AS bin,
           count(*) AS tweets, sum(score) AS confidence
    FROM labelled GROUP BY 1, 2, 3, 4
    """,
    "BIGINT",
)
# One row for each version, and one with version NULL for all versions together.
_TIMES = Statement(
    """
    SELECT version, approx_percentile_cont(scored - landed, 0.5) AS p50,
           approx_percentile_cont(scored - landed, 0.95) AS p95, approx_percentile_cont(scored - landed, 0.99) AS p99,
           max(scored) - min(scored) AS span
    FROM labelled GROUP BY GROUPING SETS ((), (version))
    """
)


def evaluate_stream(lake: str) -> StreamEvaluation:
    """Evaluate the stream of `lake`, a folder or s3a:// URI.

    Raises:
        StreamEvaluationError: a table is missing or not readable, or no labelled tweet is scored.
    """
    try:
        return _evaluate(lake, _open(lake))
    except LakeError as error:
        raise StreamEvaluationError(str(error)) from error


def _evaluate(lake: str, query: LakeQuery) -> StreamEvaluation:
    (silver,) = query.rows(_TWEETS)
    if not silver["labelled"]:
        raise StreamEvaluationError(
            f"none of the {silver['tweets']:,} tweets in {SILVER_TWEETS.path(lake)} has a label (column truth): "
            "land tweets in the course format or the flat format with a label, or evaluate a labelled split with --data"
        )
    counts = query.rows(_COUNTS, BINS)
    if not counts:
        raise StreamEvaluationError(
            f"none of the {silver['labelled']:,} labelled tweets of {lake} is scored yet: "
            f"run tweet-sentiment run gold --lake {lake}"
        )
    times = {row["version"]: row for row in query.rows(_TIMES)}
    total = _figures(counts, times.pop(None))
    return StreamEvaluation(
        lake=lake,
        tables={
            SILVER_TWEETS.name: query.tables["silver"].version(),
            GOLD_SENTIMENT.name: query.tables["gold"].version(),
        },
        waiting=int(silver["labelled"]) - total.quality.tweets,
        total=total,
        versions={
            version: _figures([row for row in counts if row["version"] == version], times[version])
            for version in sorted(times, key=lambda version: (len(version), version))
        },
    )


def _open(lake: str) -> LakeQuery:
    query = LakeQuery.open(lake, silver=SILVER_TWEETS, gold=GOLD_SENTIMENT)
    if query is None:
        missing = next(table for table in (SILVER_TWEETS, GOLD_SENTIMENT) if open_table(lake, table) is None)
        raise StreamEvaluationError(f"{missing.path(lake)} does not exist yet: run the streams over this lake first")
    query.create_view(_LABELLED)
    return query


def _figures(counts: list[dict[str, Any]], times: dict[str, Any]) -> VersionEvaluation:
    """Build the figures from rows of `_COUNTS` and one row of `_TIMES`."""
    matrix = np.zeros((len(LABELS), len(LABELS)), np.int64)
    tweets, confidences, hits = np.zeros(BINS, np.int64), np.zeros(BINS), np.zeros(BINS, np.int64)
    for row in counts:
        matrix[LABELS.index(row["truth"]), LABELS.index(row["label"])] += row["tweets"]
        tweets[row["bin"]] += row["tweets"]
        confidences[row["bin"]] += row["confidence"]
        hits[row["bin"]] += row["tweets"] * (row["truth"] == row["label"])
    span = float(times["span"])
    return VersionEvaluation(
        quality=Quality.from_counts(matrix, tweets, confidences, hits),
        latency_seconds={f"p{cut}": round(float(times[f"p{cut}"]), 3) for cut in PERCENTILES},
        tweets_per_second=round(int(matrix.sum()) / span, 1) if span else None,
    )
