"""Asking a driver, over real sockets: who did not answer, the driver or the network?"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tweet_dags.driver import ask, heard
from tweet_dags.seen import Heard


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

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


def test_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy that is set is none of a pod's."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    body = {"streams": {"gold": {"batch": 7, "seconds_since_progress": 1.5}}, "error": None}
    with answering(200, json.dumps(body).encode()) as port:
        found = heard("127.0.0.1", port)
    assert (found.heard, found.batches, found.ages, found.error) == (Heard.ANSWER, {"gold": 7}, {"gold": 1.5}, "")


def test_a_driver_that_refuses() -> None:
    with listening(1) as port:
        pass
    assert heard("127.0.0.1", port).heard is Heard.REFUSED


def test_a_driver_that_takes_the_connection_and_keeps_silent() -> None:
    """As one that is frozen: the system takes the connection for it."""
    with listening(1) as port:
        assert heard("127.0.0.1", port, 0.2).heard is Heard.SILENCE


def test_a_network_that_swallows() -> None:
    """A queue that is full drops what comes, as a closed network does."""
    with listening(0) as port, socket.socket() as first, socket.socket() as second:
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        found = heard("127.0.0.1", port, 0.2)
    assert found.heard is Heard.UNREACHABLE and str(port) in found.says


def test_a_name_that_nobody_knows() -> None:
    assert heard("nobody.invalid", 80, 1).heard is Heard.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "body"), [(503, b"no healthy upstream"), (200, b"[]"), (200, b'{"streams": {"gold": {}}}'), (404, b"{}")]
)
def test_somebody_else_in_its_place(status: int, body: bytes) -> None:
    with answering(status, body) as port:
        assert heard("127.0.0.1", port).heard is Heard.UNREACHABLE


def test_a_connection_that_breaks() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert heard("127.0.0.1", listener.getsockname()[1], 1).heard is Heard.UNREACHABLE
        thread.join()


def test_without_an_address_nobody_is_asked() -> None:
    assert ask(None) is None and ask({"status": {}}) is None
