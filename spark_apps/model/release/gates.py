"""Release gates: each compares one figure of a registered version with a limit."""

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
from spark_apps.model.release.smoke_set import SMOKE_TWEETS
from spark_apps.quality.findings import Finding
from spark_apps.settings import load_from_environment

# A version that is as good as production is refused by chance in one of twenty releases.
_CONFIDENCE = 0.95
_RESAMPLES = 2_000

Classes = NDArray[np.integer]


class GateLimits(BaseSettings):
    """Limits of the gates; `macro_recall` is read from TWEETS_GATE_MACRO_RECALL. Shares are 0 to 1."""

    model_config = SettingsConfigDict(env_prefix="TWEETS_GATE_", extra="ignore")

    macro_recall: float = Field(0.65, ge=0, le=1, description="minimum macro recall")
    class_recall: float = Field(0.5, ge=0, le=1, description="minimum recall of any class")
    agreement: float = Field(
        0.999, ge=0, le=1, description="minimum share of labels equal to torch's, for fp32 and fp16"
    )
    agreement_int8: float = Field(0.99, ge=0, le=1, description="minimum share of labels equal to torch's, for int8")
    latency_ms: float = Field(250, gt=0, description="maximum 95th percentile of the latency of one tweet")
    smoke: float = Field(1, ge=0, le=1, description="minimum share of correct labels on the smoke set")


def load_limits() -> GateLimits:
    """Read the limits from the environment; `SettingsError` lists all invalid variables."""
    return load_from_environment(GateLimits)


@dataclass(frozen=True)
class GateResult:
    """The result of one gate.

    Attributes:
        name: name of the gate.
        passed: whether the version passes.
        figure: measured figure.
        limit: limit of the figure; a maximum for `latency` and `quality`, else a minimum.
        says: explains the figure.
    """

    name: str
    passed: bool
    figure: float
    limit: float
    says: str


def quality_gates(evaluation: Evaluation, limits: GateLimits) -> list[GateResult]:
    """Return the gates on the version's own figures: recall, agreement with torch, latency.

    Raises:
        DataError: the split has no labels.
    """
    quality, data = evaluation.quality, evaluation.data
    if quality is None:
        raise DataError(f"the {data.split} split of {data.name} has no labels: release on a split with labels")
    weakest, figures = min(quality.classes.items(), key=lambda item: item[1].recall)
    precision = evaluation.model.precision
    agreement = float(evaluation.model.metrics.get("agreement_with_torch", 0))
    least_agreement = limits.agreement_int8 if precision == "int8" else limits.agreement
    agreed = f"labels equal to torch's, measured at the {precision} export"
    latency = evaluation.speed.latency_ms["p95"]
    return [
        _at_least("macro recall", quality.macro_recall, limits.macro_recall, f"on {quality.tweets:,} tweets"),
        _at_least("class recall", figures.recall, limits.class_recall, f"the weakest class is {weakest}"),
        _at_least("agreement", agreement, least_agreement, agreed),
        _at_most("latency", latency, limits.latency_ms, "ms for one tweet, 95th percentile"),
    ]


def comparison_gate(truth: Classes, candidate: Classes, production: Classes | None, version: str | None) -> GateResult:
    """Return the gate on macro recall relative to production.

    The candidate must not be worse than production by more than sampling noise. Both label the same tweets, so a paired
    bootstrap with 2,000 resamples estimates the noise of the difference. The candidate is refused if 95 % of the
    resamples favour production.

    Args:
        truth: true classes, shape (n,).
        candidate: classes that the new version predicts, shape (n,).
        production: classes that the version in production predicts, shape (n,); None without such a version.
        version: number of the version in production, or None.
    """
    recall = macro_recall(truth, candidate)
    if production is None or version is None:
        return _at_least("comparison", recall, 0.0, "no version is in production to compare with")
    production_recall = macro_recall(truth, production)
    noise = _noise(truth, candidate, production)
    says = f"version {version}, in production, has {production_recall:.4f}; the sampling noise is {noise:.4f}"
    return _at_least("comparison", recall, production_recall - noise, says)


def _noise(truth: Classes, candidate: Classes, production: Classes) -> float:
    """Return the distance from the mean of the resampled differences in macro recall to their 95th percentile."""
    draws = np.random.default_rng(0).multinomial(len(truth), np.full(len(truth), 1 / len(truth)), _RESAMPLES)
    # A resample counts how often each tweet is drawn: the difference in the recall of a class is a weighted mean.
    differences = np.zeros(_RESAMPLES)
    for label in range(len(LABELS)):
        of_class = truth == label
        if of_class.any():
            gained = (candidate == label)[of_class].astype(float) - (production == label)[of_class]
            differences += draws[:, of_class] @ gained / np.maximum(draws[:, of_class].sum(axis=1), 1) / len(LABELS)
    return float(np.quantile(differences, _CONFIDENCE) - differences.mean())


def smoke_gate(folder: Path, limits: GateLimits) -> GateResult:
    """Return the gate on the smoke set: tweets with an obvious label, scored in a separate process without torch.

    If the model cannot be loaded, the gate refuses the version whatever the limit, and the figure is 0.
    """
    process = subprocess.run(  # noqa: S603 - the command is constant
        [sys.executable, "-m", "spark_apps.model.release.smoke_set", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    if process.returncode:
        error = (process.stderr.strip().splitlines() or ["no error message"])[-1]
        return GateResult(
            "smoke", False, 0.0, limits.smoke, f"the model cannot be loaded in a process without torch: {error}"
        )
    labels = json.loads(process.stdout.splitlines()[-1])
    wrong = [
        f"{text!r} is {label}"
        for (text, expected), label in zip(SMOKE_TWEETS, labels, strict=True)
        if label != expected
    ]
    share = 1 - len(wrong) / len(SMOKE_TWEETS)
    return _at_least(
        "smoke", share, limits.smoke, "; ".join(wrong) or f"all {len(SMOKE_TWEETS)} correct, without torch"
    )


def findings_gate(unacknowledged: Sequence[Finding]) -> GateResult:
    """Return the gate on open findings: while the stream is abnormal, the effect of a release cannot be measured."""
    findings = "; ".join(map(str, unacknowledged))
    says = f"{findings}: investigate, then run tweet-sentiment quality acknowledge" if findings else "no open findings"
    return _at_most("quality", float(len(unacknowledged)), 0.0, says)


def _at_least(name: str, figure: float, limit: float, says: str) -> GateResult:
    return GateResult(name, figure >= limit, figure, limit, says)


def _at_most(name: str, figure: float, limit: float, says: str) -> GateResult:
    return GateResult(name, figure <= limit, figure, limit, says)
