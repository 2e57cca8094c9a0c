"""Compares a new version with the version in production on the same tweets: all together, and by language."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spark_apps.labels import LABELS
from spark_apps.model.evaluation.groups import macro_figures, resample, rows_by
from spark_apps.model.release.gate_result import GateResult, at_least

# A version that is as good as production is refused by chance in one of twenty releases: by the comparison of all
# tweets, and as often by the comparisons of the languages together.
_ERROR = 0.05
_RESAMPLES = 10_000

Classes = NDArray[np.integer]


def comparison_gate(truth: Classes, candidate: Classes, production: Classes | None, version: str | None) -> GateResult:
    """Return the gate on macro recall relative to production, over all tweets.

    The candidate must not be worse than production by more than sampling noise. Both label the same tweets, so a paired
    bootstrap estimates the noise of the difference. The gate refuses if 95 % of the resamples favour production.

    Args:
        truth: true classes, shape (n,).
        candidate: classes that the new version predicts, shape (n,).
        production: classes that the version in production predicts, shape (n,); None without such a version.
        version: number of the version in production, or None.
    """
    if production is None or version is None:
        recall = _recall(_tables(truth, candidate, candidate).sum(axis=2))
        return at_least("comparison", recall, 0.0, "no version is in production to compare with")
    return _compare("comparison", truth, candidate, production, version, _ERROR)


def language_gates(
    languages: Sequence[str],
    truth: Classes,
    candidate: Classes,
    production: Classes | None,
    version: str | None,
    min_tweets: int,
) -> list[GateResult]:
    """Return a gate for each language, as `comparison_gate`; no gates if the tweets have one language.

    The chance to refuse a version that is as good as production is divided by the number of compared languages: without
    that, one of eight languages would be worse by chance in a third of the releases.

    Args:
        languages: languages of the tweets.
        truth, candidate, production, version: see `comparison_gate`.
        min_tweets: a language with fewer tweets passes: its noise is too large to compare.
    """
    rows_by_language = rows_by(languages)
    if production is None or version is None or len(rows_by_language) < 2:
        return []
    compared = sum(len(rows) >= min_tweets for rows in rows_by_language.values())
    gates = []
    for language, rows in rows_by_language.items():
        name, parts = f"comparison {language}", (truth[rows], candidate[rows], production[rows])
        if len(rows) >= min_tweets:
            gates.append(_compare(name, *parts, version, _ERROR / compared))
        else:
            recall = _recall(_tables(*parts).sum(axis=2))
            gates.append(at_least(name, recall, 0.0, f"not compared: {len(rows)} tweets, fewer than {min_tweets}"))
    return gates


def _compare(
    name: str, truth: Classes, candidate: Classes, production: Classes, version: str, error: float
) -> GateResult:
    """Return the gate that refuses a candidate as good as production with the probability `error`."""
    tables = _tables(truth, candidate, production)
    resampled = resample(tables, _RESAMPLES)
    differences = _recalls(resampled.sum(axis=-1)) - _recalls(resampled.sum(axis=-2))
    noise = float(np.quantile(differences, 1 - error) - differences.mean())
    recall, production_recall = _recall(tables.sum(axis=2)), _recall(tables.sum(axis=1))
    says = (
        f"version {version}, in production, has {production_recall:.4f} on the same {len(truth):,} tweets; "
        f"the sampling noise is {noise:.4f}"
    )
    return at_least(name, recall, production_recall - noise, says)


def _tables(truth: Classes, candidate: Classes, production: Classes) -> NDArray[np.int64]:
    """Count the tweets by true class, class of the candidate, and class of production; shape (3, 3, 3)."""
    size = len(LABELS)
    cells = (truth * size + candidate) * size + production
    return np.bincount(cells, minlength=size**3).reshape(size, size, size)


def _recalls(matrices: NDArray[np.integer]) -> NDArray[np.floating]:
    return macro_figures(matrices)["macro_recall"]


def _recall(matrix: NDArray[np.integer]) -> float:
    return float(_recalls(matrix))
