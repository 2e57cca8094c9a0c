"""Figures by language and by source, with confidence intervals.

Groups may be small and may lack a class: macro figures are means over the classes that occur in a group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_apps.model.dataset import Split
from spark_apps.model.evaluation.metrics import Classes, confusion

FIGURES = ("macro_recall", "macro_f1", "accuracy")
_RESAMPLES = 10_000
_INTERVAL = (0.025, 0.975)

Counts = NDArray[np.integer]


@dataclass(frozen=True)
class Estimate:
    """A figure, and its 95 % confidence interval from a bootstrap over the tweets."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class GroupQuality:
    """Figures of the tweets of one language or source."""

    tweets: int
    macro_recall: Estimate
    macro_f1: Estimate
    accuracy: Estimate

    def values(self) -> dict[str, float]:
        """Return the figures without their intervals."""
        return {name: float(getattr(self, name).value) for name in FIGURES}


# "languages" and "sources", each with the figures by name, the group with the most tweets first.
Groups = dict[str, dict[str, GroupQuality]]


def by_group(split: Split, predicted: Classes) -> Groups:
    """Return the figures of each language and of each source of a split, for its predicted classes."""
    truth = np.asarray(split.labels)
    return {
        kind: {name: group_quality(confusion(truth[rows], predicted[rows])) for name, rows in rows_by(names).items()}
        for kind, names in (("languages", split.languages), ("sources", split.sources))
    }


def rows_by(names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Return the row numbers of each name, the most frequent name first."""
    values, groups, counts = np.unique(np.asarray(names), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(values[group]): np.flatnonzero(groups == group) for group in order}


def group_quality(matrix: Counts) -> GroupQuality:
    """Return the figures of a confusion matrix with true classes in rows."""
    figures, resampled = macro_figures(matrix), macro_figures(resample(matrix, _RESAMPLES))
    estimates = {
        name: Estimate(float(figures[name]), *(float(cut) for cut in np.quantile(resampled[name], _INTERVAL)))
        for name in FIGURES
    }
    return GroupQuality(int(matrix.sum()), **estimates)


def resample(table: Counts, times: int) -> Counts:
    """Return `times` bootstrap resamples of the tweets that `table` counts, shape (times, *table.shape).

    Tweets that are drawn with replacement and counted in the cells have a multinomial distribution, so the counts are
    drawn directly: the cost does not depend on the number of tweets. The seed is fixed: figures are reproducible.
    """
    total = int(table.sum())
    draws = np.random.default_rng(0).multinomial(total, table.ravel() / total, times)
    return draws.reshape(times, *table.shape)


def macro_figures(matrices: Counts) -> Mapping[str, NDArray[np.floating]]:
    """Return macro recall, macro F1 and accuracy of confusion matrices, shape (…, 3, 3)."""
    hits = matrices.diagonal(axis1=-2, axis2=-1)
    true, predicted = matrices.sum(axis=-1), matrices.sum(axis=-2)
    classes = np.maximum((true > 0).sum(axis=-1), 1)
    f1 = np.where(true > 0, 2 * hits / np.maximum(true + predicted, 1), 0)
    return {
        "macro_recall": (hits / np.maximum(true, 1)).sum(axis=-1) / classes,
        "macro_f1": f1.sum(axis=-1) / classes,
        "accuracy": hits.sum(axis=-1) / np.maximum(true.sum(axis=-1), 1),
    }


def mean_and_worst(figures: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | str]]:
    """Return the mean over the groups, each with the same weight, and the worst group, of each figure.

    Args:
        figures: the figures of each group by name.
    """
    summary: dict[str, dict[str, float | str]] = {}
    for name in FIGURES:
        values = {group: values[name] for group, values in figures.items()}
        lowest = min(values, key=lambda group: values[group])
        mean = sum(values.values()) / len(values)
        summary[name] = {"mean": mean, "worst": values[lowest], "worst_group": lowest}
    return summary
