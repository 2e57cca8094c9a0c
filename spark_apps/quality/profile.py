"""Profiles of the tweets of one language: histograms of labels and text features. PSI measures how far two differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any

from spark_apps.labels import LABELS

# The names of the bins of each histogram.
FIGURES: Mapping[str, tuple[str, ...]] = {
    "label": LABELS,
    "length": (
        "up to 20 characters", "21 to 40 characters", "41 to 60 characters", "61 to 80 characters",
        "81 to 100 characters", "101 to 120 characters", "121 to 140 characters", "141 to 200 characters",
        "201 to 280 characters", "above 280 characters",
    ),
    "link": ("with a link", "without a link"),
    "mention": ("with a mention", "without a mention"),
    "hashtag": ("with a hashtag", "without a hashtag"),
    "non_ascii": ("with characters that are not ASCII", "of ASCII alone"),
}  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """Histograms of the tweets of one language: `counts[figure]` has one count for each bin of FIGURES[figure]."""

    tweets: int
    counts: dict[str, list[int]]

    def __str__(self) -> str:
        """Return the JSON that a tag stores, about 150 characters."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Profile":
        """Build a profile from a row with the number of tweets and a column for each figure."""
        return cls(row["tweets"], {figure: list(row[figure]) for figure in FIGURES})

    @classmethod
    def from_text(cls, text: str) -> "Profile":
        """Parse the JSON of `str(profile)`; drop a figure if its number of bins has changed since."""
        fields = json.loads(text)
        histograms = {name: fields["counts"].get(name, []) for name in FIGURES}
        counts = {name: histogram for name, histogram in histograms.items() if len(histogram) == len(FIGURES[name])}
        return cls(fields["tweets"], counts)


def psi(counts: Sequence[int], baseline: Sequence[int]) -> float:
    """Return the population stability index (PSI) of two histograms: Σ (p - q) ln(p / q) over their shares p and q.

    The index is symmetric, and 0 for equal shares. Below 0.1 there is no shift; above 0.25 the population has shifted
    (Siddiqi, Credit Risk Scorecards, 2006). An empty bin would make the index infinite, so each share is at
    least that of half a tweet in the smaller histogram.
    """
    floor = 0.5 / max(1, min(sum(counts), sum(baseline)))
    shares = zip(_shares(counts), _shares(baseline), strict=True)
    return sum(_term(max(p, floor), max(q, floor)) for p, q in shares)


def _term(p: float, q: float) -> float:
    return (p - q) * log(p / q)


def _shares(counts: Sequence[int]) -> list[float]:
    total = max(1, sum(counts))
    return [count / total for count in counts]


def largest_change(figure: str, profile: Profile, baseline: Profile) -> tuple[str, float, float]:
    """Return the bin of `figure` with the largest change: its name, and its shares in `profile` and `baseline`."""
    shares = zip(FIGURES[figure], _shares(profile.counts[figure]), _shares(baseline.counts[figure]), strict=True)
    return max(shares, key=lambda share: abs(share[1] - share[2]))
