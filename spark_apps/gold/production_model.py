"""The model that Gold scores with: the registry's version in production, or the model bundled with the project."""

import atexit
import logging
import shutil
import tempfile
import time
from pathlib import Path

from spark_apps.quality.findings import FindingsError, read_findings, unacknowledged
from spark_apps.registry.client import BUNDLED, Registry, bundled_version
from spark_apps.registry.requests import RegistryError
from spark_apps.scoring.description import ModelError, ModelVersion
from spark_apps.settings import MODEL_NAME, PRODUCTION, Settings

_log = logging.getLogger(__name__)
# Interval between warnings while Gold waits for a model.
_WARNING_SECONDS = 10.0
# Interval between reads of the findings. They change every 15 minutes, or when a person acknowledges them.
_FINDINGS_SECONDS = 60.0


class ProductionModel:
    """The version with the alias `production` in a registry, resolved at each micro-batch."""

    def __init__(self, registry: Registry, cache: Path) -> None:
        self._registry = registry
        self._cache = cache
        self._model: ModelVersion | None = None
        # Why `current` does not return the registry's version in production; empty if it does.
        self.problem = ""
        # Number of unacknowledged findings of `quality check`. Gold exports it as a metric, because Prometheus does not
        # scrape the quality job.
        self.findings = 0
        self._warned_at = -_WARNING_SECONDS
        self._counted_at = -_FINDINGS_SECONDS

    def current(self) -> ModelVersion | None:
        """Return the version in production; None until this process has loaded a version.

        While the registry is unreachable or the new version is unusable, return the version that was loaded before.
        """
        try:
            version = self._registry.production()
            if self._model is None or self._model.version != version:
                self._model = self._load(version)
                _log.info("model %s version %s is in production", MODEL_NAME, version)
            self.problem = ""
            self._count_findings()
        except ModelError as error:
            if self._model is not None and str(error) != self.problem:
                _log.warning("still scoring with model version %s: %s", self._model.version, error)
            if self._model is None and time.monotonic() - self._warned_at > _WARNING_SECONDS:
                _log.warning("waiting for a model to score with: %s", error)
                self._warned_at = time.monotonic()
            self.problem = str(error)
        return self._model

    def _load(self, version: str) -> ModelVersion:
        if not self._registry.version(version).has_passed:
            raise RegistryError(
                f"version {version} has the alias {PRODUCTION}, but has not passed the gates: release it, or move the "
                "alias by `tweet-sentiment model rollback`"
            )
        return ModelVersion(MODEL_NAME, version, self._registry.download(version, self._cache / version))

    def _count_findings(self) -> None:
        if time.monotonic() - self._counted_at < _FINDINGS_SECONDS:
            return
        self._counted_at = time.monotonic()
        try:
            self.findings = len(unacknowledged(read_findings(self._registry)))
        except (ModelError, FindingsError) as error:  # must not stop scoring
            _log.warning("the findings of the quality check cannot be counted: %s", error)


class BundledModel:
    """The model in the folder `models/` of the project, for runs without a registry."""

    problem = ""
    findings = 0

    def current(self) -> ModelVersion:
        return ModelVersion(MODEL_NAME, bundled_version(), BUNDLED)


def open_model(settings: Settings) -> BundledModel | ProductionModel:
    """Return the model of `settings`: the registry's version in production, or the bundled model without a registry."""
    if settings.registry is None:
        return BundledModel()
    return ProductionModel(Registry(settings.registry, settings.registry_timeout), open_cache())


def open_cache() -> Path:
    """Return a folder for downloaded versions, which exists until exit.

    Each process has its own: two registries may use the same version number for different models.
    """
    cache = Path(tempfile.mkdtemp(prefix="tweet-sentiment-model-"))
    atexit.register(shutil.rmtree, cache, ignore_errors=True)
    return cache
