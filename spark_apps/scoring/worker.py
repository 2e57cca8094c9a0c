"""State that a Python worker keeps between micro-batches: the loaded model and the cached predictions.

Spark pickles the function of a task, and would pickle state in it, too. State in this module, which the function
imports by name, outlives the task.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pyspark import SparkFiles

from spark_apps.cpu_limit import limit_cpu_time
from spark_apps.scoring.cache import PredictionCache
from spark_apps.scoring.probabilities import Probabilities
from spark_apps.scoring.scorer import Scorer
from spark_apps.scoring.text import normalise

_CACHED_TEXTS = 50_000

# By alias.
_caches: defaultdict[str, PredictionCache] = defaultdict(lambda: PredictionCache(_CACHED_TEXTS))
_scorers: dict[str, tuple[str, Scorer]] = {}


def _forget() -> None:
    _caches.clear()
    _scorers.clear()


# A forked child has no copies of the scorer's threads: it must load the model itself.
os.register_at_fork(after_in_child=_forget)


def score(archive: str, threads: int, alias: str, texts: Sequence[str]) -> tuple[Probabilities, list[bool]]:
    """Score texts with the model in `archive`.

    Args:
        archive: name of the model's folder in the workers, from `udf._distribute`.
        threads: number of cores on which the model runs.
        alias: see `ModelVersion.alias`.
        texts: texts as in `full_text`, not normalised.

    Returns:
        The probabilities of `texts`, and for each text whether its prediction is reused from an identical text.
    """
    scorer = load(archive, threads, alias)
    normalised = [normalise(text) for text in texts]
    return _caches[alias].score(archive, normalised, scorer.score_normalised)


def load(archive: str, threads: int, alias: str) -> Scorer:
    """Return the scorer of the model in `archive`; load the model unless this worker has loaded it for the alias."""
    loaded = _scorers.get(alias)
    if loaded is None or loaded[0] != archive:
        # Assigned only after loading: if the new model fails to load, the worker keeps the old one.
        loaded = _scorers[alias] = (archive, Scorer(Path(SparkFiles.get(archive)), threads, limit_cpu_time))
    return loaded[1]
