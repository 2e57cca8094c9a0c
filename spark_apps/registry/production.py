"""Moves the alias `production` of the registered model.

A version that passed its gates has the tag `passed`; a rollback adds the tag `withdrawn` to the versions that it skips.
The alias `production` points at the highest version that is `passed` and not `withdrawn`. Each move of the alias is
recorded as a tag of the version that it moves to.

MLflow aliases have no compare-and-set. A release therefore writes the tags, moves the alias, and reads the tags again:
of two concurrent releases the higher version wins, whichever finishes last.
"""

import getpass
from datetime import UTC, datetime
from pathlib import Path

from spark_apps.registry.client import NoProductionError, Registry
from spark_apps.registry.requests import RegistryError
from spark_apps.registry.versions import MOVED, PASSED, WITHDRAWN
from spark_apps.settings import MODEL_NAME, PRODUCTION


def promote(registry: Registry, version: str, by: str, why: str) -> str:
    """Tag `version` as passed and move `production`; return the version that is in production then.

    This is the highest passed version that is not withdrawn. It is not `version` if a higher version passes meanwhile.
    """
    registry.tag(version, PASSED, {"at": _now(), "by": by, "why": why})
    return _move(registry, by, why)


def roll_back(registry: Registry, target: str, by: str, why: str) -> str:
    """Withdraw all passed versions above `target`, and move `production`; return the version in production then.

    This is `target`, unless a higher version passes its gates meanwhile.
    """
    for version in registry.versions():
        if int(version.version) > int(target) and version.may_be_production:
            registry.tag(version.version, WITHDRAWN, {"at": _now(), "by": by, "why": why})
    if WITHDRAWN in registry.version(target).tags:
        registry.untag(target, WITHDRAWN)
    return _move(registry, by, why)


def ensure_production(registry: Registry, folder: Path) -> str:
    """Return the version in production; if there is none, register the model in `folder` and promote it."""
    try:
        return registry.production()
    except NoProductionError:
        return promote(registry, registry.register(folder), getpass.getuser(), "the first version")


def _move(registry: Registry, by: str, why: str) -> str:
    """Move `production` to the version that the tags select, and record the move; return the version."""
    while True:
        versions = registry.versions()
        target = next((version for version in versions if version.may_be_production), None)
        if target is None:
            raise RegistryError(
                f"every version of {MODEL_NAME} in the registry {registry.uri} is refused or withdrawn: release one"
            )
        if PRODUCTION in target.aliases:
            return target.version
        before = next((version.version for version in versions if PRODUCTION in version.aliases), None)
        move = {"from": before, "to": target.version, "by": by, "why": why}
        registry.tag(target.version, f"{MOVED}{_now()}", move)
        registry.set_alias(PRODUCTION, target.version)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
