"""State that a Python worker keeps between micro-batches: the loaded model and the cached predictions.

Spark pickles the function that it sends to workers. The function imports this module by name, so the module's state
outlives the task.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from pyspark import SparkFiles

from spark_apps.cpu_limit import limit_cpu_time
from spark_apps.scoring.cache import PredictionCache
from spark_apps.scoring.probabilities import Probabilities
from spark_apps.scoring.scorer import Scorer
from spark_apps.scoring.text import normalise

_CACHED_TEXTS = 50_000

_cache = PredictionCache(_CACHED_TEXTS)
_scorer: tuple[str, Scorer] | None = None


def _forget() -> None:
    global _cache, _scorer
    _cache, _scorer = PredictionCache(_CACHED_TEXTS), None


# The threads of a scorer end with a fork.
os.register_at_fork(after_in_child=_forget)


def score(archive: str, threads: int, texts: Sequence[str]) -> tuple[Probabilities, list[bool]]:
    """Return the probabilities of `texts`, and for each text whether its prediction came from the cache.

    `archive` is the name under which Spark distributed the model. The model runs on `threads` cores.
    """
    scorer = load(archive, threads)
    normalised = [normalise(text) for text in texts]
    return _cache.score(archive, normalised, scorer.score_normalised)


def load(archive: str, threads: int) -> Scorer:
    """Return the scorer of the model in `archive`; load the model unless this worker has loaded it before."""
    global _scorer
    if _scorer is None or _scorer[0] != archive:
        # If loading the new model fails, the old model stays.
        _scorer = (archive, Scorer(Path(SparkFiles.get(archive)), threads, limit_cpu_time))
    return _scorer[1]
