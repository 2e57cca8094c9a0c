"""The figures by which a sentiment model is judged, in numpy: where tweets are scored there is no scikit-learn."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_apps.labels import LABELS

Classes = NDArray[np.integer]
Counts = NDArray[np.int64]
Floats = NDArray[np.floating]
Numbers = NDArray[Any]

# Bins of equal width over the confidence 0…1, as Guo et al. (2017) measure calibration.
BINS = 15


@dataclass(frozen=True)
class ClassFigures:
    """One class; `tweets` have it in truth. A class that is never named, or never true, has a figure of 0."""

    precision: float
    recall: float
    f1: float
    tweets: int


@dataclass(frozen=True)
class Bin:
    """The tweets whose label was given with a confidence (probability) of this bin; shares are 0 to 1."""

    tweets: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Quality:
    """How well labels were told. `confusion[truth][predicted]` counts tweets, in the order of LABELS.

    `macro_recall` is the measure of SemEval-2017 Task 4 and of TweetEval, `f1_pn` the mean F1 of positive and negative
    of SemEval-2013 to 2016. `calibration_error` is the expected one: the distance between confidence and accuracy,
    over the bins of `reliability` (15 of equal width) weighted by their tweets.
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
        """Judge probabilities of shape (n, 3) by the true classes, shape (n,); n may not be 0."""
        predicted = probabilities.argmax(axis=1)
        confidence = probabilities.max(axis=1).astype(np.float64)
        # A bin holds its upper edge: 1.0 belongs to the last one.
        place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        counts = np.bincount(place, minlength=BINS)
        sums = np.bincount(place, confidence, minlength=BINS)
        hits = np.bincount(place, truth == predicted, minlength=BINS)
        return cls.from_counts(confusion(truth, predicted), counts, sums, hits)

    @classmethod
    def from_counts(cls, matrix: Counts, counts: Numbers, confidences: Numbers, hits: Numbers) -> "Quality":
        """Judge by a confusion matrix and, of each bin, its tweets, the sum of their confidences, and its hits."""
        precision, recall, f1 = _per_class(matrix)
        total = int(matrix.sum())
        filled = np.maximum(counts, 1)
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
                for n, c, a in zip(counts, confidences / filled, hits / filled, strict=True)
            ],
        )

    def scalars(self) -> dict[str, float]:
        """Return the figures that are one number each, those of a class as `<figure>_<class>`."""
        names = ("accuracy", "macro_recall", "macro_f1", "f1_pn", "calibration_error")
        of_classes = {
            f"{figure}_{label}": float(getattr(found, figure))
            for label, found in self.classes.items()
            for figure in ("precision", "recall", "f1")
        }
        return {name: float(getattr(self, name)) for name in names} | of_classes


def confusion(truth: Classes, predicted: Classes) -> Counts:
    """Count texts by true class (row) and predicted class (column)."""
    size = len(LABELS)
    return np.bincount(truth * size + predicted, minlength=size * size).reshape(size, size)


def _per_class(matrix: Counts) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each class."""
    hits, true, named = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    return hits / np.maximum(named, 1), hits / np.maximum(true, 1), 2 * hits / np.maximum(true + named, 1)


def recalls(truth: Classes, predicted: Classes) -> list[float]:
    """Return the share found of each class's texts, in the order of LABELS; 0 for a class without texts."""
    found: list[float] = _per_class(confusion(truth, predicted))[1].tolist()
    return found


def macro_recall(truth: Classes, predicted: Classes) -> float:
    """Mean of the recalls of the three classes (SemEval-2017 Task 4, the measure of TweetEval)."""
    return sum(recalls(truth, predicted)) / len(LABELS)


def macro_f1(truth: Classes, predicted: Classes) -> float:
    """Mean over the classes of the harmonic mean of precision and recall."""
    return float(_per_class(confusion(truth, predicted))[2].mean())
