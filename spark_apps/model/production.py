"""The model that Gold scores with: the version in production of a registry, or the one that comes with the project."""

import logging
import tempfile
import threading
import time
from pathlib import Path

from spark_apps.model.registry import BUNDLED, Registry
from spark_apps.scoring.scorer import Description, ModelError, ModelVersion
from spark_apps.settings import MODEL_NAME, Settings

_log = logging.getLogger(__name__)
_WAIT_SECONDS = 2.0
_SAY_SECONDS = 10.0


class ProductionModel:
    """The version that `production` names, asked for at each micro-batch."""

    def __init__(self, registry: Registry, cache: Path) -> None:
        self._registry = registry
        self._cache = cache
        self._have: ModelVersion | None = None
        self._problem = ""

    def current(self, stopping: threading.Event) -> ModelVersion | None:
        """Return the version in production.

        While the registry cannot be reached, or its new version cannot be used, the version before stays. Where
        there is none yet this waits, and says so; None when `stopping` was set meanwhile.
        """
        said = 0.0
        while True:
            try:
                version = self._registry.production()
                if self._have is None or self._have.version != version:
                    folder = self._registry.download(version, self._cache / version)
                    self._have = ModelVersion(MODEL_NAME, version, folder)
                    _log.info("model %s version %s is in production", MODEL_NAME, version)
                self._problem = ""
                return self._have
            except ModelError as error:
                if self._have is not None:
                    if str(error) != self._problem:
                        _log.warning("going on with version %s of the model: %s", self._have.version, error)
                    self._problem = str(error)
                    return self._have
                if time.monotonic() - said > _SAY_SECONDS:
                    _log.warning("no model to score with, waiting: %s", error)
                    said = time.monotonic()
            if stopping.wait(_WAIT_SECONDS):
                return None


class BundledModel:
    """The model that comes with the project; no registry is asked."""

    def current(self, _stopping: threading.Event) -> ModelVersion:
        return ModelVersion(MODEL_NAME, f"bundled-{Description.read(BUNDLED).sha256[:8]}", BUNDLED)


def open_model(settings: Settings) -> BundledModel | ProductionModel:
    """Return the model that `settings` name: `registry`'s in production, else the bundled one."""
    if settings.registry is None:
        return BundledModel()
    # Of this process alone: two registries may use one number for different models.
    cache = Path(tempfile.mkdtemp(prefix="tweet-sentiment-model-"))
    return ProductionModel(Registry(settings.registry, settings.registry_timeout), cache)
