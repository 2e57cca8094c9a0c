"""A release: register, stage, pass the gates, move production. A rollback: take production back."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from spark_apps.model.dataset import read_split
from spark_apps.model.evaluation.evaluate import evaluate
from spark_apps.model.release.gates import Gate, Limits, comparison_gate, findings_gate, quality_gates, smoke_gate
from spark_apps.quality.findings import standing, unacknowledged
from spark_apps.registry.client import NoProduction, Registry, RegistryError
from spark_apps.registry.model_uri import version_folder
from spark_apps.registry.versions import REFUSED
from spark_apps.scoring.scorer import Scorer


@dataclass(frozen=True)
class Release:
    """What became of a release: `production` is the version in production after it, None where there is none."""

    version: str
    before: str | None
    production: str | None
    gates: list[Gate]

    @property
    def refused(self) -> list[Gate]:
        return [gate for gate in self.gates if not gate.passed]

    def to_dict(self) -> dict[str, Any]:
        """Return what `release --json` prints."""
        return {**asdict(self), "refused": [gate.name for gate in self.refused]}


def release(
    registry: Registry, folder: Path, data: Path, split: str, limits: Limits, by: str, why: str, console: Console
) -> Release:
    """Register the model in `folder` and, where it passes every gate on a split of `data`, put it in production.

    What is judged is what the registry gives back, as Gold will load it. A version that is refused keeps the gates'
    figures as a tag, and production stays as it was. `by` and `why` are written down with the move.
    """
    read_split(data, split)  # before anything is registered
    before = _production(registry)
    version = registry.register(folder)
    console.print(f"version {version} is registered and in staging")
    gates = _judge(registry, version, before, data, split, limits, console)
    registry.log(version, {f"gate_{gate.name.replace(' ', '_')}": gate.figure for gate in gates}, _report(gates))
    refused = [gate for gate in gates if not gate.passed]
    if refused:
        registry.tag(version, REFUSED, {"by": by, "why": why, "gates": _report(refused)})
        return Release(version, before, _production(registry), gates)
    return Release(version, before, registry.promote(version, by, why), gates)


def _judge(
    registry: Registry, version: str, before: str | None, data: Path, split: str, limits: Limits, console: Console
) -> list[Gate]:
    threads = os.cpu_count() or 1
    with version_folder(registry, version) as files:
        smoke = smoke_gate(files, limits)
        if not smoke.figure:  # it cannot even be loaded
            return [smoke]
        found = evaluate(files, data, split, threads, console)
    truth = np.asarray(read_split(data, split).labels)
    ours = found.probabilities.argmax(axis=1)
    theirs = None
    if before is not None:
        console.print(f"version {before}, in production, labels the same {len(truth):,} tweets")
        with version_folder(registry, before) as files:
            theirs = Scorer(files, threads).score(read_split(data, split).texts).argmax(axis=1)
    findings = findings_gate(unacknowledged(standing(registry)))
    return [smoke, *quality_gates(found, limits), comparison_gate(truth, ours, theirs, before), findings]


def rollback(registry: Registry, to: str | None, by: str, why: str) -> tuple[str, str]:
    """Take production back to the version before it, or to the version `to`; return both, the old one first.

    Running streams follow at their next micro-batch. `RegistryError` where there is no such version that was passed.
    """
    before = registry.production()
    versions = registry.versions()
    if to is None:
        earlier = (found for found in versions if int(found.version) < int(before) and found.may_be_production)
        target = next(earlier, None)
        if target is None:
            raise RegistryError(f"no version before {before} has been in production: there is nothing to go back to")
    else:
        target = registry.version(to)
        if not target.has_passed:
            raise RegistryError(f"version {to} has not passed the gates: release it")
    return before, registry.withdraw(target.version, by, why)


def _production(registry: Registry) -> str | None:
    try:
        return registry.production()
    except NoProduction:
        return None


def _report(gates: list[Gate]) -> dict[str, Any]:
    return {gate.name: {"figure": gate.figure, "limit": gate.limit, "passed": gate.passed} for gate in gates}
