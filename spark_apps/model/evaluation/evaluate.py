"""The figures of a model folder on labelled tweets, through the same scorer that Gold uses."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from spark_apps.model.dataset import DataVersion, data_version, has_labels, read_split, read_texts
from spark_apps.model.evaluation.metrics import Quality
from spark_apps.scoring.description import Description
from spark_apps.scoring.probabilities import Probabilities
from spark_apps.scoring.scorer import Scorer

PERCENTILES = (50, 95, 99)
# Scored at once: enough that texts of one length meet, few enough that the bar moves.
_CHUNK = 2048
_WARM_UP = 20
# Single tweets that are timed, spread evenly over the split: five beyond the 99th percentile.
_TIMED = 500


@dataclass(frozen=True)
class Speed:
    """Milliseconds of a tweet that is scored alone, by percentile, and tweets a second when many are scored at once."""

    latency_ms: dict[str, float]
    tweets_per_second: float
    threads: int


@dataclass(frozen=True)
class Evaluation:
    """A model on one split; `quality` is None where the split has no labels."""

    model: Description
    data: DataVersion
    quality: Quality | None
    speed: Speed
    probabilities: Probabilities

    def to_dict(self) -> dict[str, Any]:
        """Return what `evaluate --json` prints: the figures of `Quality` at the top, the others in groups."""
        model = {name: getattr(self.model, name) for name in ("base_model", "precision", "sha256")}
        return {
            **(asdict(self.quality) if self.quality else {"tweets": self.data.rows}),
            "latency_ms": self.speed.latency_ms,
            "tweets_per_second": self.speed.tweets_per_second,
            "threads": self.speed.threads,
            "model": model,
            "data": asdict(self.data),
        }


def evaluate(
    folder: Path, data: Path, split: str, threads: int, console: Console | None = None, labels_wanted: bool = True
) -> Evaluation:
    """Score one split of `data` with the model in `folder` on `threads` cores, with progress on `console`.

    Where `labels_wanted` is false, a split without labels has no quality; else it is a `DataError`, as is any file
    that is missing or wrong. `ModelError` when the model cannot be used.
    """
    texts = read_texts(data, split)
    truth = None
    if labels_wanted or has_labels(data, split):
        truth = np.asarray(read_split(data, split).labels)
    scorer = Scorer(folder, threads)
    latency = _latency(scorer, texts)
    began = time.perf_counter()
    probabilities = _score(scorer, texts, console)
    seconds = time.perf_counter() - began
    return Evaluation(
        model=scorer.description,
        data=data_version(data, split),
        quality=None if truth is None else Quality.of(truth, probabilities),
        speed=Speed(latency, round(len(texts) / seconds, 1), threads),
        probabilities=probabilities,
    )


def _score(scorer: Scorer, texts: Sequence[str], console: Console | None) -> Probabilities:
    found = []
    with Progress(console=console, transient=True, disable=console is None) as progress:
        task = progress.add_task("scoring", total=len(texts))
        for start in range(0, len(texts), _CHUNK):
            found.append(scorer.score(texts[start : start + _CHUNK]))
            progress.update(task, completed=start + len(found[-1]))
    return np.concatenate(found)


def _latency(scorer: Scorer, texts: Sequence[str]) -> dict[str, float]:
    rows = np.linspace(0, len(texts) - 1, min(_TIMED, len(texts))).astype(int)
    for row in rows[:_WARM_UP]:
        scorer.score([texts[row]])
    milliseconds = np.empty(len(rows))
    for place, row in enumerate(rows):
        began = time.perf_counter()
        scorer.score([texts[row]])
        milliseconds[place] = (time.perf_counter() - began) * 1000
    return percentiles(milliseconds)


def percentiles(values: NDArray[np.floating]) -> dict[str, float]:
    """Return the 50th, 95th and 99th percentile as {"p50": …}."""
    found = np.percentile(values, PERCENTILES)
    return {f"p{name}": round(float(value), 3) for name, value in zip(PERCENTILES, found, strict=True)}
