"""The figures by which a sentiment model is judged."""

import numpy as np
from numpy.typing import NDArray

from spark_apps.model.data import LABELS

Classes = NDArray[np.integer]


def recalls(truth: Classes, predicted: Classes) -> list[float]:
    """Return the share found of each class's texts, in the order of LABELS; 0 for a class without texts."""
    return [float((predicted[truth == label] == label).mean()) if (truth == label).any() else 0.0 for label in _CLASSES]


def macro_recall(truth: Classes, predicted: Classes) -> float:
    """Mean of the recalls of the three classes (SemEval-2017 Task 4, the measure of TweetEval)."""
    return sum(recalls(truth, predicted)) / len(LABELS)


def macro_f1(truth: Classes, predicted: Classes) -> float:
    """Mean over the classes of the harmonic mean of precision and recall."""
    scores = []
    for label in _CLASSES:
        hits = int(((truth == label) & (predicted == label)).sum())
        named = int((truth == label).sum() + (predicted == label).sum())
        scores.append(2 * hits / named if named else 0.0)
    return sum(scores) / len(scores)


_CLASSES = range(len(LABELS))
