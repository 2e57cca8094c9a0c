"""One figure of a stream beside its limit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """What was measured: `name` is that of the finding which it is where it has not `passed`.

    `version` is the version of the model whose baseline it was held against, None where there is none.
    """

    name: str
    passed: bool
    figure: float
    limit: float
    says: str
    version: str | None = None

    @property
    def against_limit(self) -> str:
        return f"{self.figure:.4g}, the limit is {self.limit:.4g} ({self.says})"


def at_most(name: str, figure: float, limit: float, says: str, version: str | None = None) -> Check:
    return Check(name, figure <= limit, figure, limit, says, version)
