"""The tasks, settings and parameters that the DAGs of the jobs share.

The tasks import `steps` only when they run: its import of the Kubernetes client would slow down the parsing of a DAG.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, task

from tweet_dags.params import required
from tweet_dags.table_jobs.definitions import TableJob

Params = Mapping[str, Any]

_POLL_SECONDS = 20.0

SETTINGS: dict[str, Any] = {
    "schedule": None,
    "max_active_runs": 1,
    "dagrun_timeout": timedelta(days=4),
    "default_args": {
        "owner": "platform",
        "retries": 5,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=5),
    },
}


def reason_param(stream: str) -> Param:
    """Return the parameter for the reason of the hold on `stream`."""
    description = f"Recorded in the hold while {stream} is stopped"
    return required("string", minLength=3, title="Reason", description=description)


def since_param(description: str) -> Param:
    """Return the parameter for the first day."""
    return Param(None, type=["null", "string"], format="date", title="Since", description=description)


def add_tasks(
    job_of: Callable[[Params], TableJob], arguments_of: Callable[[Params], Sequence[str]], stream: str, task_id: str
) -> None:
    """Add the tasks `suspend_<stream>`, `<stream>_stopped`, `<task_id>` and `resume_<stream>` to the current DAG.

    Args:
        job_of: Returns the job for the parameters of a run.
        arguments_of: Returns the arguments that the job gets for the parameters of a run.
        stream: What the names of the tasks call the stream.
        task_id: The name of the task that runs the job.
    """

    @task(task_id=f"suspend_{stream}")
    def suspend_stream(params: Params | None = None, dag_run: object = None) -> str:
        from tweet_dags.table_jobs import steps

        given = params or {}
        return steps.suspend_stream(job_of(given), given["reason"], getattr(dag_run, "triggering_user_name", None))

    @task.sensor(task_id=f"{stream}_stopped", **_sensor(timedelta(hours=1)))
    def stream_stopped(params: Params | None = None) -> bool:
        from tweet_dags.table_jobs import steps

        return steps.stream_stopped(job_of(params or {}))

    @task.sensor(task_id=task_id, **_sensor(timedelta(days=3)))
    def job_finished(params: Params | None = None, run_id: str = "") -> bool:
        from tweet_dags.table_jobs import steps

        given = params or {}
        return steps.job_finished(job_of(given), arguments_of(given), run_id)

    @task.sensor(task_id=f"resume_{stream}", **_sensor(timedelta(hours=1)))
    def stream_resumed(params: Params | None = None) -> bool:
        from tweet_dags.table_jobs import steps

        return steps.stream_resumed(job_of(params or {}))

    suspend_stream() >> stream_stopped() >> job_finished() >> stream_resumed()


def _sensor(timeout: timedelta) -> dict[str, Any]:
    return {"poke_interval": _POLL_SECONDS, "mode": "reschedule", "timeout": timeout.total_seconds()}
