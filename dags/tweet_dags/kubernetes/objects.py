"""Kubernetes objects as nested mappings."""

from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]


def get(value: Any, *keys: str) -> Any:
    """Return the value under the nested `keys`, or None if one of them is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
