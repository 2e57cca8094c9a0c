"""A real Airflow as in the chart: API server, scheduler, DAG processor and triggerer, with a database of its own."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.dags.airflow_process import DAGS
from tests.process import free_port
from tests.waiting import until

_AIRFLOW = Path(sys.executable).with_name("airflow")


@dataclass
class AirflowServices:
    """The running services.

    Attributes:
        home: AIRFLOW_HOME, with the logs of the tasks.
        url: The URL of the API server.
        env: The environment of all services.
        processes: The processes by their name.
    """

    home: Path
    url: str
    env: dict[str, str]
    processes: dict[str, psutil.Popen] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> None:
        with (self.home / f"{name}.log").open("a") as log:
            command = [_AIRFLOW, name, *arguments]
            self.processes[name] = psutil.Popen(command, env=self.env, stdout=log, stderr=subprocess.STDOUT)

    def kill(self, name: str) -> None:
        """Kill a service and its child processes."""
        process = self.processes.pop(name)
        for member in [process, *process.children(recursive=True)]:
            member.kill()
        process.wait()

    def cpu_seconds(self, name: str) -> float:
        """Return the CPU time that a service and its child processes have used."""
        process = self.processes[name]
        times = [member.cpu_times() for member in [process, *process.children(recursive=True)]]
        return float(sum(used.user + used.system for used in times))

    def get(self, path: str) -> Any:
        """Get a path of the REST API."""
        request = urllib.request.Request(self.url + path, headers=self._login())
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def tasks(self, dag: str) -> list[dict[str, Any]]:
        """Return the task instances of all runs of `dag`; none before the DAG processor has found it."""
        try:
            return list(self.get(f"/api/v2/dags/{dag}/dagRuns/~/taskInstances?limit=200")["task_instances"])
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise

    def worker_logs(self) -> list[Path]:
        """Return the logs of the worker processes; triggers have logs of their own."""
        return [log for log in self.home.glob("logs/dag_id=*/**/*.log") if ".trigger." not in log.name]

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/version", timeout=5):
                return True
        except (urllib.error.URLError, TimeoutError):
            return False

    def _login(self) -> dict[str, str]:
        with urllib.request.urlopen(f"{self.url}/auth/token", timeout=60) as response:
            return {"Authorization": f"Bearer {json.load(response)['access_token']}"}


@contextmanager
def airflow_services(home: Path, dag: str, **env: str) -> Iterator[AirflowServices]:
    """Run an Airflow that has only `dag`."""
    folder = home / "dags"
    folder.mkdir(parents=True)
    for name in (f"{dag}.py", "tweet_dags", ".airflowignore"):
        (folder / name).symlink_to(DAGS / name)
    port = free_port()
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
        "AIRFLOW__API__SECRET_KEY": "k" * 64,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        # As in the image: the triggerer does not add the folder of the DAGs to the path.
        "PYTHONPATH": f"{DAGS.with_name('docker')}:{folder}",
    }
    services = AirflowServices(home, f"http://localhost:{port}", os.environ | settings | env)
    subprocess.run([_AIRFLOW, "db", "migrate"], env=services.env, check=True, capture_output=True)
    try:
        services.start("api-server", "--port", str(port))
        until(services.is_up, 180, "the API server of Airflow")
        for name in ("dag-processor", "scheduler"):
            services.start(name)
        services.start("triggerer", "--skip-serve-logs")
        yield services
    finally:
        for name in list(services.processes):
            services.kill(name)
