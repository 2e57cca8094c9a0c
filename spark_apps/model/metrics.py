"""The figures by which a sentiment model is judged."""

import numpy as np
from numpy.typing import NDArray

from spark_apps.model.data import LABELS


def macro_recall(truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> float:
    """Mean of the recalls of the three classes (SemEval-2017 Task 4, the measure of TweetEval)."""
    recalls = [float((predicted[truth == label] == label).mean()) for label in range(len(LABELS))]
    return sum(recalls) / len(recalls)
