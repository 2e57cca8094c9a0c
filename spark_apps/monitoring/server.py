"""What a cluster asks of a driver, over HTTP: is it alive, how far is it, and its Prometheus metrics."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from spark_apps.monitoring import executor_metrics
from spark_apps.monitoring.progress import Progress
from spark_apps.settings import SettingsError

_JSON = "application/json"


@contextmanager
def serve(progress: Progress, port: int, stuck_seconds: float) -> Iterator[int]:
    """Answer `/healthz`, `/progress`, `/metrics` and `/metrics/executors` on all addresses.

    Yields the port, one that is free for 0; `SettingsError` when it is taken. `/healthz` says 503 once a query has not
    advanced for `stuck_seconds`.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(progress.metrics.registry))
            elif self.path == "/metrics/executors":
                found = executor_metrics.metrics(progress.ui)
                self._answer(200 if found is not None else 503, CONTENT_TYPE_LATEST, found or b"")
            elif self.path == "/progress":
                self._answer(200, _JSON, json.dumps(progress.to_dict()).encode())
            elif self.path == "/healthz":
                oldest = progress.oldest()
                code = 503 if oldest > stuck_seconds else 200
                self._answer(code, _JSON, json.dumps({"seconds_since_progress": round(oldest, 1)}).encode())
            else:
                self._answer(404, "text/plain", b"there are /healthz, /progress, /metrics and /metrics/executors\n")

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing: probes ask every few seconds."""

    try:
        server = ThreadingHTTPServer(("0.0.0.0", port), Handler)  # noqa: S104 - a pod is asked from outside
    except OSError as error:
        raise SettingsError(
            f"--monitor-port (or TWEETS_MONITOR_PORT): port {port} cannot be listened on ({error.strerror}): choose "
            "another"
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="monitor", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
