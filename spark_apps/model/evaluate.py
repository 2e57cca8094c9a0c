"""The figures of a model folder on labelled tweets, through the same scorer that Gold uses."""

import time
from pathlib import Path

import numpy as np

from spark_apps.model.data import LABELS, read_split
from spark_apps.model.metrics import macro_f1, macro_recall, recalls
from spark_apps.scoring.scorer import Scorer


def evaluate(folder: Path, data: Path, split: str, threads: int) -> dict[str, float]:
    """Score one split of `data` with the model in `folder`.

    Returns accuracy, macro recall, macro F1 and the recall of each class (0 to 1), the number of tweets and the
    tweets scored a second on `threads` cores.
    """
    labelled = read_split(data, split)
    scorer = Scorer(folder, threads)
    began = time.perf_counter()
    predicted = scorer.score(labelled.texts).argmax(axis=1)
    seconds = time.perf_counter() - began
    truth = np.asarray(labelled.labels)
    each = recalls(truth, predicted)
    return {
        "accuracy": float((truth == predicted).mean()),
        "macro_recall": macro_recall(truth, predicted),
        "macro_f1": macro_f1(truth, predicted),
        **{f"recall_{label}": recall for label, recall in zip(LABELS, each, strict=True)},
        "tweets": len(labelled.texts),
        "tweets_per_second": round(len(labelled.texts) / seconds, 1),
    }
