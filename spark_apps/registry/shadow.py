"""Moves the alias `shadow`: the version that scores a share of the tweets beside production, into gold/shadow."""

from spark_apps.registry.client import Registry
from spark_apps.registry.requests import RegistryError
from spark_apps.registry.versions import Version
from spark_apps.settings import MODEL_NAME, PRODUCTION, SHADOW


def set_shadow(registry: Registry, name: str) -> str:
    """Point the alias `shadow` at the version with the number or the alias `name`; return the version.

    Raises:
        RegistryError: there is no such version, it is in production, or it has not passed the gates.
    """
    version = registry.version(name)
    if PRODUCTION in version.aliases:
        raise RegistryError(f"version {version.version} is in production: shadow another version")
    check_may_be_shadow(version)
    registry.set_alias(SHADOW, version.version)
    return version.version


def check_may_be_shadow(version: Version) -> None:
    """Raise `RegistryError` if a version has not passed the gates: a moved alias must not run any graph in Gold."""
    if not version.may_be_shadow:
        raise RegistryError(
            f"version {version.version} has not passed the gates: run `tweet-sentiment model release --shadow-first` "
            f"with --model models:/{MODEL_NAME}/{version.version}"
        )


def clear_shadow(registry: Registry, version: str | None = None) -> None:
    """Delete the alias `shadow`; with `version`, only if the alias points at this version."""
    current = registry.alias(SHADOW)
    if current is not None and version in (None, current):
        registry.delete_alias(SHADOW)
