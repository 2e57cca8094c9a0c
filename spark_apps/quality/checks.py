"""One figure of a stream beside its limit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """What was measured: `name` is that of the finding which it is where it has not `passed`.

    `lang` is set where it is of one language, `version` where it was held against the baseline of that version.
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
        return f"{self.figure:.4g}, the limit is {self.limit:.4g} ({self.says})"


def at_most(
    name: str, figure: float, limit: float, says: str, lang: str | None = None, version: str | None = None
) -> Check:
    return Check(name, figure <= limit, figure, limit, says, lang, version)
