"""The DAGs of the jobs, run by Airflow, while the test plays the operator."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.dags.airflow_process import in_airflow
from tests.dags.fake_api import CONFIG_MAP, FakeApi, hold_key
from tests.dags.job_run import JobRun
from tests.kubeconfig import kubeconfig
from tweet_dags.table_jobs.definitions import REBUILDS, REPLAY, RESCORE, TableJob

pytestmark = pytest.mark.airflow

RUN = """
import {dag} as module
for task in module.dag.tasks:
    task.poke_interval = 1
run = module.dag.test(run_conf={conf})
report([str(run.state), states(run)])
"""
SINCE = {"since": "2026-01-31"}
REASONS = {"quarantine_reasons": ["not_a_tweet", "bad_time"]}


@contextmanager
def operator(run: JobRun) -> Iterator[list[str]]:
    """Play the operator and the kubelet, one step every 1.5 s; yield the list of steps done."""
    steps: list[str] = []
    stop = threading.Event()
    objects = run.api.objects

    def step() -> str:
        stream, job = objects[run.stream], objects.get(run.application)
        suspended, state = stream["spec"].get("suspend"), stream["status"]["applicationState"]
        if suspended and state["state"] == "RUNNING":
            state["state"] = "SUSPENDED"
            return "stream suspended"
        if suspended and run.stream_pod in objects:
            del objects[run.stream_pod]
            return "stream ended"
        if not suspended and state["state"] == "SUSPENDED":
            state["state"] = "RUNNING"
            return "stream resumed"
        if job is None and run.pod in objects:
            del objects[run.pod]
            return "job gone"
        if job is not None and "status" not in job:
            run.put_driver()
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


@pytest.mark.parametrize(
    ("job", "conf", "arguments", "task_ids"),
    [
        (RESCORE, SINCE, "--since 2026-01-31", ("suspend_gold", "gold_stopped", "rescore", "resume_gold")),
        (
            REBUILDS["silver"],
            SINCE | {"table": "silver"},
            "--since 2026-01-31",
            ("suspend_stream", "stream_stopped", "rebuild", "resume_stream"),
        ),
        (
            REPLAY,
            SINCE | REASONS,
            "--reason not_a_tweet --reason bad_time --since 2026-01-31",
            ("suspend_silver", "silver_stopped", "replay", "resume_silver"),
        ),
    ],
    ids=["rescore_gold", "rebuild_table", "replay_quarantine"],
)
def test_a_run_suspends_the_stream_runs_the_job_and_resumes_the_stream(
    api: FakeApi,
    airflow_home: Path,
    tmp_path: Path,
    job: TableJob,
    conf: dict[str, Any],
    arguments: str,
    task_ids: tuple[str, ...],
) -> None:
    run = JobRun(api, job)
    run.run_stream()
    code = RUN.format(dag=job.dag, conf={"reason": "history", **conf})
    with operator(run) as steps:
        ((state, tasks),) = in_airflow(airflow_home, code, KUBECONFIG=kubeconfig(tmp_path, api.url))
    assert (state, tasks) == ("success", dict.fromkeys(task_ids, "success"))
    (applied,) = [body for verb, name, body, _ in api.writes if (verb, name) == ("PATCH", job.application)]
    assert applied["metadata"]["annotations"]["tweet-sentiment/run"].startswith("manual__")
    began = steps.index(f"job runs {job.application} {arguments}")
    assert steps[:began] == ["stream suspended", "stream ended"]
    assert steps[began + 1 :][:2] == ["job ended", "job gone"]
    assert "suspend" not in api.objects[run.stream]["spec"] and run.application not in api.objects
    assert hold_key(job.stream) not in api.objects[CONFIG_MAP]["metadata"]["annotations"]
