"""As much of the Kubernetes API as the DAGs need, over HTTP: versions, preconditions, dry runs, refusals."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
# Where things stand in the namespace `tweets`.
CORE, GROUP = "/api/v1/namespaces/tweets", "/apis/sparkoperator.k8s.io/v1beta2/namespaces/tweets"
MAP = f"{CORE}/configmaps/stream-applications"
APP, POD = f"{GROUP}/sparkapplications/gold", f"{CORE}/pods/gold-driver"


@dataclass
class Api:
    """The objects by their path, and the writes that were tried: verb, name of the object, body, dry run or not."""

    objects: dict[str, Json] = field(default_factory=dict)
    writes: list[tuple[str, str, Json, bool]] = field(default_factory=list)
    # What the API server says to whoever applies; '' where it takes it.
    refuses: str = ""
    # Called before a write of this verb, once: somebody else, who is faster.
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    url: str = ""
    version: int = 100
    # What a pod has said, by the path of the pod.
    logs: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, made: Json) -> None:
        self.version += 1
        made["metadata"].setdefault("uid", f"uid-{self.version}")
        made["metadata"]["resourceVersion"] = str(self.version)
        self.objects[path] = made

    def touch(self, path: str) -> None:
        self.put(path, self.objects[path])

    def answer(self, verb: str, url: str, body: Json) -> tuple[int, Json | str]:
        where = urlsplit(url)
        path, asked = where.path, parse_qs(where.query)
        dry_run = "dryRun" in asked
        if verb == "GET":
            return self._get(path, asked)
        # A rehearsal is no write.
        if not dry_run:
            self.before.pop(verb, lambda: None)()
        self.writes.append((verb, path.rsplit("/", 1)[-1], body, dry_run))
        there = self.objects.get(path)
        if verb == "DELETE":
            return self._delete(path, there, body)
        applies = "spec" in body and "apiVersion" in body
        if applies and self.refuses:
            return _status(500, self.refuses)
        metadata = body["metadata"]
        version = metadata.pop("resourceVersion", None)
        if version is not None and (there is None or there["metadata"]["resourceVersion"] != version):
            return _status(409, "the object has been modified")
        if there is None and not applies:
            return _status(404, "not found")
        made = _merged(there or {}, body)
        if not dry_run:
            self.put(path, made)
        return 200, made

    def _get(self, path: str, asked: dict[str, list[str]]) -> tuple[int, Json | str]:
        if path.endswith("/pods"):
            name, _, value = asked["labelSelector"][0].partition("=")
            pods = [found for place, found in list(self.objects.items()) if place.startswith(path)]
            return 200, {"items": [pod for pod in pods if pod["metadata"]["labels"].get(name) == value]}
        if path.endswith("/log"):
            said = self.logs.get(path.removesuffix("/log"))
            lines = (said or "").splitlines()[-int(asked["tailLines"][0]) :]
            return _status(404, "not found") if said is None else (200, "\n".join(lines))
        return (200, self.objects[path]) if path in self.objects else _status(404, "not found")

    def _delete(self, path: str, there: Json | None, body: Json) -> tuple[int, Json]:
        if there is None:
            return _status(404, "not found")
        for name, value in (body.get("preconditions") or {}).items():
            if there["metadata"][name] != value:
                return _status(409, f"Precondition failed: {name}")
        del self.objects[path]
        return 200, {}


def _status(code: int, message: str) -> tuple[int, Json]:
    return code, {"kind": "Status", "message": message, "code": code}


def _merged(there: Json, patch: Json) -> Json:
    made = dict(there)
    for key, value in patch.items():
        if isinstance(value, dict):
            made[key] = _merged(made.get(key) or {}, value)
        elif value is None:
            made.pop(key, None)
        else:
            made[key] = value
    return made


def note(api: Api, kind: str) -> Any:
    """Return what the map says about gold."""
    return json.loads(api.objects[MAP]["metadata"].get("annotations", {}).get(f"tweet-sentiment/{kind}-gold", "null"))


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            code, said = api.answer(self.command, self.path, body)
            text = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/plain" if isinstance(said, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self._do()

        def do_PATCH(self) -> None:
            self._do()

        def do_DELETE(self) -> None:
            self._do()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
