"""What a benchmark gives: lines for the table that people read, and all its figures for the JSON file."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """One row of the table; `beside` compares the figure with another one, or says what it was measured on."""

    what: str
    figure: str
    beside: str = ""


@dataclass(frozen=True)
class Result:
    """The lines and the figures of one benchmark."""

    lines: list[Line]
    figures: dict[str, Any]
