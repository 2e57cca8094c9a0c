"""Moves the alias `shadow`: the version that scores a share of the tweets beside production, into gold/shadow."""

from spark_apps.registry.client import Registry
from spark_apps.registry.requests import RegistryError
from spark_apps.settings import PRODUCTION, SHADOW


def set_shadow(registry: Registry, name: str) -> str:
    """Point the alias `shadow` at the version with the number or the alias `name`; return the version.

    Raises:
        RegistryError: there is no such version, or it is in production.
    """
    version = registry.version(name)
    if PRODUCTION in version.aliases:
        raise RegistryError(f"version {version.version} is in production: shadow another version")
    registry.set_alias(SHADOW, version.version)
    return version.version


def clear_shadow(registry: Registry, version: str | None = None) -> None:
    """Delete the alias `shadow`; with `version`, only if the alias points at this version."""
    current = registry.alias(SHADOW)
    if current is not None and version in (None, current):
        registry.delete_alias(SHADOW)
