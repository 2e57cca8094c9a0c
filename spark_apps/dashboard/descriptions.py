"""The descriptions of model versions, read in the background, because no page should wait for the import of MLflow."""

from dataclasses import dataclass
from functools import partial

from spark_apps.dashboard.background import BackgroundRequests
from spark_apps.registry.client import BUNDLED, Registry, bundled_version
from spark_apps.scoring.description import Description, ModelError


@dataclass(frozen=True)
class DescriptionResult:
    """The description of a version, or the problem that prevents reading it. With neither, the request is pending."""

    description: Description | None = None
    problem: str = ""


class ModelDescriptions:
    """The descriptions of the versions that the page shows, shared by all browsers."""

    def __init__(self, registry: str | None, timeout: float) -> None:
        """Create an empty collection.

        Args:
            registry: URI of the registry; None without one: only the bundled model has a description then.
            timeout: seconds after which a request to the registry fails.
        """
        self._registry = registry
        self._timeout = timeout
        self._results: dict[str, DescriptionResult] = {}
        self._requests = BackgroundRequests()

    def get(self, version: str) -> DescriptionResult:
        """Return what is known about `version`; if it has no description yet, request it at most every 20 s."""
        result = self._results.get(version, DescriptionResult())
        if result.description is None:
            self._requests.start(version, partial(self._request, version))
        return result

    def _request(self, version: str) -> None:
        try:
            self._results[version] = DescriptionResult(self._read(version))
        except ModelError as error:
            self._results[version] = DescriptionResult(problem=str(error))

    def _read(self, version: str) -> Description:
        if version.startswith("bundled-"):
            if version != bundled_version():
                raise ModelError(f"{version} is bundled with another version of this program")
            return Description.read(BUNDLED)
        if self._registry is None:
            raise ModelError("the registry of this version is not known: set TWEETS_REGISTRY")
        return Registry(self._registry, self._timeout).description(version)
