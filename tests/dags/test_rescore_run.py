"""`rescore_gold`, run by Airflow, while the test plays the operator."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dags.airflow_process import in_airflow, kubeconfig
from tests.dags.fake_api import APP, CONFIG_MAP, HOLD, POD, FakeApi
from tests.dags.observations import APP_NAME, driver
from tests.dags.rescore_steps import JOB, JOB_POD

pytestmark = pytest.mark.airflow

RUN = """
import rescore_gold
for task in rescore_gold.dag.tasks:
    task.poke_interval = 1
run = rescore_gold.dag.test(run_conf={"reason": "one version for all", "since": "2026-01-31"})
report([str(run.state), states(run)])
"""


@contextmanager
def operator(api: FakeApi) -> Iterator[list[str]]:
    """Play the operator and the kubelet, one step every 1.5 s; yield the list of steps done."""
    steps: list[str] = []
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
            if done := step():
                steps.append(done)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield steps
    finally:
        stop.set()
        thread.join()


def test_a_run_suspends_gold_rescores_and_resumes_gold(api: FakeApi, airflow_home: Path, tmp_path: Path) -> None:
    with operator(api) as steps:
        ((state, tasks),) = in_airflow(airflow_home, RUN, KUBECONFIG=kubeconfig(tmp_path, api.url))
    assert (state, tasks) == (
        "success",
        dict.fromkeys(("suspend_gold", "gold_stopped", "rescore", "resume_gold"), "success"),
    )
    (applied,) = [body for verb, name, body, _ in api.writes if (verb, name) == ("PATCH", "rescore")]
    assert applied["metadata"]["annotations"]["tweet-sentiment/run"].startswith("manual__")
    began = steps.index("job runs rescore --since 2026-01-31")
    assert steps[:began] == ["gold suspended", "gold ended"]
    assert steps[began + 1 :][:2] == ["job ended", "job gone"]
    assert "suspend" not in api.objects[APP]["spec"] and JOB not in api.objects
    assert HOLD not in api.objects[CONFIG_MAP]["metadata"]["annotations"]
