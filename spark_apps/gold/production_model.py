"""The model that Gold scores with: the version in production of a registry, or the one that comes with the project."""

import atexit
import logging
import shutil
import tempfile
import time
from pathlib import Path

from spark_apps.quality.findings import FindingsError, standing, unacknowledged
from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.scoring.description import Description, ModelError, ModelVersion
from spark_apps.settings import MODEL_NAME, Settings

_log = logging.getLogger(__name__)
_SAY_SECONDS = 10.0
# They change every quarter of an hour, or when a person acknowledges them.
_FINDINGS_SECONDS = 60.0


class ProductionModel:
    """The version that `production` names, asked for at each micro-batch."""

    def __init__(self, registry: Registry, cache: Path) -> None:
        self._registry = registry
        self._cache = cache
        self._have: ModelVersion | None = None
        # Why `current` is not what the registry names now; empty where it is.
        self.problem = ""
        # What `quality check` has found and nobody has acknowledged: a driver can tell Prometheus, a job cannot.
        self.findings = 0
        self._said = -_SAY_SECONDS
        self._counted = -_FINDINGS_SECONDS

    def current(self) -> ModelVersion | None:
        """Return the version in production, None where there is none yet.

        While the registry cannot be reached, or its new version cannot be used, the version before stays.
        """
        try:
            version = self._registry.production()
            if self._have is None or self._have.version != version:
                folder = self._registry.download(version, self._cache / version)
                self._have = ModelVersion(MODEL_NAME, version, folder)
                _log.info("model %s version %s is in production", MODEL_NAME, version)
            self.problem = ""
            self._count_findings()
        except ModelError as error:
            if self._have is not None and str(error) != self.problem:
                _log.warning("going on with version %s of the model: %s", self._have.version, error)
            if self._have is None and time.monotonic() - self._said > _SAY_SECONDS:
                _log.warning("no model to score with, waiting: %s", error)
                self._said = time.monotonic()
            self.problem = str(error)
        return self._have

    def _count_findings(self) -> None:
        if time.monotonic() - self._counted < _FINDINGS_SECONDS:
            return
        self._counted = time.monotonic()
        try:
            self.findings = len(unacknowledged(standing(self._registry)))
        except (ModelError, FindingsError) as error:  # no reason not to score
            _log.warning("the findings of the stream cannot be counted: %s", error)


class BundledModel:
    """The model that comes with the project; no registry is asked."""

    problem = ""
    findings = 0

    def current(self) -> ModelVersion:
        return ModelVersion(MODEL_NAME, f"bundled-{Description.read(BUNDLED).sha256[:8]}", BUNDLED)


def open_model(settings: Settings) -> BundledModel | ProductionModel:
    """Return the model that `settings` name: `registry`'s in production, else the bundled one."""
    if settings.registry is None:
        return BundledModel()
    # Of this process alone: two registries may use one number for different models.
    cache = Path(tempfile.mkdtemp(prefix="tweet-sentiment-model-"))
    atexit.register(shutil.rmtree, cache, ignore_errors=True)
    return ProductionModel(Registry(settings.registry, settings.registry_timeout), cache)
