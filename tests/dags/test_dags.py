"""The DAGs as Airflow parses them: quickly, without Spark, each with documentation and limits."""

import copy
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.dags.airflow_process import in_airflow
from tweet_dags.table_jobs.definitions import JOBS, TableJob

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[2] / "dags"
DOCKER = DAGS.with_name("docker")
FILES = sorted(DAGS.glob("*.py"))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return every DAG of the folder, parsed by Airflow in its own AIRFLOW_HOME."""
    os.environ["AIRFLOW_HOME"] = str(tmp_path_factory.mktemp("airflow"))
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
    from airflow.dag_processing.dagbag import DagBag

    dag_bag = DagBag(str(DAGS))
    assert dag_bag.import_errors == {}
    return dag_bag


def test_every_file_defines_its_dag(bag: Any) -> None:
    assert set(bag.dags) == {file.stem for file in FILES}


def test_each_dag_has_documentation_and_limits(bag: Any) -> None:
    for name, dag in bag.dags.items():
        assert "#### When it fails" in (dag.doc_md or ""), name
        assert dag.tags and dag.description and dag.dagrun_timeout and dag.max_active_runs <= 4, name
        assert not dag.catchup, name
        for task in dag.tasks:
            assert task.owner != "airflow", (name, task.task_id)
            assert task.retries >= 2, (name, task.task_id)
            assert task.execution_timeout and task.execution_timeout <= timedelta(hours=2), (name, task.task_id)


def test_each_stream_has_its_task_group(bag: Any) -> None:
    dag = bag.dags["keep_streams_running"]
    assert set(dag.task_ids) == {
        f"{stream}.{task}" for stream in ("bronze", "silver", "gold") for task in ("apply", "needs_healing", "heal")
    }
    for stream in ("bronze", "silver", "gold"):
        assert dag.get_task(f"{stream}.apply").downstream_task_ids == {f"{stream}.needs_healing"}
        assert dag.get_task(f"{stream}.needs_healing").downstream_task_ids == {f"{stream}.heal"}


def test_operate_stream_requires_a_reason(bag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    params = bag.dags["operate_stream"].params
    with pytest.raises(ParamValidationError):
        params.validate()


# The parameters of a valid run of each job's DAG.
JOB_PARAMS: dict[str, dict[str, Any]] = {
    "rescore_gold": {"reason": "history"},
    "rebuild_table": {"reason": "history", "table": "gold"},
    "replay_quarantine": {"reason": "history", "quarantine_reasons": ["not_a_tweet", "bad_time"]},
}
INVALID_PARAMS = [
    *[
        (dag, change)
        for dag in JOB_PARAMS
        for change in ({"reason": ""}, {"reason": "x"}, {"since": "soon"}, {"since": "2026-01-31; rm"})
    ],
    ("rebuild_table", {"table": "bronze"}),
    *[
        ("replay_quarantine", {"quarantine_reasons": reasons})
        for reasons in ([], None, "not_json", ["--lake"], ["not json"], ["$(id)"], ["not_json", "not_json"])
    ],
]


def job_params(bag: Any, dag: str, change: dict[str, Any]) -> Any:
    """Return the parameters of a run of `dag` that was triggered with the valid parameters and `change`."""
    params = copy.deepcopy(bag.dags[dag].params)
    params.update(JOB_PARAMS[dag] | change)
    return params.validate()


@pytest.mark.parametrize(("dag", "change"), INVALID_PARAMS)
def test_the_dag_of_a_job_refuses_invalid_parameters(bag: Any, dag: str, change: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        job_params(bag, dag, change)


@pytest.mark.parametrize("dag", JOB_PARAMS)
def test_the_dag_of_a_job_refuses_a_run_without_parameters(bag: Any, dag: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        copy.deepcopy(bag.dags[dag].params).validate()


@pytest.mark.parametrize("dag", JOB_PARAMS)
def test_the_dag_of_a_job_accepts_a_first_day_or_none(bag: Any, dag: str) -> None:
    assert job_params(bag, dag, {})["since"] is None
    assert job_params(bag, dag, {"since": "2026-01-31"})["since"] == "2026-01-31"


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.application)
def test_the_documentation_names_the_objects_of_the_job(bag: Any, job: TableJob) -> None:
    documentation = bag.dags[job.dag].doc_md
    assert f"`{job.owner}`" in documentation and f"`{job.application}`" in documentation
    for task in bag.dags[job.dag].tasks:
        assert f"- `{task.task_id}` " in documentation and f"**Sign:** `{task.task_id}` is red" in documentation
    assert f"held by {job.owner} …" in bag.dags["operate_stream"].doc_md


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_parsed_within_a_second_and_without_heavy_imports(file: Path, tmp_path: Path) -> None:
    code = (
        "import runpy, sys, time\n"
        # Airflow has imported these before it parses a file.
        "import airflow.sdk.definitions.dag, airflow.providers.standard.decorators.python\n"
        "import airflow.providers.standard.decorators.short_circuit, airflow.sdk.definitions.taskgroup\n"
        f"sys.path.insert(0, {str(DAGS)!r})\n"
        "began = time.process_time()\n"
        f"runpy.run_path({str(file)!r})\n"
        "print(time.process_time() - began, *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seconds, *modules = done.stdout.splitlines()[-1].split()
    assert float(seconds) <= 1
    assert not {"pyspark", "torch", "spark_apps", "kubernetes", "pandas"} & set(modules)


def test_only_the_scheduler_imports_the_kubernetes_client_at_its_start(tmp_path: Path) -> None:
    """The tasks are forked from the scheduler: none of them has to import the client again."""
    for command, expected in (("scheduler", True), ("api-server", False)):
        code = f"sys.argv = ['airflow', '{command}']\nimport airflow\nreport('kubernetes.client' in sys.modules)"
        assert in_airflow(tmp_path, code, PYTHONPATH=str(DOCKER)) == [expected]
