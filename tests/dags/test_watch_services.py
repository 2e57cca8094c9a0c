"""`keep_streams_running` in a real Airflow against a fake API server: cost, reaction times, and what the grid shows.

The tests follow one another in one Airflow: its start takes most of the time. They print their figures (`pytest -s`).
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.dags.airflow_services import AirflowServices, airflow_services
from tests.dags.fake_api import CONFIG_MAP, CORE, GROUP, FakeApi, hold_key, serving
from tests.dags.observations import application, driver, manifest
from tests.kubeconfig import kubeconfig
from tests.waiting import until
from tweet_dags.reconcile.annotations import EXPECTED_RESTART_KEY, ExpectedRestart

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

STREAMS = ("bronze", "silver", "gold")
DAG = "keep_streams_running"
# The goals are 15 s for a reaction and 2 CPU seconds a minute. The machine of a test may be busy with other work.
REACTION_SECONDS, CPU_SECONDS = 60, 4
# Streams whose driver reports no progress.
frozen: set[str] = set()


class Progress(BaseHTTPRequestHandler):
    """The endpoint `/progress` of a driver. Each driver has an address of its own, because they share a port."""

    def do_GET(self) -> None:
        stream = STREAMS[int(self.connection.getsockname()[0].rsplit(".", 1)[1]) - 2]
        age = 400.0 if stream in frozen else 1.0
        body = json.dumps({"streams": {stream: {"batch": int(time.time()), "seconds_since_progress": age}}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def app(stream: str) -> str:
    return f"{GROUP}/sparkapplications/{stream}"


def pod(stream: str) -> str:
    return f"{CORE}/pods/{stream}-driver"


def run_streams(api: FakeApi) -> None:
    """Let the application and the driver of each stream run."""
    for index, stream in enumerate(STREAMS):
        api.put(app(stream), application(name=stream))
        ready = [{"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}]
        address = f"127.0.0.{index + 2}"
        api.put(pod(stream), driver(uid=f"pod-{api.version}", name=stream, podIP=address, conditions=ready))


@pytest.fixture(scope="module")
def api() -> Iterator[FakeApi]:
    api = FakeApi()
    head = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
    data = {f"{stream}.yaml": yaml.safe_dump(head | manifest(name=stream)) for stream in STREAMS}
    api.put(CONFIG_MAP, {"metadata": {"name": "stream-applications"}, "data": data})
    run_streams(api)
    servers = [ThreadingHTTPServer((f"127.0.0.{index + 2}", 8090), Progress) for index in range(len(STREAMS))]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with serving(api):
        yield api
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def airflow(api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServices]:
    home: Path = tmp_path_factory.mktemp("airflow")
    env = {"KUBECONFIG": kubeconfig(home, api.url), "TWEETS_STREAMS_NAMESPACE": "tweets"}
    with airflow_services(home, DAG, **env) as services:
        yield services


def states(airflow: AirflowServices, run: int = -1) -> dict[str, str]:
    """Return the state of each task of a run: by default of the newest one."""
    tasks = airflow.tasks(DAG)
    runs = sorted({task["dag_run_id"] for task in tasks})
    chosen = runs[run] if len(runs) >= abs(run) else ""
    return {task["task_id"]: str(task["state"]) for task in tasks if task["dag_run_id"] == chosen}


def grid(apply: dict[str, str] | None = None, heal: dict[str, str] | None = None) -> dict[str, str]:
    """Return the states of a run in which all is well, except for the given streams."""
    return {f"{stream}.apply": (apply or {}).get(stream, "success") for stream in STREAMS} | {
        f"{stream}.heal": (heal or {}).get(stream, "deferred") for stream in STREAMS
    }


def has_written(api: FakeApi, verb: str, name: str, since: int) -> bool:
    return any(write[:2] == (verb, name) and not write[3] for write in api.writes[since:])


def react(api: FakeApi, fault: Callable[[], object], verb: str, name: str) -> float:
    """Inject a fault; return the seconds until the write that it needs."""
    since = len(api.writes)
    fault()
    return until(partial(has_written, api, verb, name, since), REACTION_SECONDS, f"{verb} {name}")


def test_while_all_is_well_no_worker_process_starts(airflow: AirflowServices, api: FakeApi) -> None:
    until(lambda: states(airflow) == grid(), 240, "the first run", every=2)
    time.sleep(10)
    cpu, began, writes = airflow.cpu_seconds("triggerer"), time.monotonic(), len(api.writes)
    time.sleep(20)
    used = (airflow.cpu_seconds("triggerer") - cpu) / (time.monotonic() - began) * 60
    print(f"\nCPU seconds a minute while all is well: {used:.2f}", flush=True)
    assert used < CPU_SECONDS
    assert airflow.worker_logs() == [] and len(api.writes) == writes


def test_faults_are_repaired_within_seconds(airflow: AirflowServices, api: FakeApi) -> None:
    def edit() -> None:
        api.objects[app("bronze")]["spec"]["sparkConf"]["a"] = "2"
        api.touch(app("bronze"))

    def delete() -> None:
        del api.objects[app("gold")], api.objects[pod("gold")]

    for name, fault, verb, target in (
        ("edit", edit, "DELETE", "bronze"),
        ("deletion", delete, "PATCH", "gold"),
        ("frozen driver", lambda: frozen.add("silver"), "DELETE", "silver-driver"),
    ):
        print(f"\nreaction to: {name}: {react(api, fault, verb, target):.1f} s", end="", flush=True)
        if name == "edit":
            # Its driver ends; the same worker process applies the new application.
            react(api, lambda: api.objects.pop(pod("bronze")), "PATCH", "bronze")
        frozen.clear()
        run_streams(api)
    # The tasks are deferred again, and the run goes on.
    until(lambda: states(airflow) == grid(), 60, "all streams are watched again")


def test_a_rejected_write_is_tried_again(airflow: AirflowServices, api: FakeApi) -> None:
    """Nothing is deleted while the webhook of the operator is down."""
    api.rejection = "failed calling webhook"
    since = len(api.writes)
    api.objects[app("bronze")]["spec"]["sparkConf"]["a"] = "2"
    api.touch(app("bronze"))
    until(lambda: states(airflow)["bronze.heal"] == "up_for_retry", 60, "a failed try")
    assert not has_written(api, "DELETE", "bronze", since)
    api.rejection = ""
    until(lambda: has_written(api, "DELETE", "bronze", since), 90, "the application deleted")
    run_streams(api)
    until(lambda: states(airflow) == grid(), 60, "all streams are watched again")


def test_a_hold_is_shown_for_as_long_as_it_lasts(airflow: AirflowServices, api: FakeApi) -> None:
    hold = {"owner": "operate-stream", "reason": "a test", "since": datetime.now(UTC).isoformat()}

    def stop() -> None:
        api.objects[CONFIG_MAP]["metadata"]["annotations"][hold_key("silver")] = json.dumps(hold)
        api.touch(CONFIG_MAP)

    def start() -> None:
        annotations = api.objects[CONFIG_MAP]["metadata"]["annotations"]
        del annotations[hold_key("silver")]
        annotations[EXPECTED_RESTART_KEY + "silver"] = ExpectedRestart("one", datetime.now(UTC)).to_json()
        api.touch(CONFIG_MAP)

    react(api, stop, "PATCH", "silver")
    # The run ends at once, and the next one shows the hold from its start.
    held = {"silver": "skipped"}
    until(lambda: states(airflow) == grid(apply=held), 60, "the run with the hold")
    ended = dict.fromkeys(STREAMS, "success") | held
    assert states(airflow, -2) == grid(heal=ended)

    react(api, start, "PATCH", "silver")
    until(lambda: states(airflow) == grid(), 60, "the run after the hold")
    assert {run["state"] for run in airflow.get(f"/api/v2/dags/{DAG}/dagRuns")["dag_runs"]} == {"success", "running"}


def test_a_restart_of_airflow_delays_the_watch_by_seconds_only(airflow: AirflowServices, api: FakeApi) -> None:
    """The scheduler and the triggerer are killed while a worker process writes, and its write fails."""
    writing, killed = threading.Event(), threading.Event()

    def fail() -> None:
        writing.set()
        killed.wait(60)
        raise ConnectionError("Airflow was killed")

    writes = len(api.writes)
    api.before["PATCH"] = fail
    del api.objects[app("gold")], api.objects[pod("gold")]
    assert writing.wait(REACTION_SECONDS)
    for name in ("triggerer", "scheduler"):
        airflow.kill(name)
    killed.set()
    airflow.start("scheduler")
    airflow.start("triggerer", "--skip-serve-logs")
    seconds = until(lambda: has_written(api, "PATCH", "gold", writes), 180, "gold applied after the restart")
    print(f"\nreaction after a restart of Airflow: {seconds:.0f} s", flush=True)
    run_streams(api)
    until(lambda: states(airflow) == grid(), 120, "all streams are watched again", every=1)
