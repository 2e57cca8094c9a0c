"""moto's S3 as a server that records, delays and fails requests, and decides one conditional write at a time.

`python -m tests.s3_server` serves on port 5000 of all addresses, as a pod of the cluster tests.
"""

import logging
import signal
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

_ERRORS = {409: "ConditionalRequestConflict", 500: "InternalError", 503: "SlowDown"}
_WRITES = {"PUT", "POST", "DELETE"}


class Outage(Enum):
    """What happens to each request during an outage; no request is executed."""

    THROTTLED = "503 SlowDown"
    FAILING = "500 InternalError"
    DISCONNECTED = "the connection is closed without a response"
    STALLED = "no response before the end of the outage"


@dataclass(frozen=True)
class Request:
    """A request that has ended.

    Attributes:
        key: key of the object; empty for a request about a bucket.
        query: query string.
        status: HTTP status from moto; after `fail`, the client got another one. None if moto got no request.
    """

    method: str
    key: str
    query: str
    status: int | None

    @property
    def is_write(self) -> bool:
        """Whether the request has created or replaced an object."""
        completes_upload = self.method == "POST" and "uploadId" in self.query
        return self.status == 200 and (completes_upload or (self.method == "PUT" and "uploadId" not in self.query))


@dataclass
class _Fault:
    """What happens to some requests, after `released` is set.

    Attributes:
        key: key of an object: the fault affects only PUT requests of this key. None: it affects all writes.
        status: HTTP status of the response; None for the response of moto.
        is_stored: whether moto executes the requests.
        skipped: number of requests before the first one with the fault.
        times: number of requests with the fault.
    """

    key: str | None
    status: int | None = None
    is_stored: bool = True
    skipped: int = 0
    times: int = 1
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


class S3Server:
    """A server with the bucket `lake`, by default on a free port that only this machine can reach.

    Do not read from the server with deltalake in the same process: deltalake holds the interpreter's lock meanwhile.

    Attributes:
        requests: the requests that have ended.
        ignores_conditions: whether the server ignores If-None-Match, as some S3 services do.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.requests: list[Request] = []
        self.ignores_conditions = False
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._faults: list[_Fault] = []
        self._outage: Outage | None = None
        self._outage_ended = threading.Event()
        self._writing, self._counting = threading.Lock(), threading.Lock()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server(host, port, self._handle, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.port}",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }
        # moto keeps its objects in the process: an earlier server of this process may have left some.
        urllib.request.urlopen(f"{self.environment['AWS_ENDPOINT_URL']}/moto-api/reset", data=b"", timeout=10).close()
        self.requests.clear()
        self.create_bucket("lake")

    def create_bucket(self, name: str) -> None:
        client = boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="id",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=name)

    def stop(self) -> None:
        self._server.shutdown()

    @contextmanager
    def hold(self, key: str) -> Iterator[threading.Event]:
        """Delay the next PUT of `key` until the end of the context; the event is set when the request arrives."""
        fault = _Fault(key)
        self._faults.append(fault)
        try:
            yield fault.arrived
        finally:
            fault.released.set()

    def fail(self, key: str, status: int, *, is_stored: bool) -> None:
        """Answer the next PUT of `key` with the error `status` (409 or 500), and store the object or not."""
        fault = _Fault(key, status, is_stored)
        fault.released.set()
        self._faults.append(fault)

    def fail_writes(self, skipped: int, times: int, status: int, *, is_stored: bool) -> None:
        """Execute `skipped` writes, then answer `times` writes with the error `status`, and execute these or not."""
        fault = _Fault(None, status, is_stored, skipped, times)
        fault.released.set()
        self._faults.append(fault)

    @contextmanager
    def outage(self, kind: Outage) -> Iterator[None]:
        """Execute no request until the end of the context."""
        self._outage_ended.clear()
        self._outage = kind
        try:
            yield
        finally:
            self._outage = None
            self._outage_ended.set()

    def _handle(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._outage:
            return self._refuse(self._outage, environ, start_response)
        method, key = environ["REQUEST_METHOD"], environ["PATH_INFO"].lstrip("/").partition("/")[2]
        fault = self._take_fault(method, key)
        if fault:
            fault.arrived.set()
            fault.released.wait()
        response = self._call_moto(environ) if fault is None or fault.is_stored else None
        self.requests.append(Request(method, key, environ["QUERY_STRING"], int(response[0][:3]) if response else None))
        if fault and fault.status:
            return _error(fault.status, start_response)
        assert response
        start_response(*response[:2])
        return response[2]

    def _take_fault(self, method: str, key: str) -> _Fault | None:
        """Return the fault of a request, and count the request."""
        with self._counting:
            for fault in self._faults:
                if method in (_WRITES if fault.key is None else {"PUT"}) and fault.key in {None, key}:
                    fault.skipped -= 1
                    if fault.skipped < 0:
                        fault.times -= 1
                        if not fault.times:
                            self._faults.remove(fault)
                        return fault
        return None

    def _refuse(self, outage: Outage, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if outage is Outage.THROTTLED:
            return _error(503, start_response)
        if outage is Outage.FAILING:
            return _error(500, start_response)
        if outage is Outage.STALLED:
            self._outage_ended.wait()
        with suppress(OSError):  # the client has closed the connection
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    def _call_moto(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], list[bytes]]:
        if self.ignores_conditions:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        response: list[Any] = []
        # moto looks for the object before it stores one: of two requests at once, both could find none.
        with self._writing:
            body = list(self._moto(environ, lambda *arguments: response.extend(arguments)))
        return response[0], response[1], body


def _error(status: int, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response(f"{status} Error", [("Content-Type", "application/xml")])
    return [f"<Error><Code>{_ERRORS[status]}</Code></Error>".encode()]


if __name__ == "__main__":
    S3Server("0.0.0.0", 5000)
    signal.pause()
