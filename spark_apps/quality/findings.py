"""What was found to be over its limit, kept as tags of the registered model until it has passed.

The one who measures writes the findings, a person writes the acknowledgements, each in a tag of its own: neither can
undo what the other writes at the same moment. An acknowledgement is of one finding: when that has passed it goes with
it, and what comes back has to be acknowledged anew.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from spark_apps.errors import UserError
from spark_apps.quality.checks import Check
from spark_apps.registry.client import Registry

# Followed by the name of the finding.
_FINDING, _ACKNOWLEDGED = "finding: ", "acknowledged: "
_LONGEST_WHY = 1000


class FindingsError(UserError):
    """What cannot be read or acknowledged; the text says why."""


@dataclass(frozen=True)
class Acknowledgement:
    """Who has taken note of a finding, why it may stand, and when (ISO 8601)."""

    by: str
    why: str
    at: str


@dataclass(frozen=True)
class Finding:
    """What is over its limit, and `since` when (ISO 8601); `version` is the model's where its baseline is meant."""

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
    return [finding for finding in findings if finding.acknowledged is None]


def standing(registry: Registry) -> list[Finding]:
    """Return all findings of a registry, the oldest first; `FindingsError` where a tag is not what was written."""
    tags = registry.model_tags()
    found = [_finding(key.removeprefix(_FINDING), text, tags) for key, text in tags.items() if key.startswith(_FINDING)]
    return sorted(found, key=lambda finding: (finding.since, finding.name))


def _finding(name: str, text: str, tags: dict[str, str]) -> Finding:
    try:
        fields, said = json.loads(text), json.loads(tags.get(_ACKNOWLEDGED + name, "{}"))
        # One of an earlier finding of this name may have been written while that one passed.
        valid = said.pop("since", None) == fields["since"]
        return Finding(name, **fields, acknowledged=Acknowledgement(**said) if valid else None)
    except (ValueError, TypeError, KeyError, AttributeError):
        # In MLflow's UI anybody may edit them.
        raise FindingsError(
            f"the tag {_FINDING + name!r} of the registered model, or its acknowledgement, was edited: delete both"
        ) from None


def over(checks: Iterable[Check], now: datetime) -> list[Finding]:
    """Return the checks that have not passed, as findings of this moment."""
    return [Finding(check.name, _text(now), check.against_limit, check.version) for check in checks if not check.passed]


def keep(registry: Registry, checks: Sequence[Check], production: str | None, now: datetime) -> list[Finding]:
    """Bring the findings of the registry up to date with what was measured; return those that stand.

    What was not measured this time, such as a language with too few tweets, stands as it did; unless it was held
    against the baseline of a version that is no longer in production.
    """
    before = {finding.name: finding for finding in standing(registry)}
    measured = {check.name for check in checks}
    stands = {name for name, found in before.items() if name not in measured and found.version in (None, production)}
    for found in over(checks, now):
        earlier = before.get(found.name)
        since = earlier.since if earlier and earlier.version == found.version else found.since
        registry.tag_model(_FINDING + found.name, {"since": since, "says": found.says, "version": found.version})
        stands.add(found.name)
    for key in registry.model_tags():
        for prefix in (_FINDING, _ACKNOWLEDGED):
            if key.startswith(prefix) and key.removeprefix(prefix) not in stands:
                registry.untag_model(key)
    return standing(registry)


def acknowledge(registry: Registry, names: Sequence[str], by: str, why: str) -> list[Finding]:
    """Acknowledge the findings of these names, without names all that stand; return them.

    `FindingsError` where one of them does not stand, or without a reason.
    """
    if not why.strip() or len(why) > _LONGEST_WHY:
        raise FindingsError(f"--why: write the reason, in at most {_LONGEST_WHY:,} characters")
    found = {finding.name: finding for finding in standing(registry)}
    if unknown := [name for name in names if name not in found]:
        raise FindingsError(f"{', '.join(unknown)}: no such finding stands; there are: {', '.join(found) or 'none'}")
    chosen = [found[name] for name in names] or unacknowledged(found.values())
    at = _text(datetime.now(UTC))
    for finding in chosen:
        registry.tag_model(_ACKNOWLEDGED + finding.name, {"by": by, "why": why, "at": at, "since": finding.since})
    return chosen


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
