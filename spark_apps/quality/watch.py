"""One look at a stream: what was written lately against its limits, and against the baseline of the model."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from spark_apps.lake.commits import LakeError, open_table
from spark_apps.quality import baseline, measurements
from spark_apps.quality.checks import Check, at_most
from spark_apps.quality.findings import Finding, keep, over, unacknowledged
from spark_apps.quality.limits import Limits
from spark_apps.registry.client import Registry
from spark_apps.registry.versions import Version
from spark_apps.settings import PRODUCTION
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, SILVER_TWEETS

# The share of fewer records says nothing: one deletion is a quarter of four.
_FEWEST_RECORDS = 20


@dataclass(frozen=True)
class Watched:
    """What was measured of the rows written since `since`; `version` is in production, None without a registry."""

    lake: str
    since: datetime
    version: str | None
    checks: list[Check]
    findings: list[Finding]

    @property
    def open(self) -> list[Finding]:
        """What stands and nobody has acknowledged."""
        return unacknowledged(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return what `check --json` prints: times in ISO 8601."""
        return {**asdict(self), "since": self.since.isoformat(), "open": [finding.name for finding in self.open]}


def watch(lake: str, registry: Registry | None, limits: Limits) -> Watched:
    """Measure `lake`, and keep in `registry` what is over its limit and the baselines that are new.

    Without a registry, or with one that knows no version, there is nothing to drift from, and nothing is kept.
    `LakeError` where there is no lake, `RegistryError` where the registry does not answer.
    """
    if open_table(lake, BRONZE_TWEETS) is None:
        raise LakeError(f"{BRONZE_TWEETS.path(lake)} is not there: is {lake} the lake, and has Bronze ever run?")
    now = datetime.now(UTC)
    since = now - limits.window
    versions = registry.versions() if registry else []
    version = next((version for version in versions if PRODUCTION in version.aliases), None)
    checks = [*_freshness(lake, limits, now), *_amounts(lake, limits, since)]
    if registry and version:
        checks += _drift(lake, registry, version, versions, limits, since, now)
    name = version.version if version else None
    findings = keep(registry, checks, name, now) if registry and versions else over(checks, now)
    return Watched(lake, since, name, checks, findings)


def _freshness(lake: str, limits: Limits, now: datetime) -> Iterator[Check]:
    """Say for how long the oldest row has waited that a layer has yet to read."""
    for name, rows, before, after, read in (
        ("silver", "documents", BRONZE_TWEETS, SILVER_TWEETS, "documents"),
        ("gold", "tweets", SILVER_TWEETS, GOLD_SENTIMENT, "rows"),
    ):
        since = measurements.waiting_since(lake, before, after, read)
        # What was written since this look began has not waited.
        waited = max(0.0, (now - since).total_seconds()) if since else 0.0
        says = f"seconds that the oldest of the {rows} has waited that {name} has to read" if since else "none waits"
        yield at_most(f"freshness of {name}", waited, limits.freshness_seconds, says)


def _amounts(lake: str, limits: Limits, since: datetime) -> Iterator[Check]:
    """Say how many tweets came, and which share of the records was rejected."""
    tweets = measurements.count_scored(lake, since)
    rate = tweets / limits.window_minutes
    says = f"tweets a minute, {tweets:,} in {limits.window_minutes:g} minutes"
    yield Check("throughput", rate >= limits.tweets_per_minute, rate, limits.tweets_per_minute, says)
    accepted, rejected = measurements.count_records(lake, since)
    records = accepted + rejected.total()
    if records >= _FEWEST_RECORDS:
        reasons = ", ".join(f"{count:,} × {reason}" for reason, count in rejected.most_common(5)) or "none"
        says = f"of {records:,} records: {reasons}"
        yield at_most("quarantine share", rejected.total() / records, limits.quarantine_share, says)


def _drift(
    lake: str,
    registry: Registry,
    version: Version,
    versions: list[Version],
    limits: Limits,
    since: datetime,
    now: datetime,
) -> Iterator[Check]:
    window = measurements.profiles(lake, since, version.version, limits.least_tweets)
    known = baseline.record(registry, version, window, limits, now)
    yield from baseline.drift(window, known, version.version, limits.drift)
    yield from baseline.shift(known, version, versions, limits.drift)
