"""The versions with an alias, requested in the background, because no page should wait for the import of MLflow."""

from contextlib import suppress

from spark_apps.dashboard.background import BackgroundRequests
from spark_apps.settings import SHADOW


class ProductionVersion:
    """The newest answer of a registry, shared by all browsers.

    Attributes:
        is_known: whether the first request has succeeded or failed.
        version: version in production at the last request; None if no version was, or if that request failed.
        shadow: shadow version at the last request that succeeded; None if no version was.
        problem: why the last request failed; empty if the registry answered.
    """

    def __init__(self, registry: str, timeout: float) -> None:
        self.is_known = False
        self.version: str | None = None
        self.shadow: str | None = None
        self.problem = ""
        self._registry = registry
        self._timeout = timeout
        self._requests = BackgroundRequests()

    def refresh(self) -> None:
        """Ask the registry in the background, unless the last request began less than 20 s ago."""
        self._requests.start("production", self._request)

    def _request(self) -> None:
        from spark_apps.registry.client import NoProductionError, Registry
        from spark_apps.registry.requests import RegistryError

        registry = Registry(self._registry, self._timeout)
        try:
            self.version, self.problem = registry.production(), ""
        except NoProductionError:
            self.version, self.problem = None, ""
        except RegistryError as error:
            self.version, self.problem = None, str(error)
        self.is_known = True
        with suppress(RegistryError):
            self.shadow = registry.alias(SHADOW)
