"""The result of a benchmark: lines for the printed table, and all figures for the JSON file."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """One row of the table; `comparison` relates the figure to another figure, or names the sample."""

    name: str
    figure: str
    comparison: str = ""


@dataclass(frozen=True)
class Result:
    """The lines and the figures of one benchmark."""

    lines: list[Line]
    figures: dict[str, Any]
