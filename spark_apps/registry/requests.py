"""Requests to an MLflow registry, with a timeout that MLflow itself does not have for every store."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from spark_apps.registry.connection import connect, reason
from spark_apps.scoring.description import ModelError

# The first request also imports MLflow, which takes seconds.
_IMPORT_SECONDS = 30

T = TypeVar("T")


class RegistryError(ModelError):
    """The registry does not answer, refuses a request, or does not have the version."""


class Requests:
    """Runs one request at a time with an MLflow client."""

    def __init__(self, uri: str, timeout: float) -> None:
        """Create a client that connects at the first request.

        Args:
            uri: URI of an MLflow server, or sqlite:///….
            timeout: seconds after which a request fails; the first request may take longer.
        """
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        self._uri = uri
        self._timeout = timeout
        self._client: Any = None
        # Requests run in a thread, so that the timeout also ends the wait for a lock of SQLite.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registry")
        self._pending: Future[Any] | None = None

    def run(self, call: Callable[[Any], T], timeout_factor: int = 1) -> T:
        """Call `call` with the MLflow client in the thread, and return its result.

        Args:
            call: the request.
            timeout_factor: the timeout of this request, in multiples of the timeout of all requests.

        Raises:
            RegistryError: the request fails or times out, or a request that timed out before is still running.
        """
        if self._pending is not None and not self._pending.done():
            raise RegistryError(f"a previous request to the registry {self._uri} is still pending: try again later")
        future = self._thread.submit(self._call, call)
        self._pending = future
        seconds = self._timeout * timeout_factor
        try:
            return future.result(seconds + (_IMPORT_SECONDS if self._client is None else 0))
        except FutureTimeoutError:
            raise RegistryError(
                f"the registry {self._uri} did not answer within {seconds:g} s: check that it runs, or raise "
                "TWEETS_REGISTRY_TIMEOUT"
            ) from None
        except (ModelError, ModuleNotFoundError):
            raise
        except Exception as error:  # MLflow passes on the exceptions of its stores and of its HTTP library
            raise self.failure(error) from error

    def failure(self, error: Exception) -> RegistryError:
        """Return the error of a request as a RegistryError."""
        return RegistryError(f"the registry {self._uri} failed: {reason(error)}")

    def _call(self, call: Callable[[Any], T]) -> T:
        if self._client is None:
            import mlflow

            # Some functions of MLflow ignore the client and use the global URIs.
            mlflow.set_tracking_uri(self._uri)
            mlflow.set_registry_uri(self._uri)
            self._client = connect(self._uri, self._timeout)
        return call(self._client)
