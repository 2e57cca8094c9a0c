"""Quality figures of a sentiment model, in numpy, because the images that score tweets have no scikit-learn.

Classes are indexes into LABELS.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_apps.labels import LABELS

Classes = NDArray[np.integer]
Counts = NDArray[np.int64]
Floats = NDArray[np.floating]
Numbers = NDArray[Any]

# Number of calibration bins of equal width over the confidence 0…1, as in Guo et al. (2017).
BINS = 15


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one class. `tweets` is the number of tweets with this true class. Undefined figures are 0."""

    precision: float
    recall: float
    f1: float
    tweets: int


@dataclass(frozen=True)
class Bin:
    """One calibration bin: the number of its tweets, their mean confidence and their accuracy, both 0 to 1.

    The confidence of a tweet is the probability of its predicted label.
    """

    tweets: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Quality:
    """Quality of predicted labels. `confusion[truth][predicted]` counts tweets, in the order of LABELS.

    `macro_recall` is the metric of SemEval-2017 Task 4 and of TweetEval; `f1_pn`, the mean F1 of positive and negative,
    is the metric of SemEval-2013 to 2016. `calibration_error` is the expected calibration error: the mean distance
    between confidence and accuracy over the 15 bins of `reliability`, weighted by their tweets.
    """

    tweets: int
    accuracy: float
    macro_recall: float
    macro_f1: float
    f1_pn: float
    calibration_error: float
    classes: dict[str, ClassFigures]
    confusion: list[list[int]]
    reliability: list[Bin]

    @classmethod
    def of(cls, truth: Classes, probabilities: Floats) -> "Quality":
        """Compare probabilities of shape (n, 3) with the true classes, shape (n,); n must not be 0."""
        predicted = probabilities.argmax(axis=1)
        confidence = probabilities.max(axis=1).astype(np.float64)
        # A bin includes its upper edge: 1.0 belongs to the last bin.
        bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        counts = np.bincount(bins, minlength=BINS)
        sums = np.bincount(bins, confidence, minlength=BINS)
        hits = np.bincount(bins, truth == predicted, minlength=BINS)
        return cls.from_counts(confusion(truth, predicted), counts, sums, hits)

    @classmethod
    def from_counts(cls, matrix: Counts, counts: Numbers, confidences: Numbers, hits: Numbers) -> "Quality":
        """Build the figures from counts.

        Args:
            matrix: confusion matrix with true classes in rows, shape (3, 3).
            counts: tweets in each calibration bin, shape (BINS,).
            confidences: sum of the confidences in each bin, shape (BINS,).
            hits: correct labels in each bin, shape (BINS,).
        """
        precision, recall, f1 = _per_class(matrix)
        total = int(matrix.sum())
        # Without this, the means of an empty bin would divide by zero.
        divisors = np.maximum(counts, 1)
        classes = {
            label: ClassFigures(float(precision[i]), float(recall[i]), float(f1[i]), int(matrix[i].sum()))
            for i, label in enumerate(LABELS)
        }
        return cls(
            tweets=total,
            accuracy=float(matrix.trace() / total),
            macro_recall=float(recall.mean()),
            macro_f1=float(f1.mean()),
            f1_pn=(classes["positive"].f1 + classes["negative"].f1) / 2,
            calibration_error=float(np.abs(confidences - hits).sum() / total),
            classes=classes,
            confusion=matrix.tolist(),
            reliability=[
                Bin(int(n), float(c), float(a))
                for n, c, a in zip(counts, confidences / divisors, hits / divisors, strict=True)
            ],
        )

    def scalars(self) -> dict[str, float]:
        """Return all single numbers by name; a figure of one class is called `<figure>_<class>`."""
        names = ("accuracy", "macro_recall", "macro_f1", "f1_pn", "calibration_error")
        by_class = {
            f"{figure}_{label}": float(getattr(figures, figure))
            for label, figures in self.classes.items()
            for figure in ("precision", "recall", "f1")
        }
        return {name: float(getattr(self, name)) for name in names} | by_class


def confusion(truth: Classes, predicted: Classes) -> Counts:
    """Return the confusion matrix: number of texts by true class (row) and predicted class (column)."""
    size = len(LABELS)
    return np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)


def _per_class(matrix: Counts) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each class."""
    hits, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    return hits / np.maximum(predicted, 1), hits / np.maximum(true, 1), 2 * hits / np.maximum(true + predicted, 1)


def recalls(truth: Classes, predicted: Classes) -> list[float]:
    """Return the recall of each class, in the order of LABELS; 0 for a class without texts."""
    by_class: list[float] = _per_class(confusion(truth, predicted))[1].tolist()
    return by_class


def macro_recall(truth: Classes, predicted: Classes) -> float:
    """Return the mean recall of the three classes, the metric of SemEval-2017 Task 4 and of TweetEval."""
    return sum(recalls(truth, predicted)) / len(LABELS)


def macro_f1(truth: Classes, predicted: Classes) -> float:
    """Return the mean F1 of the three classes."""
    return float(_per_class(confusion(truth, predicted))[2].mean())
