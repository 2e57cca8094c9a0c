"""The part of the Kubernetes API that the DAGs use, over HTTP: versions, preconditions, dry runs, rejections."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
# Paths in the namespace `tweets`.
CORE, GROUP = "/api/v1/namespaces/tweets", "/apis/sparkoperator.k8s.io/v1beta2/namespaces/tweets"
CONFIG_MAP, STATUS = f"{CORE}/configmaps/stream-applications", f"{CORE}/configmaps/stream-status"
APP, POD = f"{GROUP}/sparkapplications/gold", f"{CORE}/pods/gold-driver"


def hold_key(stream: str) -> str:
    """Return the annotation of the ConfigMap with the hold on a stream."""
    return f"tweet-sentiment/hold-{stream}"


HOLD = hold_key("gold")


@dataclass
class FakeApi:
    """An API server in memory.

    Attributes:
        objects: The objects by their path.
        writes: The attempted writes: verb, name of the object, body, whether it was a dry run.
        rejection: The error for every apply; '' to accept it.
        before: Called once before the next write of a verb, to simulate a concurrent write.
        logs: The log of each pod by the path of the pod.
    """

    objects: dict[str, Json] = field(default_factory=dict)
    writes: list[tuple[str, str, Json, bool]] = field(default_factory=list)
    rejection: str = ""
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    url: str = ""
    version: int = 100
    logs: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, made: Json) -> None:
        self.version += 1
        made["metadata"].setdefault("uid", f"uid-{self.version}")
        made["metadata"]["resourceVersion"] = str(self.version)
        self.objects[path] = made

    def touch(self, path: str) -> None:
        self.put(path, self.objects[path])

    def answer(self, verb: str, url: str, body: Json) -> tuple[int, Json | str]:
        parts = urlsplit(url)
        path, query = parts.path, parse_qs(parts.query)
        dry_run = "dryRun" in query
        if verb == "GET":
            return self._get(path, query)
        if not dry_run:
            self.before.pop(verb, lambda: None)()
        self.writes.append((verb, path.rsplit("/", 1)[-1], body, dry_run))
        current = self.objects.get(path)
        if verb == "DELETE":
            return self._delete(path, current, body)
        is_apply = "spec" in body and "apiVersion" in body
        if is_apply and self.rejection:
            return _status(500, self.rejection)
        metadata = body.get("metadata", {})
        version = metadata.pop("resourceVersion", None)
        if version is not None and (current is None or current["metadata"]["resourceVersion"] != version):
            return _status(409, "the object has been modified")
        if current is None and not is_apply:
            return _status(404, "not found")
        made = _merged(current or {}, body)
        if not dry_run:
            self.put(path, made)
        return 200, made

    def _get(self, path: str, query: dict[str, list[str]]) -> tuple[int, Json | str]:
        if path.endswith("/pods"):
            name, _, value = query["labelSelector"][0].partition("=")
            pods = [item for item_path, item in list(self.objects.items()) if item_path.startswith(path)]
            return 200, {"items": [pod for pod in pods if pod["metadata"]["labels"].get(name) == value]}
        if path.endswith("/log"):
            log = self.logs.get(path.removesuffix("/log"))
            lines = (log or "").splitlines()[-int(query["tailLines"][0]) :]
            return _status(404, "not found") if log is None else (200, "\n".join(lines))
        return (200, self.objects[path]) if path in self.objects else _status(404, "not found")

    def _delete(self, path: str, current: Json | None, body: Json) -> tuple[int, Json]:
        if current is None:
            return _status(404, "not found")
        for name, value in (body.get("preconditions") or {}).items():
            if current["metadata"][name] != value:
                return _status(409, f"Precondition failed: {name}")
        del self.objects[path]
        return 200, {}


def _status(code: int, message: str) -> tuple[int, Json]:
    return code, {"kind": "Status", "message": message, "code": code}


def _merged(current: Json, patch: Json) -> Json:
    made = dict(current)
    for key, value in patch.items():
        if isinstance(value, dict):
            made[key] = _merged(made.get(key) or {}, value)
        elif value is None:
            made.pop(key, None)
        else:
            made[key] = value
    return made


def stored(api: FakeApi, kind: str, stream: str = "gold") -> Any:
    """Return the annotation of the ConfigMap about a stream: `memory`, `pardon` or `hold`; None where it is missing."""
    return json.loads(
        api.objects[CONFIG_MAP]["metadata"].get("annotations", {}).get(f"tweet-sentiment/{kind}-{stream}", "null")
    )


def set_state(api: FakeApi, state: str, path: str = APP, **status: Any) -> None:
    """Set the state of an application, as the operator does."""
    api.objects[path].setdefault("status", {})
    api.objects[path]["status"] |= {"applicationState": {"state": state}, **status}
    api.touch(path)


def edit_application(api: FakeApi) -> None:
    """Edit the application of gold by hand."""
    api.objects[APP]["spec"]["sparkConf"]["a"] = "2"
    api.touch(APP)


def stream_writes(api: FakeApi) -> list[tuple[str, str, bool]]:
    """Return the writes to the application and its pods: verb, name, whether it was a dry run."""
    config_maps = {path.rpartition("/")[2] for path in (CONFIG_MAP, STATUS)}
    return [(verb, name, dry_run) for verb, name, _, dry_run in api.writes if name not in config_maps]


def reported(api: FakeApi, stream: str = "gold") -> Any:
    """Return the report on a stream that other pods mount; None if there is none."""
    return json.loads(api.objects[STATUS].get("data", {}).get(f"{stream}.json", "null"))


def store_failures(api: FakeApi, seconds_ago: Sequence[int] = (900, 600, 300, 10)) -> None:
    """Store a reconcile state with failures; the default exceeds the limit of three within an hour."""
    failures = [(datetime.now(UTC) - timedelta(seconds=seconds)).isoformat() for seconds in seconds_ago]
    state = {"submission": "one", "asked": "app/1", "failures": failures, "error": "no room on the disk"}
    api.objects[CONFIG_MAP]["metadata"]["annotations"] = {"tweet-sentiment/memory-gold": json.dumps(state)}


@contextmanager
def serving(api: FakeApi) -> Iterator[FakeApi]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            code, response = api.answer(self.command, self.path, body)
            content = response.encode() if isinstance(response, str) else json.dumps(response).encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/plain" if isinstance(response, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self._do()

        def do_PATCH(self) -> None:
            self._do()

        def do_DELETE(self) -> None:
            self._do()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
