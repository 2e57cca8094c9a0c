"""The version in production, requested in the background, because no page should wait for the import of MLflow."""

import threading
import time

_MAX_AGE_SECONDS = 20.0


class ProductionVersion:
    """The newest answer of a registry, shared by all browsers.

    Attributes:
        is_known: whether the first request has succeeded or failed.
        version: version in production at the last request; None if that request failed.
    """

    def __init__(self, registry: str, timeout: float) -> None:
        self.is_known = False
        self.version: str | None = None
        self._registry = registry
        self._timeout = timeout
        self._requested_at: float | None = None
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Ask the registry in the background, unless the last request began less than 20 s ago."""
        with self._lock:
            now = time.monotonic()
            if self._requested_at is not None and now - self._requested_at < _MAX_AGE_SECONDS:
                return
            self._requested_at = now
        threading.Thread(target=self._request, daemon=True).start()

    def _request(self) -> None:
        from spark_apps.registry.client import Registry
        from spark_apps.registry.requests import RegistryError

        try:
            self.version = Registry(self._registry, self._timeout).production()
        except RegistryError:
            self.version = None
        self.is_known = True
