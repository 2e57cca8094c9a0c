"""What the tweets of a language are like: their labels and what their texts hold, counted; and how far counts drift."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any

from spark_apps.labels import LABELS

# What is counted, and what each count is of.
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
    """So many `tweets` of one language; `counts[figure]` are those of each of FIGURES[figure]."""

    tweets: int
    counts: dict[str, list[int]]

    def __str__(self) -> str:
        """Return it as a tag keeps it: about 150 characters."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Profile":
        """Read it from a row that has a column for each figure."""
        return cls(row["tweets"], {figure: list(row[figure]) for figure in FIGURES})

    @classmethod
    def from_text(cls, text: str) -> "Profile":
        """Read what `str` has written; a figure that is counted otherwise today is left out."""
        found = json.loads(text)
        counts = {name: found["counts"].get(name, []) for name in FIGURES}
        return cls(found["tweets"], {name: of for name, of in counts.items() if len(of) == len(FIGURES[name])})


def psi(ours: Sequence[int], theirs: Sequence[int]) -> float:
    """Return the population stability index of two histograms: Σ (p - q) ln(p / q) over their shares p and q.

    It is 0 for equal shares and the same in both directions. Below 0.1 is taken for stable, above 0.25 for another
    population (Siddiqi, Credit Risk Scorecards, 2006). A share below that of half a tweet of the smaller histogram
    counts as that much: an empty bin would make the index infinite.
    """
    floor = 0.5 / max(1, min(sum(ours), sum(theirs)))
    shares = zip(_shares(ours), _shares(theirs), strict=True)
    return sum(_term(max(p, floor), max(q, floor)) for p, q in shares)


def _term(p: float, q: float) -> float:
    return (p - q) * log(p / q)


def _shares(counts: Sequence[int]) -> list[float]:
    total = max(1, sum(counts))
    return [count / total for count in counts]


def most_moved(figure: str, ours: Profile, theirs: Profile) -> tuple[str, float, float]:
    """Return which of the figure's counts has moved most: its name, its share in `ours` and that in `theirs`."""
    shares = zip(FIGURES[figure], _shares(ours.counts[figure]), _shares(theirs.counts[figure]), strict=True)
    return max(shares, key=lambda share: abs(share[1] - share[2]))
