"""The steps of a job on the tables of a stopped stream: stop the stream, run the job, start the stream again.

Each step first observes the cluster. The names of the objects never change, so a retry, or a step after a restart of
Airflow, continues where the last one ended. A sensor's function is named for the state that it waits for. Each call
also takes the next step towards that state.

Two drivers never write one table. The job is applied only while its stream is held by the job's DAG, is suspended and
has no pods, and while no other job on its tables has objects left. The job is deleted once its DAG no longer holds the
stream.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from tweet_dags import settings
from tweet_dags.kubernetes import pods
from tweet_dags.kubernetes.client import Cluster
from tweet_dags.kubernetes.objects import get
from tweet_dags.kubernetes.writes import ConflictError
from tweet_dags.reconcile.config_map import hold_stream, release_hold
from tweet_dags.reconcile.execute import apply_manifest, reconcile_hold
from tweet_dags.reconcile.failures import last_error
from tweet_dags.reconcile.observed import ObservedState, observe
from tweet_dags.table_jobs.definitions import TableJob, jobs_of

_log = logging.getLogger(__name__)
# Annotation with the DAG run that applied the job. A job of an earlier run may have had an older model version or other
# parameters.
_RUN = "tweet-sentiment/run"
# The operator never submits again from these states.
_ENDED = {"COMPLETED", "FAILED"}
_LOG_LINES = 15


def suspend_stream(job: TableJob, reason: str, user: str | None) -> str:
    """Hold the stream for `job`, and suspend it; return what was done, or raise if another owner holds the stream."""
    cluster, stream = _observe(job.stream)
    if stream.hold and stream.hold.owner != job.owner:
        raise AirflowFailException(f"{job.stream} is {stream.hold}: trigger {job.dag} again when the hold is gone")
    if not stream.hold:
        hold_stream(cluster, stream, job.owner, f"{reason} ({user})" if user else reason)
    return reconcile_hold(cluster, job.stream)


def stream_stopped(job: TableJob) -> bool:
    """Suspend the stream if it runs; return whether the stream is suspended and all of its pods are gone.

    Raises:
        AirflowFailException: if the job's DAG no longer holds the stream, or if a lost node may still run its pods.
    """
    cluster, stream = _observe(job.stream)
    return _stop_stream(cluster, job, stream)


def job_finished(job: TableJob, arguments: Sequence[str], run_id: str) -> bool:
    """Start the job if it does not exist; return whether it has finished.

    Args:
        job: The job.
        arguments: The arguments that are appended to the command of the job.
        run_id: The id of the DAG run.

    Raises:
        AirflowException: if the job has failed. It is deleted, and a retry starts it again.
        AirflowFailException: if the job's DAG no longer holds the stream, or if a lost node may still run the job.
    """
    cluster, observed = _observe(job.application)
    if observed.application is None:
        _start_job(cluster, job, observed, arguments, run_id)
        observed = observe(cluster, job.application)
    _delete_without_hold(cluster, job, observed)
    return _poll_job(cluster, job, observed, run_id)


def stream_resumed(job: TableJob) -> bool:
    """Delete the job, then release the hold once the pods of the job are gone; return whether the hold is released.

    Raises:
        AirflowFailException: if a lost node may still run the job.
    """
    cluster, observed = _observe(job.application)
    if observed.application is not None and not get(observed.application, "metadata", "deletionTimestamp"):
        _delete(cluster, observed)
        return False
    if observed.application is not None or observed.pods:
        _refuse_lost_nodes(observed)
        return False
    stream = observe(cluster, job.stream)
    if stream.hold and stream.hold.owner == job.owner:
        release_hold(cluster, stream)
    _log.info("%s: %s", job.stream, reconcile_hold(cluster, job.stream))
    return True


def remaining_objects(cluster: Cluster, job: TableJob) -> str:
    """Return which objects of `job` may still write, or ''."""
    observed = observe(cluster, job.application)
    if observed.application is not None:
        return f"its SparkApplication {job.application} still exists ({observed.state or 'NEW'})"
    count = len(observed.pods)
    return f"{count} of the pods of {job.application} are still terminating" if count else ""


def _observe(name: str) -> tuple[Cluster, ObservedState]:
    cluster = Cluster.connect(settings.namespace())
    observed = observe(cluster, name)
    state = "absent" if observed.application is None else observed.state or "NEW"
    _log.info("%s: %s, %s pods", name, state, len(observed.pods))
    return cluster, observed


def _stop_stream(cluster: Cluster, job: TableJob, stream: ObservedState) -> bool:
    """Suspend the stream if it is not; return whether no driver of the stream runs or can start.

    The operator reports SUSPENDED before the pods have ended. In any other state a submission may be under way.
    """
    _refuse_without_hold(job, stream)
    _refuse_lost_nodes(stream)
    suspended = stream.application is None or (stream.suspended and stream.state in {"SUSPENDED", *_ENDED})
    if suspended and not stream.pods:
        return True
    if not stream.suspended:
        try:
            _log.info("%s: %s", job.stream, reconcile_hold(cluster, job.stream))
        except ConflictError as conflict:
            _log.info("%s: %s", job.stream, conflict)
    return False


def _start_job(cluster: Cluster, job: TableJob, observed: ObservedState, arguments: Sequence[str], run_id: str) -> None:
    """Apply the job, unless pods of an earlier job or of the stream remain."""
    if observed.pods:
        _refuse_lost_nodes(observed)
        _log.info("%s pods of an earlier job are still terminating", len(observed.pods))
    elif _stop_stream(cluster, job, observe(cluster, job.stream)):
        _refuse_other_jobs(cluster, job)
        apply_manifest(cluster, _with_arguments(observed, arguments, run_id))
        _log.info("the SparkApplication %s is applied", job.application)


def _refuse_other_jobs(cluster: Cluster, job: TableJob) -> None:
    """Raise if another job on the same tables has objects left, which someone who removed its hold may have missed."""
    for other in jobs_of(job.stream):
        if other != job and (remaining := remaining_objects(cluster, other)):
            raise AirflowFailException(
                f"{other.dag} no longer holds {job.stream}, but {remaining} and may still write: delete the "
                f"SparkApplication {other.application}, and clear this task once its pods are gone"
            )


def _with_arguments(observed: ObservedState, arguments: Sequence[str], run_id: str) -> ObservedState:
    """Return the observed job with the arguments and the run of the DAG in its desired manifest."""
    desired = observed.desired
    annotations = {**(get(desired, "metadata", "annotations") or {}), _RUN: run_id}
    metadata = {**desired["metadata"], "annotations": annotations}
    spec = {**desired["spec"], "arguments": [*desired["spec"]["arguments"], *arguments]}
    return replace(observed, desired={**desired, "metadata": metadata, "spec": spec})


def _poll_job(cluster: Cluster, job: TableJob, observed: ObservedState, run_id: str) -> bool:
    """Return whether the job has finished for this run; delete a failed job, and a job that another run finished."""
    _refuse_lost_nodes(observed)
    if observed.state == "UNKNOWN":
        raise AirflowFailException(
            f"the state of the driver of {job.application} is unknown, and it may still write: check its pod and node; "
            f"{last_error(observed)}"
        )
    if observed.state not in _ENDED:
        line = cluster.log_tail(observed.driver, 1).strip()
        pending = pods.pending_reason(observed.driver) if observed.driver else "the job has no driver yet"
        _log.info("%s", line or pending)
        return False
    lines = cluster.log_tail(observed.driver, _LOG_LINES)
    _log.info("the last lines of the driver's log:\n%s", lines)
    if observed.state == "FAILED":
        _delete(cluster, observed)
        raise AirflowException(f"the {job.noun} has failed; {last_error(observed)}\n{lines}")
    if get(observed.application, "metadata", "annotations", _RUN) != run_id:
        _log.info("an earlier run finished this job: starting it again for this run")
        _delete(cluster, observed)
        return False
    return True


def _delete(cluster: Cluster, observed: ObservedState) -> None:
    try:
        cluster.delete(observed.application)
    except ConflictError as conflict:
        # The operator has just written its status; the next call deletes the job.
        _log.info("%s", conflict)


def _refuse_without_hold(job: TableJob, stream: ObservedState) -> None:
    if not stream.hold or stream.hold.owner != job.owner:
        raise AirflowFailException(
            f"{job.stream} is {stream.hold or 'not held'}, and a {job.noun} may run only while {job.owner} holds it: "
            f"trigger {job.dag} again once {job.stream} is not held"
        )


def _delete_without_hold(cluster: Cluster, job: TableJob, observed: ObservedState) -> None:
    """Delete the job and raise if its DAG no longer holds the stream, which may then start at any moment."""
    try:
        _refuse_without_hold(job, observe(cluster, job.stream))
    except AirflowFailException:
        if observed.application is not None:
            _delete(cluster, observed)
        raise


def _refuse_lost_nodes(observed: ObservedState) -> None:
    if lost := [reason for pod in observed.pods if (reason := pods.why_node_lost(pod, observed.now))]:
        raise AirflowFailException(
            f"{'; '.join(lost)}; the pod may still write and is not ended by force: check the node, and delete the pod "
            "if the node is gone for good"
        )
