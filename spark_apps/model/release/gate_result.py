"""The result of a release gate, which compares one figure of a version with a limit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GateResult:
    """The result of one gate.

    Attributes:
        name: name of the gate.
        passed: whether the version passes.
        figure: measured figure.
        limit: limit of the figure; a maximum for `latency` and `quality`, else a minimum.
        says: explains the figure.
    """

    name: str
    passed: bool
    figure: float
    limit: float
    says: str


def at_least(name: str, figure: float, limit: float, says: str) -> GateResult:
    """Return the result of a gate with a minimum."""
    return GateResult(name, figure >= limit, figure, limit, says)


def at_most(name: str, figure: float, limit: float, says: str) -> GateResult:
    """Return the result of a gate with a maximum."""
    return GateResult(name, figure <= limit, figure, limit, says)
