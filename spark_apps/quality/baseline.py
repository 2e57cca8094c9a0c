"""Baselines of a model version: for each language, the profile of the first full window after its release.

A baseline is recorded once, as a tag of the version: a baseline that followed the stream would hide data drift.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from spark_apps.quality.checks import Check, at_most
from spark_apps.quality.limits import QualityLimits
from spark_apps.quality.profile import Profile, largest_change, psi
from spark_apps.registry.client import Registry
from spark_apps.registry.versions import Version

# Prefix of a tag, followed by the language.
_BASELINE = "baseline "


def read_baselines(version: Version) -> dict[str, Profile]:
    """Return the recorded baselines of a version by language."""
    return {
        key.removeprefix(_BASELINE): Profile.from_text(text)
        for key, text in version.tags.items()
        if key.startswith(_BASELINE)
    }


def record_baselines(
    registry: Registry, version: Version, window: Mapping[str, Profile], limits: QualityLimits, now: datetime
) -> dict[str, Profile]:
    """Record a baseline for each language of `window` that has none; return all baselines of the version.

    Nothing is recorded before the version has been in production for a whole window. Sentiment comes in bursts, so even
    thousands of tweets of a few minutes do not represent an hour.

    Args:
        registry: registry that stores the baselines.
        version: version that scored the tweets.
        window: profiles of the current window by language.
        limits: limits with the length of the window.
        now: time of the check.
    """
    baselines = read_baselines(version)
    moves = version.moves
    window_is_full = not moves or now - datetime.fromisoformat(moves[-1]["at"]) >= limits.window
    for lang, profile in window.items():
        if window_is_full and lang not in baselines:
            registry.tag(version.version, _BASELINE + lang, str(profile))
            baselines[lang] = profile
    return baselines


def data_drift(
    window: Mapping[str, Profile], baselines: Mapping[str, Profile], version: str, limit: float
) -> Iterator[Check]:
    """Yield a check of each figure of each language in `window` against the language's baseline."""
    for lang, profile in window.items():
        for figure in baselines[lang].counts if lang in baselines else ():
            yield _compare(figure, "drift", lang, profile, baselines[lang], limit, version)


def label_shift(
    baselines: Mapping[str, Profile], version: Version, others: list[Version], limit: float
) -> Iterator[Check]:
    """Yield a check for each language: whether the release of `version` shifted the labels.

    The check compares the labels in the version's baseline with the labels in the baseline of the version before.
    Baselines never change, so the check keeps failing until its finding is acknowledged or the version is replaced.
    """
    earlier = [read_baselines(other) for other in others if int(other.version) < int(version.version)]
    for lang, profile in baselines.items():
        before = next((baseline[lang] for baseline in earlier if lang in baseline), None)
        if before is not None and "label" in profile.counts and "label" in before.counts:
            yield _compare("label", "shift", lang, profile, before, limit, version.version)


def _compare(
    figure: str, kind: str, lang: str, profile: Profile, baseline: Profile, limit: float, version: str
) -> Check:
    bin_, share, share_before = largest_change(figure, profile, baseline)
    says = (
        f"{bin_}: {share:.0%} of {profile.tweets:,} tweets, {share_before:.0%} of {baseline.tweets:,} in the baseline"
    )
    index = psi(profile.counts[figure], baseline.counts[figure])
    return at_most(f"{figure} {kind} in {lang}", index, limit, says, lang, version)
