"""Checks a stream: figures of the recent rows against limits, and data drift against the baseline of the model."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from spark_apps.lake.commits import LakeError, open_table
from spark_apps.quality import baseline, measurements
from spark_apps.quality.checks import Check, at_most
from spark_apps.quality.findings import Finding, failed_checks, unacknowledged, update_findings
from spark_apps.quality.limits import QualityLimits
from spark_apps.quality.shadow import record_figures
from spark_apps.quality.shadow_scores import read_shadow
from spark_apps.registry.client import Registry
from spark_apps.registry.versions import Version
from spark_apps.settings import PRODUCTION, SHADOW
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, SILVER_TWEETS

# Below this number of records, the share in quarantine says little: one deletion is a quarter of four records.
_MIN_RECORDS = 20


@dataclass(frozen=True)
class QualityReport:
    """Checks of the rows written from `since` on, and the findings.

    `version` is the version in production; None without a registry or a version in production.
    """

    lake: str
    since: datetime
    version: str | None
    checks: list[Check]
    findings: list[Finding]

    @property
    def open(self) -> list[Finding]:
        """The findings that are not acknowledged."""
        return unacknowledged(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of `quality check`, with times in ISO 8601."""
        return {**asdict(self), "since": self.since.isoformat(), "open": [finding.name for finding in self.open]}


def check_lake(lake: str, registry: Registry | None, limits: QualityLimits) -> QualityReport:
    """Check the stream of `lake`; write findings, new baselines and the figures of the shadow version to `registry`.

    Without a registry, or while it has no version, nothing is compared with a baseline, and nothing is written.

    Raises:
        LakeError: the lake has no Bronze table, or a table is not readable.
        RegistryError: the registry does not answer.
        FindingsError: a finding in the registry is not readable.
    """
    if open_table(lake, BRONZE_TWEETS) is None:
        raise LakeError(f"{BRONZE_TWEETS.path(lake)} does not exist: check --lake, and that Bronze has run")
    now = datetime.now(UTC)
    since = now - limits.window
    versions = registry.versions() if registry else []
    version = next((version for version in versions if PRODUCTION in version.aliases), None)
    checks = [*_freshness(lake, limits, now), *_amounts(lake, limits, since)]
    if registry and version:
        checks += _drift(lake, registry, version, versions, limits, since, now)
    if registry:
        _record_shadow(lake, registry, versions)
    name = version.version if version else None
    findings = update_findings(registry, checks, name, now) if registry and versions else failed_checks(checks, now)
    return QualityReport(lake, since, name, checks, findings)


def _record_shadow(lake: str, registry: Registry, versions: Iterable[Version]) -> None:
    """Record the figures of the shadow version, if there is one that has scored tweets."""
    for version in versions:
        if SHADOW in version.aliases and (figures := read_shadow(lake, version.version)):
            record_figures(registry, version, figures)


def _freshness(lake: str, limits: QualityLimits, now: datetime) -> Iterator[Check]:
    """Measure how long the oldest row that a layer has not read yet has been waiting."""
    for name, rows, source, reader, read in (
        ("silver", "documents", BRONZE_TWEETS, SILVER_TWEETS, "documents"),
        ("gold", "tweets", SILVER_TWEETS, GOLD_SENTIMENT, "rows"),
    ):
        since = measurements.waiting_since(lake, source, reader, read)
        # A row written after the start of the check has not waited.
        waited = max(0.0, (now - since).total_seconds()) if since else 0.0
        says = f"seconds that the oldest of the {rows} has been waiting for {name}" if since else "none is waiting"
        yield at_most(f"freshness of {name}", waited, limits.freshness_seconds, says)


def _amounts(lake: str, limits: QualityLimits, since: datetime) -> Iterator[Check]:
    """Measure the rate of scored tweets and the share of rejected records."""
    tweets = measurements.count_scored(lake, since)
    rate = tweets / limits.window_minutes
    says = f"tweets a minute, {tweets:,} in {limits.window_minutes:g} minutes"
    yield Check("throughput", rate >= limits.tweets_per_minute, rate, limits.tweets_per_minute, says)
    accepted, rejected = measurements.count_records(lake, since)
    records = accepted + rejected.total()
    if records >= _MIN_RECORDS:
        reasons = ", ".join(f"{count:,} × {reason}" for reason, count in rejected.most_common(5)) or "none"
        says = f"of {records:,} records: {reasons}"
        yield at_most("quarantine share", rejected.total() / records, limits.quarantine_share, says)


def _drift(
    lake: str,
    registry: Registry,
    version: Version,
    versions: list[Version],
    limits: QualityLimits,
    since: datetime,
    now: datetime,
) -> Iterator[Check]:
    """Record new baselines. Check the window against them, and check whether the release shifted the labels."""
    window = measurements.profiles(lake, since, version.version, limits.least_tweets)
    baselines = baseline.record_baselines(registry, version, window, limits, now)
    yield from baseline.data_drift(window, baselines, version.version, limits.drift)
    yield from baseline.label_shift(baselines, version, versions, limits.drift)
