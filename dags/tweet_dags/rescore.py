"""The tasks of `rescore_gold`: a job scores the history again while Gold is stopped.

Each task first observes the cluster. The names of the objects never change, so a retry, or a task after a restart of
Airflow, continues where the last one ended. A sensor's function is named for the state that it waits for. Each call
also takes the next step towards that state.

Two drivers never write one table. The job is applied only while Gold is held by the rescore, is suspended and has no
pods. The job is deleted once the rescore no longer holds Gold.
"""

import logging
from dataclasses import replace
from datetime import date

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

_log = logging.getLogger(__name__)
OWNER = "rescore-gold"
STREAM, JOB = "gold", "rescore"
# Annotation with the DAG run that applied the job. A job of an earlier run may have scored with an older model version.
_RUN = "tweet-sentiment/run"
# The operator never submits again from these states.
_ENDED = {"COMPLETED", "FAILED"}
_LOG_LINES = 15


def suspend_gold(reason: str, user: str | None) -> str:
    """Hold Gold for the rescore, and suspend it; return what was done, or raise if another owner holds Gold."""
    cluster, gold = _observe(STREAM)
    if gold.hold and gold.hold.owner != OWNER:
        raise AirflowFailException(f"{STREAM} is {gold.hold}: trigger rescore_gold again when the hold is gone")
    if not gold.hold:
        hold_stream(cluster, gold, OWNER, f"{reason} ({user})" if user else reason)
    return reconcile_hold(cluster, STREAM)


def gold_stopped() -> bool:
    """Suspend Gold if it runs; return whether Gold is suspended and all of its pods are gone."""
    cluster, gold = _observe(STREAM)
    return _stop_gold(cluster, gold)


def rescore_finished(since: str | None, run_id: str) -> bool:
    """Start the job if it does not exist; return whether it has finished.

    Args:
        since: The first day to score again, as YYYY-MM-DD; None for the whole history.
        run_id: The id of the DAG run.

    Raises:
        AirflowException: if the job has failed. It is deleted, and a retry starts it again.
        AirflowFailException: if the rescore no longer holds Gold, or if a lost node may still run the job.
    """
    day = date.fromisoformat(since) if since else None
    cluster, job = _observe(JOB)
    if job.application is None:
        _start_job(cluster, job, day, run_id)
        job = observe(cluster, JOB)
    _delete_without_hold(cluster, job)
    return _poll_job(cluster, job, run_id)


def gold_resumed() -> bool:
    """Tell whether Gold may run again: delete the job, wait for its pods, and release the hold."""
    cluster, job = _observe(JOB)
    if job.application is not None and not get(job.application, "metadata", "deletionTimestamp"):
        _delete(cluster, job)
        return False
    if job.application is not None or job.pods:
        _refuse_lost_nodes(job)
        return False
    gold = observe(cluster, STREAM)
    if gold.hold and gold.hold.owner == OWNER:
        release_hold(cluster, gold)
    _log.info("%s: %s", STREAM, reconcile_hold(cluster, STREAM))
    return True


def remaining_objects(cluster: Cluster) -> str:
    """Return which objects of a rescore may still write, or ''."""
    job = observe(cluster, JOB)
    if job.application is not None:
        return f"its SparkApplication {JOB} still exists ({job.state or 'NEW'})"
    return f"{len(job.pods)} of the pods of {JOB} are still terminating" if job.pods else ""


def _observe(name: str) -> tuple[Cluster, ObservedState]:
    cluster = Cluster.connect(settings.namespace())
    observed = observe(cluster, name)
    state = "absent" if observed.application is None else observed.state or "NEW"
    _log.info("%s: %s, %s pods", name, state, len(observed.pods))
    return cluster, observed


