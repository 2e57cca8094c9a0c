"""The HTTP server of a driver: health, progress and Prometheus metrics."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from spark_apps.monitoring import executor_metrics
from spark_apps.monitoring.progress import Progress
from spark_apps.settings import SettingsError

_log = logging.getLogger(__name__)
_JSON = "application/json"


@contextmanager
def serve(progress: Progress, port: int, startup_seconds: float, stuck_seconds: Callable[[], float]) -> Iterator[int]:
    """Serve `/healthz`, `/progress`, `/metrics` and `/metrics/executors` on all addresses while the body runs.

    Args:
        progress: progress of the queries.
        port: port to listen on; 0 for a free port.
        startup_seconds: seconds until the first query starts, after which `/healthz` returns 503.
        stuck_seconds: returns the seconds without progress of a query after which `/healthz` returns 503.

    Yields:
        The port.

    Raises:
        SettingsError: the port is in use or not permitted.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(progress.metrics.registry))
            elif self.path == "/metrics/executors":
                page = executor_metrics.fetch(progress.spark_ui)
                self._answer(503 if page is None else 200, CONTENT_TYPE_LATEST, page or b"")
            elif self.path == "/progress":
                progress.on_asked()
                self._answer(200, _JSON, json.dumps(progress.to_dict()).encode())
            elif self.path == "/healthz":
                reason = progress.why_unhealthy(startup_seconds, stuck_seconds())
                if reason:
                    # The kubelet does not show the response, and ends the driver after a few failures.
                    _log.warning("unhealthy: %s", reason)
                self._answer(503 if reason else 200, _JSON, json.dumps({"unhealthy": reason}).encode())
            else:
                self._answer(404, "text/plain", b"not found: use /healthz, /progress, /metrics or /metrics/executors\n")

        def _answer(self, code: int, content_type: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Log nothing: probes send a request every few seconds."""

    try:
        server = ThreadingHTTPServer(("0.0.0.0", port), Handler)  # noqa: S104 - probes and Prometheus are outside the pod
    except OSError as error:
        raise SettingsError(
            f"TWEETS_MONITOR_PORT: cannot listen on port {port} ({error.strerror}): choose another port"
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="monitor", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
