"""Releases a model: registers it, runs the gates, and moves production. Rolls production back."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from spark_apps.model.dataset import LabelledTweets
from spark_apps.model.evaluation.evaluate import evaluate
from spark_apps.model.release.comparison import comparison_gate, language_gates
from spark_apps.model.release.gate_result import GateResult
from spark_apps.model.release.gates import GateLimits, findings_gate, quality_gates, shadow_gate, smoke_gate
from spark_apps.quality.findings import read_findings, unacknowledged
from spark_apps.quality.shadow import shadow_figures
from spark_apps.registry.client import NoProductionError, Registry
from spark_apps.registry.model_uri import fetch_version
from spark_apps.registry.production import promote, roll_back
from spark_apps.registry.requests import RegistryError
from spark_apps.registry.shadow import clear_shadow, set_shadow
from spark_apps.registry.versions import PASSED_FOR_SHADOW, REFUSED, WITHDRAWN
from spark_apps.scoring.scorer import Scorer


@dataclass(frozen=True)
class Release:
    """The result of a release.

    Attributes:
        version: the new version.
        before: version in production before the release, or None.
        production: version in production after the release, or None.
        gates: results of the gates.
        is_shadow: whether the version became the shadow version instead of being released.
    """

    version: str
    before: str | None
    production: str | None
    gates: list[GateResult]
    is_shadow: bool = False

    @property
    def refused(self) -> list[GateResult]:
        """The gates that refused the version."""
        return [gate for gate in self.gates if not gate.passed]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of `model release`."""
        return {**asdict(self), "refused": [gate.name for gate in self.refused]}


def release(
    registry: Registry,
    model: Path | str,
    data: LabelledTweets,
    split: str,
    limits: GateLimits,
    by: str,
    why: str,
    console: Console,
    shadow_first: bool = False,
    lake: str | None = None,
) -> Release:
    """Register a model, and put it in production if it passes every gate.

    The gates judge the files as Gold loads them, downloaded from the registry. A refused version remains in staging,
    with the figures of the gates that refused it in a tag, and production does not change.

    Args:
        registry: registry of the versions.
        model: folder of an exported model to register, or the number of a registered version.
        data: labelled tweets.
        split: split of `data` on which the gates judge the version.
        limits: limits of the gates.
        by: who releases, for the release history.
        why: reason, for the release history.
        console: receives progress.
        shadow_first: whether the version becomes the shadow version instead; the gate `shadow` does not apply.
        lake: lake with the shadow scores; None for the figures that `quality check` has recorded in the registry.

    Raises:
        DataError: the split is missing or invalid; nothing is registered.
        ModelError: a file in the folder is missing or damaged; nothing is registered.
        RegistryError: the registry does not answer.
    """
    data.read(split)  # Fails before a version is registered.
    before = _production(registry)
    version = model if isinstance(model, str) else registry.register(model)
    if version != model:
        console.print(f"version {version} is registered and in staging")
    gates = _run_gates(registry, version, before, data, split, limits, console)
    if limits.shadow_tweets and not shadow_first:
        gates.append(shadow_gate(shadow_figures(registry.version(version), lake), limits))
    registry.log_gates(version, {f"gate_{gate.name.replace(' ', '_')}": gate.figure for gate in gates}, _report(gates))
    if refused := [gate for gate in gates if not gate.passed]:
        registry.tag(version, REFUSED, {"by": by, "why": why, "gates": _report(refused)})
        return Release(version, before, _production(registry), gates)
    _forget_refusal(registry, version)
    if shadow_first:
        registry.tag(version, PASSED_FOR_SHADOW, {"by": by, "why": why})
        return Release(version, before, before, gates, set_shadow(registry, version) == version)
    production = promote(registry, version, by, why)
    clear_shadow(registry, production)
    return Release(version, before, production, gates)


def _forget_refusal(registry: Registry, version: str) -> None:
    """Delete what an earlier release or a rollback has recorded about a version that passes the gates now."""
    tags = registry.version(version).tags
    for tag in (REFUSED, WITHDRAWN):
        if tag in tags:
            registry.untag(version, tag)


def _run_gates(
    registry: Registry,
    version: str,
    before: str | None,
    data: LabelledTweets,
    split: str,
    limits: GateLimits,
    console: Console,
) -> list[GateResult]:
    """Return the results of all gates, or of the smoke gate alone if the model cannot be loaded."""
    threads = os.cpu_count() or 1
    with fetch_version(registry, version) as files:
        smoke = smoke_gate(files, limits)
        if not smoke.figure and not smoke.passed:  # the model cannot be loaded, or labels every tweet wrongly
            return [smoke]
        evaluation = evaluate(files, data, split, threads, console)
    tweets = data.read(split)
    truth = np.asarray(tweets.labels)
    candidate = evaluation.probabilities.argmax(axis=1)
    production = None
    if before is not None:
        console.print(f"comparing with version {before}, in production, on the same {len(truth):,} tweets")
        with fetch_version(registry, before) as files:
            production = Scorer(files, threads).score(tweets.texts).argmax(axis=1)
    findings = findings_gate(unacknowledged(read_findings(registry)))
    comparison = comparison_gate(truth, candidate, production, before)
    by_language = language_gates(tweets.languages, truth, candidate, production, before, limits.language_tweets)
    return [smoke, *quality_gates(evaluation, limits), comparison, *by_language, findings]


def rollback(registry: Registry, to: str | None, by: str, why: str) -> tuple[str, str]:
    """Move production to the version `to`, or back to the next lower version that passed and is not withdrawn.

    Running streams use that version from their next micro-batch on.

    Returns:
        The versions in production before and after.

    Raises:
        RegistryError: there is no such version, or it has not passed the gates.
    """
    before = registry.production()
    versions = registry.versions()
    if to is None:
        earlier = (version for version in versions if int(version.version) < int(before) and version.may_be_production)
        target = next(earlier, None)
        if target is None:
            raise RegistryError(f"no version below {before} passed and was not withdrawn: release another version")
    else:
        target = registry.version(to)
        if not target.has_passed:
            raise RegistryError(
                f"version {to} has not passed the gates: release it instead, or name a version that passed"
            )
    return before, roll_back(registry, target.version, by, why)


def _production(registry: Registry) -> str | None:
    """Return the version in production; None if there is none yet."""
    try:
        return registry.production()
    except NoProductionError:
        return None


def _report(gates: list[GateResult]) -> dict[str, Any]:
    """Return the results of gates as JSON for the registry."""
    return {gate.name: {"figure": gate.figure, "limit": gate.limit, "passed": gate.passed} for gate in gates}
