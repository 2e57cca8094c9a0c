"""moto's S3 as a server that records, delays and fails requests; like S3, it decides conditional writes one by one."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

_ERROR = "<Error><Code>{code}</Code><Message>a test</Message></Error>"
_REASONS = {409: "ConditionalRequestConflict", 500: "InternalError"}


@dataclass(frozen=True)
class Request:
    method: str
    key: str
    query: str
    status: int  # of moto: the client may have received another one
    is_conditional: bool


@dataclass
class _Fault:
    """What happens to the next PUT of a key."""

    key: str
    status: int | None = None  # the client receives this status
    is_stored: bool = True
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


class S3Server:
    """A server of moto's S3 on a free port of this machine."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._faults: list[_Fault] = []
        self._writing = threading.Lock()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", 0, self._handle, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def stop(self) -> None:
        self._server.shutdown()

    @contextmanager
    def hold(self, key: str) -> Iterator[threading.Event]:
        """Delay the next PUT of `key` until the end of the context; the event is set when it arrives."""
        fault = _Fault(key)
        self._faults.append(fault)
        try:
            yield fault.arrived
        finally:
            fault.released.set()

    def fail(self, key: str, status: int, *, is_stored: bool) -> None:
        """Answer the next PUT of `key` with `status`, and store the object or not."""
        fault = _Fault(key, status, is_stored)
        fault.released.set()
        self._faults.append(fault)

    def written(self, prefix: str) -> list[str]:
        """Return the keys that a request has stored, once for each time."""
        return [
            request.key
            for request in list(self.requests)
            if request.status == 200
            and request.key.startswith(prefix)
            and (request.method == "PUT" or (request.method == "POST" and "uploadId" in request.query))
        ]

    def _handle(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, key = environ["REQUEST_METHOD"], environ["PATH_INFO"].lstrip("/").partition("/")[2]
        fault = next((fault for fault in self._faults if method == "PUT" and fault.key == key), None)
        if fault:
            self._faults.remove(fault)
            fault.arrived.set()
            fault.released.wait()
        if fault and not fault.is_stored:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            status, headers, body = "", [], [b""]
        else:
            status, headers, body = self._pass_on(environ)
        self.requests.append(
            Request(
                method, key, environ["QUERY_STRING"], int(status[:3] or 0), environ.get("HTTP_IF_NONE_MATCH") == "*"
            )
        )
        if fault and fault.status:
            status, headers = f"{fault.status} Fault", [("Content-Type", "application/xml")]
            body = [_ERROR.format(code=_REASONS[fault.status]).encode()]
        start_response(status, headers)
        return body

    def _pass_on(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], list[bytes]]:
        answer: list[Any] = []
        # moto checks If-None-Match before it stores the object: two requests at once could both pass.
        with self._writing:
            body = list(self._moto(environ, lambda *arguments: answer.extend(arguments)))
        return answer[0], answer[1], body
