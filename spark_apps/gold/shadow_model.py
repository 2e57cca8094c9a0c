"""The shadow version: the version with the alias `shadow`, which scores a share of the tweets beside production."""

import logging
import time
from pathlib import Path

from spark_apps.errors import first_line
from spark_apps.registry.client import Registry
from spark_apps.registry.shadow import check_may_be_shadow
from spark_apps.scoring.description import ModelError, ModelVersion
from spark_apps.settings import MODEL_NAME, SHADOW

_log = logging.getLogger(__name__)
# A version that failed is not tried for this time: a text that ends a Python worker ends the model of production, too.
_PAUSE_SECONDS = 600.0


class ShadowModel:
    """The version with the alias `shadow` in a registry, resolved at each micro-batch of the aggregates."""

    def __init__(self, registry: Registry, cache: Path) -> None:
        """Create a resolver that connects at the first call of `current`.

        Args:
            registry: client that no other thread uses.
            cache: folder for downloaded versions.
        """
        self._registry = registry
        self._cache = cache
        self._model: ModelVersion | None = None
        self._problem = ""
        self._paused: dict[str, float] = {}

    def current(self) -> ModelVersion | None:
        """Return the shadow version; None if there is none, or if it has failed or cannot be used.

        While the registry is unreachable, return the version that was loaded before.
        """
        try:
            version = self._registry.alias(SHADOW)
        except ModelError as error:
            self._warn(f"the shadow version is unknown: {error}")
            return self._model
        if version is None or time.monotonic() < self._paused.get(version, 0.0):
            self._model = None
        elif self._model is None or self._model.version != version:
            self._model = self._download(version)
        return self._model

    def pause(self, model: ModelVersion, error: Exception) -> None:
        """Do not use `model` for some minutes, because it has failed with `error`."""
        self._paused[model.version] = time.monotonic() + _PAUSE_SECONDS
        _log.warning(
            "shadow version %s failed and is tried again in %.0f minutes; production is not affected: %s",
            model.version,
            _PAUSE_SECONDS / 60,
            first_line(error),
        )

    def _download(self, version: str) -> ModelVersion | None:
        try:
            check_may_be_shadow(self._registry.version(version))
            folder = self._registry.download(version, self._cache / version)
        except ModelError as error:
            self._warn(f"shadow version {version} cannot be used: {error}")
            return None
        self._problem = ""
        _log.info("model %s version %s is the shadow version", MODEL_NAME, version)
        return ModelVersion(MODEL_NAME, version, folder, SHADOW)

    def _warn(self, problem: str) -> None:
        """Log a problem, unless it is the last one: the next batch tries again."""
        if problem != self._problem:
            _log.warning("%s", problem)
        self._problem = problem
