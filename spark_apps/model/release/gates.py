"""Release gates on a registered version alone, with their limits; `comparison.py` compares it with production."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from spark_apps.model.dataset import DataError
from spark_apps.model.evaluation.evaluate import Evaluation
from spark_apps.model.release.gate_result import GateResult, at_least, at_most
from spark_apps.model.release.smoke_set import SMOKE_TWEETS
from spark_apps.quality.findings import Finding
from spark_apps.quality.shadow import ShadowFigures
from spark_apps.settings import load_from_environment


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
    language_tweets: int = Field(100, ge=1, description="minimum tweets of a language to compare it with production")
    smoke: float = Field(1, ge=0, le=1, description="minimum share of correct labels on the smoke set")
    shadow_tweets: int = Field(
        0, ge=0, description="minimum tweets that the version has scored as the shadow version; 0: no gate"
    )


def load_limits() -> GateLimits:
    """Read the limits from the environment; `SettingsError` lists all invalid variables."""
    return load_from_environment(GateLimits)


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
        at_least("macro recall", quality.macro_recall, limits.macro_recall, f"on {quality.tweets:,} tweets"),
        at_least("class recall", figures.recall, limits.class_recall, f"the weakest class is {weakest}"),
        at_least("agreement", agreement, least_agreement, agreed),
        at_most("latency", latency, limits.latency_ms, "ms for one tweet, 95th percentile"),
    ]


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
    return at_least("smoke", share, limits.smoke, "; ".join(wrong) or f"all {len(SMOKE_TWEETS)} correct, without torch")


def shadow_gate(figures: ShadowFigures | None, limits: GateLimits) -> GateResult:
    """Return the gate on the number of tweets that the version has scored beside production."""
    says = "no tweets: set the alias with `tweet-sentiment model shadow`, and wait"
    if figures:
        says = f"labels agree with production on {figures.total.agreement:.1%}, measured at {figures.measured_at}"
    return at_least("shadow", float(figures.total.tweets if figures else 0), float(limits.shadow_tweets), says)


def findings_gate(unacknowledged: Sequence[Finding]) -> GateResult:
    """Return the gate on open findings: while the stream is abnormal, the effect of a release cannot be measured."""
    findings = "; ".join(map(str, unacknowledged))
    says = f"{findings}: investigate, then run tweet-sentiment quality acknowledge" if findings else "no open findings"
    return at_most("quality", float(len(unacknowledged)), 0.0, says)