def _stop_gold(cluster: Cluster, gold: ObservedState) -> bool:
    """Suspend Gold if it is not; return whether no driver of Gold runs or can start.

    The operator reports SUSPENDED before the pods have ended. In any other state a submission may be under way.
    """
    _refuse_without_hold(gold)
    _refuse_lost_nodes(gold)
    suspended = gold.application is None or (gold.suspended and gold.state in {"SUSPENDED", *_ENDED})
    if suspended and not gold.pods:
        return True
    if not gold.suspended:
        try:
            _log.info("%s: %s", STREAM, reconcile_hold(cluster, STREAM))
        except ConflictError as conflict:
            _log.info("%s: %s", STREAM, conflict)
    return False


def _start_job(cluster: Cluster, job: ObservedState, since: date | None, run_id: str) -> None:
    """Apply the job, unless pods of an earlier job or of Gold remain."""
    if job.pods:
        _refuse_lost_nodes(job)
        _log.info("%s pods of an earlier job are still terminating", len(job.pods))
    elif _stop_gold(cluster, observe(cluster, STREAM)):
        apply_manifest(cluster, _with_arguments(job, since, run_id))
        _log.info("the SparkApplication %s is applied", JOB)


def _with_arguments(job: ObservedState, since: date | None, run_id: str) -> ObservedState:
    """Return `job` with the first day and the run of the DAG in its desired manifest."""
    desired = job.desired
    annotations = {**(get(desired, "metadata", "annotations") or {}), _RUN: run_id}
    arguments = [*desired["spec"]["arguments"], *(["--since", since.isoformat()] if since else [])]
    metadata = {**desired["metadata"], "annotations": annotations}
    spec = {**desired["spec"], "arguments": arguments}
    return replace(job, desired={**desired, "metadata": metadata, "spec": spec})


def _poll_job(cluster: Cluster, job: ObservedState, run_id: str) -> bool:
    """Return whether the job has finished for this run; delete a failed job, and a job that another run finished."""
    _refuse_lost_nodes(job)
    if job.state == "UNKNOWN":
        raise AirflowFailException(
            f"the state of the driver of {JOB} is unknown, and it may still write: check its pod and node; "
            f"{last_error(job)}"
        )
    if job.state not in _ENDED:
        line = cluster.log_tail(job.driver, 1).strip()
        _log.info("%s", line or (pods.pending_reason(job.driver) if job.driver else "the job has no driver yet"))
        return False
    lines = cluster.log_tail(job.driver, _LOG_LINES)
    _log.info("the last lines of the driver's log:\n%s", lines)
    if job.state == "FAILED":
        _delete(cluster, job)
        raise AirflowException(f"the rescore has failed; {last_error(job)}\n{lines}")
    if get(job.application, "metadata", "annotations", _RUN) != run_id:
        _log.info("an earlier run finished this job: scoring again with the model that is in production now")
        _delete(cluster, job)
        return False
    return True


def _delete(cluster: Cluster, job: ObservedState) -> None:
    try:
        cluster.delete(job.application)
    except ConflictError as conflict:
        # The operator has just written its status; the next call deletes the job.
        _log.info("%s", conflict)


def _refuse_without_hold(gold: ObservedState) -> None:
    if not gold.hold or gold.hold.owner != OWNER:
        raise AirflowFailException(
            f"{STREAM} is {gold.hold or 'not held'}, and a rescore may run only while {OWNER} holds it: trigger "
            f"rescore_gold again once {STREAM} is not held"
        )


def _delete_without_hold(cluster: Cluster, job: ObservedState) -> None:
    """Delete the job and raise if the rescore no longer holds Gold, which may then start at any moment."""
    try:
        _refuse_without_hold(observe(cluster, STREAM))
    except AirflowFailException:
        if job.application is not None:
            _delete(cluster, job)
        raise


def _refuse_lost_nodes(observed: ObservedState) -> None:
    if lost := [reason for pod in observed.pods if (reason := pods.why_node_lost(pod, observed.now))]:
        raise AirflowFailException(
            f"{'; '.join(lost)}; the pod may still write and is not ended by force: check the node, and delete the pod "
            "if the node is gone for good"
        )
