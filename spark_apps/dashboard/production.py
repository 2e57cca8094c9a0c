"""The version in production, asked for in the background: importing MLflow takes seconds, and no page waits for it."""

import threading
import time

_MAX_AGE_SECONDS = 20.0


class ProductionVersion:
    """The newest answer of a registry, shared by all browsers.

    Attributes:
        is_known: whether the registry has answered or failed at least once.
        version: version in production at the newest request; None if that request failed.
    """

    def __init__(self, registry: str, timeout: float) -> None:
        self.is_known = False
        self.version: str | None = None
        self._registry = registry
        self._timeout = timeout
        self._asked = 0.0
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Ask the registry again in the background, unless the answer is recent or a request is pending."""
        with self._lock:
            if time.monotonic() - self._asked < _MAX_AGE_SECONDS and self._asked:
                return
            self._asked = time.monotonic()
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        from spark_apps.registry.client import Registry, RegistryError

        try:
            self.version = Registry(self._registry, self._timeout).production()
        except RegistryError:
            self.version = None
        self.is_known = True
