"""Query a driver over real sockets: a fault of the driver differs from a fault of the network."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tweet_dags.kubernetes.driver import ResponseStatus, query_driver, query_progress


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def listening(backlog: int) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(backlog)
        yield listener.getsockname()[1]


def test_an_answer_is_parsed_and_no_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods are reached directly, even if the environment sets a proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    body = {"streams": {"gold": {"batch": 7, "seconds_since_progress": 1.5}}, "error": None}
    with answering(200, json.dumps(body).encode()) as port:
        response = query_progress("127.0.0.1", port)
    assert response.status is ResponseStatus.ANSWERED
    assert (response.batches, response.seconds_since_progress, response.last_error) == ({"gold": 7}, {"gold": 1.5}, "")


def test_a_driver_that_refuses_the_connection() -> None:
    with listening(1) as port:
        pass
    assert query_progress("127.0.0.1", port).status is ResponseStatus.REFUSED


def test_a_driver_that_accepts_the_connection_and_does_not_answer() -> None:
    """The kernel accepts connections for a frozen process."""
    with listening(1) as port:
        assert query_progress("127.0.0.1", port, 0.2).status is ResponseStatus.TIMED_OUT


def test_a_network_that_drops_packets() -> None:
    """A full backlog drops new connections, as a closed network does."""
    with listening(0) as port, socket.socket() as first, socket.socket() as second:
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        response = query_progress("127.0.0.1", port, 0.2)
    assert response.status is ResponseStatus.UNREACHABLE and str(port) in response.problem


def test_a_name_that_does_not_resolve() -> None:
    assert query_progress("nobody.invalid", 80, 1).status is ResponseStatus.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "body"), [(503, b"no healthy upstream"), (200, b"[]"), (200, b'{"streams": {"gold": {}}}'), (404, b"{}")]
)
def test_another_server_at_the_address_of_the_driver(status: int, body: bytes) -> None:
    with answering(status, body) as port:
        assert query_progress("127.0.0.1", port).status is ResponseStatus.UNREACHABLE


def test_a_connection_that_breaks() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        response = query_progress("127.0.0.1", listener.getsockname()[1], 1)
        assert response.status is ResponseStatus.UNREACHABLE
        thread.join()


def test_a_driver_without_an_ip_address_is_not_queried() -> None:
    assert query_driver(None) is None and query_driver({"status": {}}) is None
