"""Evaluates a model folder on labelled tweets with the scorer that Gold uses."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from spark_apps.model.dataset import DataVersion, LabelledTweets
from spark_apps.model.evaluation.groups import Groups, by_group, mean_and_worst
from spark_apps.model.evaluation.metrics import Quality
from spark_apps.scoring.description import Description
from spark_apps.scoring.probabilities import Probabilities
from spark_apps.scoring.scorer import Scorer

PERCENTILES = (50, 95, 99)
# Texts scored at once: enough to batch texts of similar length, few enough for the progress bar to move.
_CHUNK_TEXTS = 2048
_WARM_UP_TWEETS = 20
# Tweets timed one by one, spread evenly over the split: enough for five of them above the 99th percentile.
_TIMED_TWEETS = 500


@dataclass(frozen=True)
class Speed:
    """Speed of a scorer with `threads` threads.

    `latency_ms` has percentiles of the time for one tweet at a time. `tweets_per_second` is the rate for the whole
    split.
    """

    latency_ms: dict[str, float]
    tweets_per_second: float
    threads: int


@dataclass(frozen=True)
class Evaluation:
    """Figures of a model on one split.

    Attributes:
        model: description of the model.
        data: version of the split.
        quality: quality of the labels; None for a split without labels.
        groups: figures by language and by source; empty for a split without labels.
        speed: speed of the scorer.
        probabilities: probabilities of the tweets in the order of the split, shape (n, 3).
    """

    model: Description
    data: DataVersion
    quality: Quality | None
    groups: Groups
    speed: Speed
    probabilities: Probabilities

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of `model evaluate --data`: the figures of `Quality` at the top level, the others below."""
        model = {name: getattr(self.model, name) for name in ("base_model", "precision", "sha256")}
        return {
            **(asdict(self.quality) if self.quality else {"tweets": self.data.rows}),
            **{kind: {name: asdict(group) for name, group in groups.items()} for kind, groups in self.groups.items()},
            **({"over_languages": self.over_languages()} if self.groups else {}),
            "latency_ms": self.speed.latency_ms,
            "tweets_per_second": self.speed.tweets_per_second,
            "threads": self.speed.threads,
            "model": model,
            "data": asdict(self.data),
        }

    def over_languages(self) -> dict[str, dict[str, float | str]]:
        """Return the mean over the languages and the worst language of each figure."""
        return mean_and_worst({name: group.values() for name, group in self.groups["languages"].items()})


def evaluate(
    folder: Path,
    data: LabelledTweets,
    split: str,
    threads: int,
    console: Console | None = None,
    labels_required: bool = True,
) -> Evaluation:
    """Score one split and compare the labels with the true ones.

    Args:
        folder: folder of an exported model.
        data: labelled tweets.
        split: name of the split.
        threads: cores of the scorer.
        console: receives progress.
        labels_required: whether to raise `DataError` for a split without labels.

    Raises:
        DataError: a file of the split is missing or invalid.
        ModelError: the model cannot be loaded.
    """
    texts = data.texts(split)
    labelled = data.read(split) if labels_required or data.has_labels(split) else None
    scorer = Scorer(folder, threads)
    latency = _latency(scorer, texts)
    start = time.perf_counter()
    probabilities = _score(scorer, texts, console)
    seconds = time.perf_counter() - start
    return Evaluation(
        model=scorer.description,
        data=data.version(split),
        quality=Quality.of(np.asarray(labelled.labels), probabilities) if labelled else None,
        groups=by_group(labelled, probabilities.argmax(axis=1)) if labelled else {},
        speed=Speed(latency, round(len(texts) / seconds, 1), threads),
        probabilities=probabilities,
    )


def _score(scorer: Scorer, texts: Sequence[str], console: Console | None) -> Probabilities:
    chunks = []
    with Progress(console=console, transient=True, disable=console is None) as progress:
        task = progress.add_task("scoring", total=len(texts))
        for start in range(0, len(texts), _CHUNK_TEXTS):
            chunks.append(scorer.score(texts[start : start + _CHUNK_TEXTS]))
            progress.update(task, completed=start + len(chunks[-1]))
    return np.concatenate(chunks)


def _latency(scorer: Scorer, texts: Sequence[str]) -> dict[str, float]:
    """Return percentiles of the milliseconds for one tweet at a time."""
    rows = np.linspace(0, len(texts) - 1, min(_TIMED_TWEETS, len(texts))).astype(int)
    for row in rows[:_WARM_UP_TWEETS]:
        scorer.score([texts[row]])
    milliseconds = np.empty(len(rows))
    for number, row in enumerate(rows):
        began = time.perf_counter()
        scorer.score([texts[row]])
        milliseconds[number] = (time.perf_counter() - began) * 1000
    return percentiles(milliseconds)


def percentiles(values: NDArray[np.floating]) -> dict[str, float]:
    """Return the 50th, 95th and 99th percentiles, rounded to three digits, under the keys p50, p95 and p99."""
    cuts = np.percentile(values, PERCENTILES)
    return {f"p{name}": round(float(value), 3) for name, value in zip(PERCENTILES, cuts, strict=True)}
