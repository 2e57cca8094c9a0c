"""The figures of a shadow version: how its labels differ from those of production.

The jobs that release a model cannot read the lake: `quality check`, which can, records the figures as a tag of the
version.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from spark_apps.registry.client import Registry
from spark_apps.registry.versions import Version

_TAG = "shadow figures"


@dataclass(frozen=True)
class LabelFigures:
    """The labels of some tweets by both versions.

    Attributes:
        tweets: number of tweets.
        agreement: share of the tweets with the same label.
        production: share of each label by production.
        shadow: share of each label by the shadow version.
    """

    tweets: int
    agreement: float
    production: dict[str, float]
    shadow: dict[str, float]


@dataclass(frozen=True)
class ShadowFigures:
    """The figures of one shadow version.

    Attributes:
        total: labels of all tweets.
        languages: labels by language, the most frequent first; only languages with enough tweets.
        milliseconds: mean time of the shadow version for a tweet; None if all its texts were repeated.
        since: when it scored its first tweet, ISO 8601.
        measured_at: when the figures were read, ISO 8601.
    """

    total: LabelFigures
    languages: dict[str, LabelFigures]
    milliseconds: float | None
    since: str
    measured_at: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        languages = {lang: LabelFigures(**figures) for lang, figures in fields["languages"].items()}
        return cls(**{**fields, "total": LabelFigures(**fields["total"]), "languages": languages})


def record_figures(registry: Registry, version: Version, figures: ShadowFigures) -> None:
    """Record the figures of a version as a tag, which replaces the figures recorded before."""
    registry.tag(version.version, _TAG, figures.to_dict())


def shadow_figures(version: Version, lake: str | None = None) -> ShadowFigures | None:
    """Return the figures of a version: from the lake if it is given and has some, otherwise those recorded last.

    Raises:
        LakeError: gold/shadow exists but is not readable.
    """
    figures = None
    if lake is not None:
        from spark_apps.quality.shadow_scores import read_shadow  # needs deltalake

        figures = read_shadow(lake, version.version)
    if figures is None and _TAG in version.tags:
        figures = ShadowFigures.from_dict(json.loads(version.tags[_TAG]))
    return figures
