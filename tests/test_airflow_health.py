"""docker/airflow_health.py against a server that answers like Airflow's health endpoint."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import airflow_health


class Airflow:
    """The answer of the API server; None closes the connection without one."""

    def __init__(self) -> None:
        self.health: dict[str, Any] | None = {}
        self.port = 0

    def report(self, status: str | None, heartbeat: float | None, database: str = "healthy") -> None:
        latest = None if heartbeat is None else datetime.fromtimestamp(heartbeat, UTC).isoformat()
        state = {"status": status, "latest_scheduler_heartbeat": latest}
        self.health = {"metadatabase": {"status": database}, "scheduler": state}


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    airflow = Airflow()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/api/v2/monitor/health" or airflow.health is None:
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(airflow.health).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        airflow.port = server.server_port
        yield airflow
        server.shutdown()


def probe(airflow: Airflow, *options: str, component: str = "scheduler") -> int:
    return airflow_health.main(component, *options, port=airflow.port)


def test_a_process_without_heartbeats_fails_its_probe(airflow: Airflow, capsys: pytest.CaptureFixture[str]) -> None:
    airflow.report("healthy", time.time())
    assert probe(airflow) == 0
    airflow.report("unhealthy", 0)
    assert probe(airflow) == 1
    assert "the last heartbeat of the scheduler was at 1970-01-01T00:00:00+00:00" in capsys.readouterr().out


def test_an_outage_of_the_database_or_of_the_api_server_is_not_the_fault_of_the_process(airflow: Airflow) -> None:
    airflow.report("unhealthy", None, database="unhealthy")
    assert probe(airflow) == 0
    airflow.health = {}
    assert probe(airflow) == 0
    airflow.health = None
    assert probe(airflow) == 0
    airflow.port = 1
    assert probe(airflow) == 0


def test_a_process_has_started_with_its_first_heartbeat(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process leaves a heartbeat, by which Airflow calls its successor healthy for 30 s."""
    monkeypatch.setattr(airflow_health, "container_start", lambda: 1000.0)
    airflow.report("healthy", 990)
    assert (probe(airflow), probe(airflow, "--started")) == (0, 1)
    airflow.report("healthy", 1010)
    assert probe(airflow, "--started") == 0
    airflow.report(None, None)
    assert probe(airflow, "--started") == 1
    airflow.health = None
    assert probe(airflow, "--started") == 1


def test_the_start_of_the_first_process_is_known() -> None:
    """In a container, the first process starts with the container."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert boot - 5 <= airflow_health.container_start() <= time.time()


def test_the_script_needs_no_packages() -> None:
    """Without site-packages, it starts in a tenth of the time."""
    command = [sys.executable, "-IS", airflow_health.__file__, "dag_processor"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "healthy\n"
