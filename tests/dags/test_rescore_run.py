"""`rescore_gold`, run by Airflow itself over a database of its own, while the operator is played by the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dags.api import APP, CORE, GROUP, MAP, POD, Api
from tests.dags.facts import APP_NAME, driver
from tests.dags.runs import in_airflow, kubeconfig

pytestmark = pytest.mark.airflow

RUN = """
import rescore_gold
for task in rescore_gold.dag.tasks:
    task.poke_interval = 1
run = rescore_gold.dag.test(run_conf={"reason": "one version for all", "since": "2026-01-31"})
told([str(run.state), states(run)])
"""
JOB, JOB_POD = f"{GROUP}/sparkapplications/rescore", f"{CORE}/pods/rescore-driver"


@contextmanager
def operator(api: Api) -> Iterator[list[str]]:
    """Do one thing a moment, as the operator and the kubelet do; yield what was done."""
    done: list[str] = []
    stop = threading.Event()

    def step() -> str:
        gold, job = api.objects[APP], api.objects.get(JOB)
        suspended, state = gold["spec"].get("suspend"), gold["status"]["applicationState"]
        if suspended and state["state"] == "RUNNING":
            state["state"] = "SUSPENDED"
            return "gold suspended"
        if suspended and POD in api.objects:
            del api.objects[POD]
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


def test_a_run_of_airflow_stops_gold_rescores_and_resumes(api: Api, airflow_home: Path, tmp_path: Path) -> None:
    with operator(api) as done:
        ((state, tasks),) = in_airflow(airflow_home, RUN, KUBECONFIG=kubeconfig(tmp_path, api.url))
    assert (state, tasks) == ("success", dict.fromkeys(("held", "quiet", "rescored", "resumed"), "success"))
    (applied,) = [body for verb, name, body, _ in api.writes if (verb, name) == ("PATCH", "rescore")]
    assert applied["metadata"]["annotations"]["tweet-sentiment/run"].startswith("manual__")
    began = done.index("job runs rescore --since 2026-01-31")
    assert done[:began] == ["gold suspended", "gold ended"]
    assert done[began + 1 :][:2] == ["job ended", "job gone"]
    assert "suspend" not in api.objects[APP]["spec"] and JOB not in api.objects
    assert "tweet-sentiment/hold-gold" not in api.objects[MAP]["metadata"]["annotations"]
