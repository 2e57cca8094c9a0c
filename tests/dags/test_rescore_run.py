"""`rescore_gold`, run by Airflow itself over a database of its own, while the operator is played by the test."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.dags.api import CORE, GROUP, MAP, Api
from tests.dags.facts import APP_NAME, driver

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[2] / "dags"
RUN = f"""
import json, sys
from airflow.utils.db import initdb
initdb()
sys.path.insert(0, {str(DAGS)!r})
import rescore_gold
for task in rescore_gold.dag.tasks:
    task.poke_interval = 1
run = rescore_gold.dag.test(run_conf={{"reason": "one version for all", "since": "2026-01-31"}})
states = {{task.task_id: str(task.state) for task in run.get_task_instances()}}
print("RESULT" + json.dumps([str(run.state), states]))
"""
GOLD, JOB = f"{GROUP}/sparkapplications/gold", f"{GROUP}/sparkapplications/rescore"
GOLD_POD, JOB_POD = f"{CORE}/pods/gold-driver", f"{CORE}/pods/rescore-driver"


@contextmanager
def operator(api: Api) -> Iterator[list[str]]:
    """Do one thing a moment, as the operator and the kubelet do; yield what was done."""
    done: list[str] = []
    stop = threading.Event()

    def step() -> str:
        gold, job = api.objects[GOLD], api.objects.get(JOB)
        suspended, state = gold["spec"].get("suspend"), gold["status"]["applicationState"]
        if suspended and state["state"] == "RUNNING":
            state["state"] = "SUSPENDED"
            return "gold suspended"
        if suspended and GOLD_POD in api.objects:
            del api.objects[GOLD_POD]
            return "gold ended"
        if not suspended and state["state"] == "SUSPENDED":
            state["state"] = "RUNNING"
            return "gold resumed"
        if job is None and JOB_POD in api.objects:
            del api.objects[JOB_POD]
            return "job gone"
        if job is not None and "status" not in job:
            pod = driver()
            pod["metadata"] |= {"name": "rescore-driver", "labels": pod["metadata"]["labels"] | {APP_NAME: "rescore"}}
            api.put(JOB_POD, pod)
            job["status"] = {"applicationState": {"state": "RUNNING"}}
            return f"job runs {' '.join(job['spec']['arguments'])}"
        if job is not None and job["status"]["applicationState"]["state"] == "RUNNING":
            job["status"]["applicationState"]["state"] = "COMPLETED"
            return "job ended"
        return ""

    def work() -> None:
        while not stop.wait(1.5):
            if said := step():
                done.append(said)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def test_a_run_of_airflow_stops_gold_rescores_and_resumes(api: Api, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    context = {"name": "test", "context": {"cluster": "test", "user": "test"}}
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "contexts": [context],
                "clusters": [{"name": "test", "cluster": {"server": api.url}}],
                "users": [{"name": "test", "user": {}}],
            }
        )
    )
    env = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "KUBECONFIG": str(kubeconfig),
    }
    with operator(api) as done:
        ran = subprocess.run(
            [sys.executable, "-c", RUN], env=os.environ | env, capture_output=True, text=True, timeout=240, check=False
        )
    assert ran.returncode == 0, ran.stderr[-3000:]
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("RESULT")]
    state, tasks = json.loads(line.removeprefix("RESULT"))
    assert (state, tasks) == ("success", dict.fromkeys(("held", "quiet", "rescored", "resumed"), "success"))
    (applied,) = [body for verb, name, body, _ in api.writes if (verb, name) == ("PATCH", "rescore")]
    assert applied["metadata"]["annotations"]["tweet-sentiment/run"].startswith("manual__")
    began = done.index("job runs rescore --since 2026-01-31")
    assert done[:began] == ["gold suspended", "gold ended"]
    assert done[began + 1 :][:2] == ["job ended", "job gone"]
    assert "suspend" not in api.objects[GOLD]["spec"] and JOB not in api.objects
    assert "tweet-sentiment/hold-gold" not in api.objects[MAP]["metadata"]["annotations"]
