"""Reads the figures of a shadow version from gold/shadow, without Spark."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from spark_apps.labels import LABELS
from spark_apps.lake.query import LakeQuery, Statement
from spark_apps.quality.shadow import LabelFigures, ShadowFigures
from spark_apps.tables import GOLD_SHADOW

# Fewest tweets of a language in the figures: with 50 tweets, the 95 % interval of a share is up to ±14 points.
_LEAST_TWEETS = 50
# A tag of MLflow has at most 5,000 characters.
_MAX_LANGUAGES = 20
# The sender of a tweet controls its language: other values count as `und`, undetermined.
_COUNTS = Statement(
    r"""
SELECT CASE WHEN regexp_like(lang, '^[A-Za-z0-9-]{1,35}$') THEN lang ELSE 'und' END AS lang, production_label, label,
       count(*) AS tweets, count(milliseconds) AS timed, CAST(sum(milliseconds) AS DOUBLE) AS milliseconds,
       min(scored_at) AS since
FROM shadow WHERE model_version = $1 GROUP BY 1, 2, 3
""",
    "VARCHAR",
)


def read_shadow(lake: str, version: str) -> ShadowFigures | None:
    """Return the figures of the registry version `version`; None if it has scored no tweet as the shadow version.

    Raises:
        LakeError: gold/shadow exists but is not readable.
    """
    query = LakeQuery.open(lake, shadow=GOLD_SHADOW)
    rows = query.rows(_COUNTS, version) if query else []
    if not rows:
        return None
    tweets = Counter[str]()
    for row in rows:
        tweets[row["lang"]] += row["tweets"]
    frequent = [lang for lang, count in tweets.most_common(_MAX_LANGUAGES) if count >= _LEAST_TWEETS]
    timed = sum(row["timed"] for row in rows)
    return ShadowFigures(
        total=_figures(rows),
        languages={lang: _figures(row for row in rows if row["lang"] == lang) for lang in frequent},
        milliseconds=round(sum(row["milliseconds"] or 0.0 for row in rows) / timed, 3) if timed else None,
        since=min(row["since"] for row in rows).isoformat(timespec="seconds"),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _figures(rows: Iterable[dict[str, Any]]) -> LabelFigures:
    production, shadow, same = Counter[str](), Counter[str](), 0
    for row in rows:
        production[row["production_label"]] += row["tweets"]
        shadow[row["label"]] += row["tweets"]
        same += row["tweets"] if row["label"] == row["production_label"] else 0
    tweets = shadow.total()
    return LabelFigures(tweets, round(same / tweets, 4), *(_shares(counts, tweets) for counts in (production, shadow)))


def _shares(counts: Counter[str], tweets: int) -> dict[str, float]:
    return {label: round(counts[label] / tweets, 4) for label in LABELS}
