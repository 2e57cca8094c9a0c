"""Leave-out validation: trains without some tweets, and evaluates the model on them.

A validation split of the same years and collections as the train split overstates the quality on new tweets. A source,
a year or a language that training has not seen is a better estimate.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from rich.console import Console

from spark_apps.model.dataset import LabelledTweets
from spark_apps.model.evaluation.groups import GroupQuality, group_quality, mean_and_worst
from spark_apps.model.training.leave_out import LeaveOut, training_splits
from spark_apps.model.training.recipe import Recipe
from spark_apps.model.training.train import train


@dataclass(frozen=True)
class ValidationRun:
    """One training run: its condition and seed, and its figures on the tweets that were left out.

    `languages` has the figures by language as JSON.
    """

    leave_out: str
    seed: int
    quality: GroupQuality
    languages: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.leave_out}, seed {self.seed}"


@dataclass(frozen=True)
class Validation:
    """All runs of a leave-out validation."""

    runs: list[ValidationRun]

    def summary(self) -> dict[str, dict[str, float | str]]:
        """Return the mean over the runs, each with the same weight, and the worst run of each figure."""
        return mean_and_worst({run.name: run.quality.values() for run in self.runs})

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of `model validate`."""
        runs = [
            {"leave_out": run.leave_out, "seed": run.seed, **asdict(run.quality), "languages": run.languages}
            for run in self.runs
        ]
        return {"runs": runs, "over_runs": self.summary()}


def validate(
    data: LabelledTweets,
    base: str,
    out: Path,
    recipe: Recipe,
    leave_outs: Sequence[LeaveOut],
    seeds: Sequence[int],
    registry: str | None,
    console: Console,
) -> Validation:
    """Train `base` once for each condition and seed; evaluate each model on the tweets that it was not trained on.

    A second call with the same `out` continues after an interruption. Each run keeps its model in a folder of `out`,
    but not its checkpoints.

    Args:
        data: labelled tweets; only the train split is used.
        base: folder or Hugging Face id of a RoBERTa or XLM-RoBERTa.
        out: folder of the runs.
        recipe: hyperparameters; `seeds` replace its seed.
        leave_outs: conditions on the tweets that are left out, one after the other.
        seeds: seeds of the runs of each condition.
        registry: URI of the MLflow server to which the runs are logged; None logs nothing.
        console: receives progress.

    Raises:
        DataError: a condition matches no tweet, or leaves no tweet of a label; nothing is trained.
        ModelError, TrainingError, TrackingError: see `train`.
    """
    for leave_out in leave_outs:
        training_splits(data, leave_out)
    runs = []
    for leave_out in leave_outs:
        for seed in seeds:
            folder = out / quote(str(leave_out), safe="=") / f"seed-{seed}"
            console.print(f"training without {leave_out}, seed {seed}")
            figures = train(data, base, folder, replace(recipe, seed=seed), registry, console, leave_out)
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            quality = group_quality(np.asarray(figures["confusion"]))
            runs.append(ValidationRun(str(leave_out), seed, quality, figures["languages"]))
    return Validation(runs)
