"""The task of `operate_stream`: a person stops, starts or restarts one stream, or acknowledges its hold."""

import logging

from airflow.sdk.exceptions import AirflowFailException

from tweet_dags import settings
from tweet_dags.kubernetes import pods
from tweet_dags.kubernetes.client import Cluster
from tweet_dags.reconcile.config_map import acknowledge_hold, expect_restart, hold_stream, release_hold
from tweet_dags.reconcile.execute import reconcile_hold, restart_driver
from tweet_dags.reconcile.observed import ObservedState, observe
from tweet_dags.reconcile.spec_drift import FIELD_MANAGER, OPERATE_STREAM
from tweet_dags.table_jobs import steps
from tweet_dags.table_jobs.definitions import jobs_of

_log = logging.getLogger(__name__)


def operate(stream: str, action: str, reason: str, user: str | None) -> str:
    """Stop, start or restart `stream`, or acknowledge its hold; return what was done.

    Stop and start change the hold on the chart's ConfigMap, which outlives the application. Then they suspend or resume
    the application. While the operator is submitting it, they leave this to `keep_streams_running`.

    Args:
        stream: The name of the stream.
        action: `stop`, `start`, `restart` or `acknowledge`.
        reason: Why; recorded in the hold and in the log.
        user: Who triggered the DAG, if known; recorded with the reason.

    Raises:
        AirflowFailException: if another owner holds the stream, if a stream to restart is held or has no driver, if the
            node of its driver is lost, or if nobody holds the stream whose hold is acknowledged.
        ConflictError: if the stream has changed since it was read; Airflow retries the task.
    """
    cluster = Cluster.connect(settings.namespace())
    observed = observe(cluster, stream)
    if observed.hold and observed.hold.owner not in {OPERATE_STREAM, FIELD_MANAGER} and action != "acknowledge":
        _refuse_foreign_hold(cluster, observed, action)
    full_reason = f"{reason} ({user})" if user else reason
    match action:
        case "stop":
            hold_stream(cluster, observed, OPERATE_STREAM, full_reason)
            result = reconcile_hold(cluster, stream)
        case "start":
            release_hold(cluster, observed)
            result = reconcile_hold(cluster, stream)
        case "acknowledge":
            result = _acknowledge(cluster, observed, full_reason)
        case _:
            result = _restart(cluster, observed)
    message = f"{stream}: {action}, {full_reason}: {result}"
    _log.info(message)
    return message


def _refuse_foreign_hold(cluster: Cluster, observed: ObservedState, action: str) -> None:
    """Allow only `start`, and only on a stream held by an abandoned job once none of its pods remain."""
    jobs = jobs_of(observed.name)
    if not observed.hold or observed.hold.owner not in {job.owner for job in jobs} or action != "start":
        raise AirflowFailException(f"{observed.name} is {observed.hold}: leave it to the owner of the hold")
    for job in jobs:
        if remaining := steps.remaining_objects(cluster, job):
            raise AirflowFailException(
                f"{observed.name} is {observed.hold}, and {remaining}: trigger {job.dag} to continue it. To give it "
                f"up, delete the SparkApplication {job.application}, and start {observed.name} once its pods are gone"
            )


def _acknowledge(cluster: Cluster, observed: ObservedState, reason: str) -> str:
    if not observed.hold:
        raise AirflowFailException(f"{observed.name} is not held: there is nothing to acknowledge")
    acknowledge_hold(cluster, observed, observed.hold, reason)
    return f"{observed.hold}; it raises no alert until it is released"


def _restart(cluster: Cluster, observed: ObservedState) -> str:
    if observed.hold:
        raise AirflowFailException(f"{observed.name} is {observed.hold}: trigger the action start instead")
    if observed.driver is None:
        raise AirflowFailException(
            f"{observed.name} has no driver to restart: the log of keep_streams_running says why"
        )
    if lost := pods.why_node_lost(observed.driver, observed.now):
        raise AirflowFailException(
            f"{lost}; the driver may still be writing and is not ended by force: check the node, and delete the pod if "
            "the node is gone for good"
        )
    expect_restart(cluster, observed)
    restart_driver(cluster, observed)
    return "the driver is terminating; the operator starts it again from its checkpoint"
