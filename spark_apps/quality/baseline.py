"""The baseline of a version: what the tweets of its first hour in the stream were like, and how it labelled them.

It is recorded once a language, as tags of the version: a later one would take a drift for what is usual.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from spark_apps.quality.checks import Check, at_most
from spark_apps.quality.limits import Limits
from spark_apps.quality.profile import Profile, most_moved, psi
from spark_apps.registry.client import Registry
from spark_apps.registry.versions import Version

# Followed by the language.
_BASELINE = "baseline "


def baselines(version: Version) -> dict[str, Profile]:
    """Return what is recorded of a version, by language."""
    return {
        key.removeprefix(_BASELINE): Profile.from_text(text)
        for key, text in version.tags.items()
        if key.startswith(_BASELINE)
    }


def record(
    registry: Registry, version: Version, window: Mapping[str, Profile], limits: Limits, now: datetime
) -> dict[str, Profile]:
    """Record what `window` holds of each language that has no baseline yet; return all there are.

    Not before the version has been in production for a whole window: moods come in bursts, and thousands of tweets of
    a few minutes are not what the tweets of an hour are like.
    """
    known = baselines(version)
    moves = version.moves
    settled = not moves or now - datetime.fromisoformat(moves[0]["at"]) >= limits.window
    for lang, profile in window.items():
        if settled and lang not in known:
            registry.tag(version.version, _BASELINE + lang, str(profile))
            known[lang] = profile
    return known


def drift(window: Mapping[str, Profile], known: Mapping[str, Profile], version: str, limit: float) -> Iterator[Check]:
    """Hold each language of the window against its baseline: labels, and what the texts hold."""
    for lang, ours in window.items():
        for figure in known[lang].counts if lang in known else ():
            yield _compared(figure, "drift", lang, ours, known[lang], limit, version)


def shift(known: Mapping[str, Profile], version: Version, others: list[Version], limit: float) -> Iterator[Check]:
    """Hold the labels of a version's baseline against those of the version before: does the release shift them?

    Both stay as they were recorded, so it is found once, and stands until it is acknowledged.
    """
    before = [baselines(other) for other in others if int(other.version) < int(version.version)]
    for lang, ours in known.items():
        theirs = next((found[lang] for found in before if lang in found), None)
        if theirs is not None and "label" in ours.counts and "label" in theirs.counts:
            yield _compared("label", "shift", lang, ours, theirs, limit, version.version)


def _compared(figure: str, what: str, lang: str, ours: Profile, theirs: Profile, limit: float, version: str) -> Check:
    moved, now, then = most_moved(figure, ours, theirs)
    says = f"{moved}: {now:.0%} of {ours.tweets:,} tweets, {then:.0%} of {theirs.tweets:,} in the baseline"
    index = psi(ours.counts[figure], theirs.counts[figure])
    return at_most(f"{figure} {what} in {lang}", index, limit, says, lang, version)
