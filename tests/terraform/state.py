"""Read the resources of a Terraform state from `terraform show -json`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Resource:
    """A managed resource: address, type and values."""

    address: str
    kind: str
    values: dict[str, Any]


def resources(state: dict[str, Any]) -> list[Resource]:
    """Return all managed resources in the parsed output of `terraform show -json`, including those of child modules."""
    root = state.get("values", {}).get("root_module", {})
    return [
        Resource(resource["address"], resource["type"], resource["values"])
        for module in _modules(root)
        for resource in module.get("resources", [])
        if resource["mode"] == "managed"
    ]


def _modules(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield module
    for child in module.get("child_modules", []):
        yield from _modules(child)
