"""Findings: failed checks, kept as tags of the registered model until the check passes again.

`quality check` writes findings and a person writes acknowledgements, each in a separate tag, so concurrent writes do
not overwrite each other. An acknowledgement belongs to one finding and is deleted with it: if the check fails again
later, the new finding needs a new acknowledgement.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from spark_apps.errors import UserError
from spark_apps.quality.checks import Check
from spark_apps.registry.client import Registry

# Prefixes of tags, followed by the name of the finding.
_FINDING, _ACKNOWLEDGED = "finding: ", "acknowledged: "
_MAX_REASON = 1000


class FindingsError(UserError):
    """A finding is not readable or cannot be acknowledged."""


@dataclass(frozen=True)
class Acknowledgement:
    """Who acknowledged a finding, why it is accepted, and when (ISO 8601)."""

    by: str
    why: str
    at: str


@dataclass(frozen=True)
class Finding:
    """A failed check.

    Attributes:
        name: name of the check.
        since: time of its first failure since the check last passed, ISO 8601.
        says: the figure, its limit and its explanation at the last failure.
        version: model version of the baseline; None for a check without a baseline.
        acknowledged: None for an open finding.
    """

    name: str
    since: str
    says: str
    version: str | None
    acknowledged: Acknowledgement | None = None

    def __str__(self) -> str:
        return f"{self.name}, since {self.since[:16].replace('T', ' ')}: {self.says}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def unacknowledged(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings without an acknowledgement."""
    return [finding for finding in findings if finding.acknowledged is None]


def read_findings(registry: Registry) -> list[Finding]:
    """Return all findings of a registry, the oldest first; raise `FindingsError` if a tag is not readable."""
    tags = registry.model_tags()
    findings = [
        _parse(key.removeprefix(_FINDING), text, tags) for key, text in tags.items() if key.startswith(_FINDING)
    ]
    return sorted(findings, key=lambda finding: (finding.since, finding.name))


def _parse(name: str, text: str, tags: dict[str, str]) -> Finding:
    try:
        fields, acknowledgement = json.loads(text), json.loads(tags.get(_ACKNOWLEDGED + name, "{}"))
        # The acknowledgement may belong to an earlier finding of this name that ended while a person acknowledged it.
        is_valid = acknowledgement.pop("since", None) == fields["since"]
        return Finding(name, **fields, acknowledged=Acknowledgement(**acknowledgement) if is_valid else None)
    except (ValueError, TypeError, KeyError, AttributeError):
        # Any user of MLflow's UI can edit tags.
        raise FindingsError(
            f"the tag {_FINDING + name!r} or {_ACKNOWLEDGED + name!r} of the registered model is not readable, because "
            "it was edited: delete both tags"
        ) from None


def failed_checks(checks: Iterable[Check], now: datetime) -> list[Finding]:
    """Return a finding, with `since` set to `now`, for each check that has not passed."""
    return [Finding(check.name, _iso(now), check.against_limit, check.version) for check in checks if not check.passed]


def update_findings(
    registry: Registry, checks: Sequence[Check], production: str | None, now: datetime
) -> list[Finding]:
    """Write failed checks to the registry as findings, and delete the findings of passed checks.

    A finding that was not checked this time, for example of a language with too few tweets, remains. A finding about
    the baseline of a version that is no longer in production is deleted.

    Args:
        registry: registry that stores the findings.
        checks: results of this check of the stream.
        production: version in production, if any.
        now: time of the check; a finding that exists keeps its earlier time.

    Returns:
        All findings of the registry.
    """
    before = {finding.name: finding for finding in read_findings(registry)}
    checked = {check.name for check in checks}
    kept = {name for name, old in before.items() if name not in checked and old.version in (None, production)}
    for finding in failed_checks(checks, now):
        old = before.get(finding.name)
        since = old.since if old and old.version == finding.version else finding.since
        fields = {"since": since, "says": finding.says, "version": finding.version}
        registry.tag_model(_FINDING + finding.name, fields)
        kept.add(finding.name)
    for key in registry.model_tags():
        for prefix in (_FINDING, _ACKNOWLEDGED):
            if key.startswith(prefix) and key.removeprefix(prefix) not in kept:
                registry.untag_model(key)
    return read_findings(registry)


def acknowledge(registry: Registry, names: Sequence[str], by: str, why: str) -> list[Finding]:
    """Acknowledge findings by name; without names, all findings that are not acknowledged. Return them.

    Raises:
        FindingsError: a finding does not exist or is not readable, or the reason is empty or too long.
    """
    if not why.strip() or len(why) > _MAX_REASON:
        raise FindingsError(
            f"--why is {'too long' if why.strip() else 'empty'}: write the reason in at most {_MAX_REASON:,} characters"
        )
    findings = {finding.name: finding for finding in read_findings(registry)}
    if unknown := [name for name in names if name not in findings]:
        known = f"the findings are {', '.join(findings)}" if findings else "there are no findings"
        raise FindingsError(f"unknown finding {', '.join(unknown)}: {known}")
    chosen = [findings[name] for name in names] or unacknowledged(findings.values())
    at = _iso(datetime.now(UTC))
    for finding in chosen:
        registry.tag_model(_ACKNOWLEDGED + finding.name, {"by": by, "why": why, "at": at, "since": finding.since})
    return chosen


def _iso(time: datetime) -> str:
    """Return a time in UTC as ISO 8601."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
