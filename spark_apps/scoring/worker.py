"""What a Python worker keeps between micro-batches: the loaded model and its predictions.

A module of its own, which the function that Spark sends imports by name: the state outlives the task.
"""

from collections.abc import Sequence
from pathlib import Path

from pyspark import SparkFiles

from spark_apps.scoring.cache import Cache, Probabilities
from spark_apps.scoring.scorer import Scorer
from spark_apps.scoring.text import normalise

_CACHED_TEXTS = 50_000

_cache = Cache(_CACHED_TEXTS)
_scorer: tuple[str, Scorer] | None = None


def score(archive: str, threads: int, texts: Sequence[str]) -> tuple[Probabilities, list[bool]]:
    """Return the probabilities of `texts`, shape (n, 3), by the model in the archive that Spark distributed.

    The second value tells for which of them the model was not asked.
    """
    global _scorer
    if _scorer is None or _scorer[0] != archive:
        # The new one is made before the old one goes: when it cannot be loaded, the old one still stands.
        _scorer = (archive, Scorer(Path(SparkFiles.get(archive)), threads))
    normalised = [normalise(text) for text in texts]
    return _cache.score(archive, normalised, _scorer[1].score_normalised)
