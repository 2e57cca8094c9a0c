"""The gates between a registered version and production: each compares one figure with its limit."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from spark_apps.labels import LABELS
from spark_apps.model.dataset import DataError
from spark_apps.model.evaluation.evaluate import Evaluation
from spark_apps.model.evaluation.metrics import macro_recall
from spark_apps.model.release.smoke_set import SMOKE
from spark_apps.quality.findings import Finding
from spark_apps.settings import load_from_environment

# One in twenty releases that are in truth as good as production is refused by chance.
_CONFIDENCE = 0.95
_RESAMPLES = 2_000

Classes = NDArray[np.integer]


class Limits(BaseSettings):
    """The limits of the gates; `macro_recall` is read from TWEETS_GATE_MACRO_RECALL. Shares are 0 to 1."""

    model_config = SettingsConfigDict(env_prefix="TWEETS_GATE_", extra="ignore")

    macro_recall: float = Field(0.65, ge=0, le=1, description="lowest macro recall")
    class_recall: float = Field(0.5, ge=0, le=1, description="lowest recall of any class")
    agreement: float = Field(0.999, ge=0, le=1, description="lowest share of labels that are torch's, fp32 and fp16")
    agreement_int8: float = Field(0.99, ge=0, le=1, description="the same of an int8 model")
    latency_ms: float = Field(250, gt=0, description="highest 95th percentile of a tweet that is scored alone")
    smoke: float = Field(1, ge=0, le=1, description="lowest share of the smoke set that is labelled right")


def load_limits() -> Limits:
    """Read the limits from the environment; `SettingsError` names all that are wrong."""
    return load_from_environment(Limits)


@dataclass(frozen=True)
class Gate:
    """What one gate found: the figure, the limit, and whether the version may pass."""

    name: str
    passed: bool
    figure: float
    limit: float
    says: str


def quality_gates(found: Evaluation, limits: Limits) -> list[Gate]:
    """Judge a version by its own figures on labelled tweets."""
    quality = found.quality
    if quality is None:
        raise DataError(f"the {found.data.split} split of {found.data.name} has no labels: a release needs them")
    weakest, figures = min(quality.classes.items(), key=lambda item: item[1].recall)
    agreement = float(found.model.metrics.get("agreement_with_torch", 0))
    wanted = limits.agreement_int8 if found.model.precision == "int8" else limits.agreement
    latency = found.speed.latency_ms["p95"]
    return [
        _at_least("macro recall", quality.macro_recall, limits.macro_recall, f"on {quality.tweets:,} tweets"),
        _at_least("class recall", figures.recall, limits.class_recall, f"the weakest class is {weakest}"),
        _at_least("agreement", agreement, wanted, f"labels that are torch's, as {found.model.precision} was exported"),
        Gate(
            "latency",
            latency <= limits.latency_ms,
            latency,
            limits.latency_ms,
            "ms a tweet alone, 95th percentile",
        ),
    ]


def comparison_gate(truth: Classes, ours: Classes, theirs: Classes | None, production: str | None) -> Gate:
    """Judge a version by the one in production: `ours` and `theirs` are the classes that each gives, shape (n,).

    A version is refused when it is worse by more than the noise of the test set. Both label the same tweets, so the
    noise is that of the difference: the tweets are drawn anew, with replacement, 2,000 times, and the version is worse
    where 95 % of the draws say so.
    """
    if theirs is None or production is None:
        return Gate("comparison", True, macro_recall(truth, ours), 0.0, "no version is in production to compare with")
    difference = macro_recall(truth, ours) - macro_recall(truth, theirs)
    noise = _noise(truth, ours, theirs)
    return Gate(
        "comparison",
        difference >= -noise,
        macro_recall(truth, ours),
        macro_recall(truth, theirs) - noise,
        f"version {production}, in production, has {macro_recall(truth, theirs):.4f}; the noise is {noise:.4f}",
    )


def _noise(truth: Classes, ours: Classes, theirs: Classes) -> float:
    """Return how far above its mean the difference of the macro recalls (ours - theirs) is in one draw of twenty."""
    draws = np.random.default_rng(0).multinomial(len(truth), np.full(len(truth), 1 / len(truth)), _RESAMPLES)
    differences = np.zeros(_RESAMPLES)
    for label in range(len(LABELS)):
        here = truth == label
        if here.any():
            gained = (ours == label)[here].astype(float) - (theirs == label)[here]
            differences += draws[:, here] @ gained / np.maximum(draws[:, here].sum(axis=1), 1) / len(LABELS)
    return float(np.quantile(differences, _CONFIDENCE) - differences.mean())


def smoke_gate(folder: Path, limits: Limits) -> Gate:
    """Load the model in a process of its own that has no torch, and let it label tweets whose mood is beyond doubt."""
    done = subprocess.run(  # noqa: S603 - the command is ours
        [sys.executable, "-m", "spark_apps.model.release.smoke_set", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    if done.returncode:
        says = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return Gate("smoke", False, 0.0, limits.smoke, f"it cannot be loaded in a process without torch: {says}")
    labels = json.loads(done.stdout.splitlines()[-1])
    wrong = [f"{text!r} is {label}" for (text, wanted), label in zip(SMOKE, labels, strict=True) if label != wanted]
    share = 1 - len(wrong) / len(SMOKE)
    return _at_least("smoke", share, limits.smoke, "; ".join(wrong) or f"all of {len(SMOKE)}, without torch")


def findings_gate(unacknowledged: Sequence[Finding]) -> Gate:
    """Judge by the stream: while it is not as it was, nobody can tell what a release does to it."""
    found = "; ".join(map(str, unacknowledged))
    says = f"{found}: look into it, then tweet-sentiment quality acknowledge" if found else "no finding stands"
    return Gate("quality", not unacknowledged, float(len(unacknowledged)), 0.0, says)


def _at_least(name: str, figure: float, limit: float, says: str) -> Gate:
    return Gate(name, figure >= limit, figure, limit, says)
