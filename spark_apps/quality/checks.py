"""One check of the stream: a measured figure with its limit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One figure and its limit. A check that has not passed becomes a finding of the same name.

    Attributes:
        name: name of the check, such as `freshness of gold`.
        passed: whether the figure is within the limit.
        figure: measured figure.
        limit: limit of the figure; a maximum, or for `throughput` a minimum.
        says: explains the figure: its unit and its details.
        lang: language, for a check of one language.
        version: model version, for a comparison with its baseline.
    """

    name: str
    passed: bool
    figure: float
    limit: float
    says: str
    lang: str | None = None
    version: str | None = None

    @property
    def against_limit(self) -> str:
        """The figure, its limit and its explanation, as one text."""
        return f"{self.figure:.4g}, the limit is {self.limit:.4g} ({self.says})"


def at_most(
    name: str, figure: float, limit: float, says: str, lang: str | None = None, version: str | None = None
) -> Check:
    """Return a check that passes if `figure` is at most `limit`."""
    return Check(name, figure <= limit, figure, limit, says, lang, version)
