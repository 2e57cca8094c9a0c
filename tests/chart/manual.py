"""The descriptions of values.yaml: comments in the format of helm-docs, by path of the value."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

MARK, DEFAULT = "# -- ", "# @default -- "


@dataclass(frozen=True)
class Value:
    """One documented value: its path, default, description, and the default in words where the value is empty."""

    path: tuple[str, ...]
    default: Any
    description: str
    default_note: str

    @property
    def text(self) -> str:
        """Description for the schema."""
        return f"{self.description} Default: {self.default_note}." if self.default_note else self.description


def documented_values(text: str) -> Iterator[Value]:
    """Yield the values of values.yaml that have a description, in their order."""
    lines = text.splitlines()
    yield from _walk(yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text), (), lines)


def _walk(node: yaml.Node | None, value: Any, path: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    assert isinstance(node, yaml.MappingNode)
    for key, inner in node.value:
        inner_path = (*path, key.value)
        description, note = _comment(lines, key.start_mark.line)
        if description:
            yield Value(inner_path, value[key.value], description, note)
        elif isinstance(inner, yaml.MappingNode) and not inner.flow_style:
            yield from _walk(inner, value[key.value], inner_path, lines)


def _comment(lines: list[str], line: int) -> tuple[str, str]:
    """Return description and default note of the comment directly above a line; empty strings without a mark."""
    block: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        block.insert(0, lines[line].strip())
    starts = [index for index, text in enumerate(block) if text.startswith(MARK)]
    if not starts:
        return "", ""
    block = block[starts[-1] :]
    notes = [text.removeprefix(DEFAULT) for text in block if text.startswith(DEFAULT)]
    words = [text for text in block if not text.startswith(DEFAULT)]
    return " ".join(text.removeprefix(MARK).removeprefix("# ") for text in words), " ".join(notes)
