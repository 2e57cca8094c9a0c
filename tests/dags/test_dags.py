"""The DAGs as Airflow reads them: they parse, quickly and without Spark, and each explains and bounds itself."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[2] / "dags"
FILES = sorted(DAGS.glob("*.py"))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every DAG of the folder, read by Airflow in a home of its own."""
    os.environ["AIRFLOW_HOME"] = str(tmp_path_factory.mktemp("airflow"))
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
    from airflow.dag_processing.dagbag import DagBag

    found = DagBag(str(DAGS))
    assert found.import_errors == {}
    return found


def test_all_are_there(bag: Any) -> None:
    assert set(bag.dags) == {file.stem for file in FILES}


def test_each_explains_and_bounds_itself(bag: Any) -> None:
    for name, dag in bag.dags.items():
        assert "#### When it fails" in (dag.doc_md or ""), name
        assert dag.tags and dag.description and dag.dagrun_timeout and dag.max_active_runs <= 4, name
        assert not dag.catchup, name
        for task in dag.tasks:
            assert task.owner != "airflow", (name, task.task_id)
            assert task.retries >= 2, (name, task.task_id)
            assert task.execution_timeout and task.execution_timeout <= timedelta(hours=2), (name, task.task_id)


def test_each_stream_has_a_lane(bag: Any) -> None:
    dag = bag.dags["keep_streams_running"]
    assert set(dag.task_ids) == {
        f"{stream}.{task}" for stream in ("bronze", "silver", "gold") for task in ("applied", "advancing", "healed")
    }
    for stream in ("bronze", "silver", "gold"):
        assert dag.get_task(f"{stream}.applied").downstream_task_ids == {f"{stream}.advancing"}
        assert dag.get_task(f"{stream}.advancing").downstream_task_ids == {f"{stream}.healed"}


def test_a_person_must_give_a_reason(bag: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    params = bag.dags["operate_stream"].params
    with pytest.raises(ParamValidationError):
        params.validate()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_read_in_a_second_without_what_it_may_not_carry(file: Path, tmp_path: Path) -> None:
    code = (
        "import runpy, sys, time\n"
        "import airflow.sdk.definitions.dag, airflow.providers.standard.decorators.python\n"  # what Airflow has loaded
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
