"""Resources of a state, as `terraform show -json` prints it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Resource:
    """One managed resource: its address, type and values."""

    address: str
    kind: str
    values: dict[str, Any]


def resources(shown: dict[str, Any]) -> list[Resource]:
    root = shown.get("values", {}).get("root_module", {})
    return [
        Resource(found["address"], found["type"], found["values"])
        for module in _modules(root)
        for found in module.get("resources", [])
        if found["mode"] == "managed"
    ]


def _modules(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield module
    for child in module.get("child_modules", []):
        yield from _modules(child)
