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
        f"{stream}.{task}" for stream in ("bronze", "silver", "gold") for task in ("apply", "heal")
    }
    for stream in ("bronze", "silver", "gold"):
        apply, heal = (dag.get_task(f"{stream}.{task}") for task in ("apply", "heal"))
        assert f"{stream}.heal" in apply.downstream_task_ids and heal.downstream_task_ids == set()
        # No stream waits for another one, and a stream is watched whatever `apply` has shown.
        assert (apply.trigger_rule, heal.trigger_rule) == ("always", "all_done")
        assert apply.start_from_trigger and heal.start_from_trigger


def test_the_rows_of_the_grid_follow_the_data(bag: Any) -> None:
    """As the API server sorts them, from the serialized DAG."""
    from airflow.serialization.serialized_objects import DagSerialization

    dag: Any = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags["keep_streams_running"]))
    groups = dag.task_group.topological_sort()
    assert [group.group_id for group in groups] == ["bronze", "silver", "gold"]
    for group in groups:
        assert [task.label for task in group.topological_sort()] == ["apply", "heal"]


def test_the_trigger_can_be_serialized(bag: Any) -> None:
    """The scheduler creates it from the serialized DAG, and the triggerer imports its class by name."""
    from airflow._shared.module_loading import import_string

    task = bag.dags["keep_streams_running"].get_task("gold.heal")
    arguments = task.start_trigger_args
    trigger = import_string(arguments.trigger_cls)(**arguments.trigger_kwargs)
    assert trigger.serialize() == (arguments.trigger_cls, arguments.trigger_kwargs)
    assert "started" in task.template_fields and "dag_run" in trigger.started


def test_operate_stream_requires_a_reason(bag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    params = bag.dags["operate_stream"].params
    with pytest.raises(ParamValidationError):
        params.validate()


def test_no_field_of_a_form_is_red_before_anybody_has_typed(bag: Any) -> None:
    """As the UI decides it, from the serialized DAG."""
    from airflow.serialization.serialized_objects import DagSerialization

    for name, dag in bag.dags.items():
        serialized: Any = DagSerialization.from_dict(DagSerialization.to_dict(dag))
        for key, param in serialized.params.items():
            kind = param.schema.get("type")
            assert kind, (name, key)
            assert param.resolve() is not None or "null" in kind, (name, key)


def test_commands_in_a_documentation_stay_on_lines_of_their_own(bag: Any) -> None:
    """The UI joins the lines of a code block."""
    for name, dag in bag.dags.items():
        assert "```" not in dag.doc_md, name


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


def test_only_scheduler_and_triggerer_import_the_kubernetes_client_at_their_start(tmp_path: Path) -> None:
    """The tasks are forked from the scheduler, and the import would block the triggers of the triggerer."""
    for command, expected in (("scheduler", True), ("triggerer", True), ("api-server", False)):
        code = f"sys.argv = ['airflow', '{command}']\nimport airflow\nreport('kubernetes.client' in sys.modules)"
        assert in_airflow(tmp_path, code, PYTHONPATH=str(DOCKER)) == [expected]
