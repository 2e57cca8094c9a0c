"""The tasks of `keep_streams_running`.

Each task observes one stream and plans an action. `heal` executes restarts of drivers and gives streams up, and `apply`
executes all other actions. A task saves the reconcile state only after it has executed the action.
"""

import logging
import time

from airflow.sdk.exceptions import AirflowFailException

from tweet_dags import settings
from tweet_dags.kubernetes.client import Cluster
from tweet_dags.kubernetes.objects import get
from tweet_dags.kubernetes.writes import ConflictError, RejectedError
from tweet_dags.reconcile.actions import Action, ActionKind
from tweet_dags.reconcile.annotations import ReconcileState
from tweet_dags.reconcile.config_map import save_reconcile_state
from tweet_dags.reconcile.execute import delete_orphaned_executors, execute
from tweet_dags.reconcile.observed import ObservedState, observe
from tweet_dags.reconcile.plan import plan

_log = logging.getLogger(__name__)
_HEALING = {ActionKind.RESTART_DRIVER, ActionKind.GIVE_UP}
# A driver has 30 s to finish its batch.
_RECREATE_SECONDS, _POLL_SECONDS = 45.0, 2.0


def apply(stream: str) -> str:
    """Bring the application in line with the chart and its hold; return what was done.

    While an application is being recreated, wait up to 45 s for the end of its pods and apply the new one: the next run
    may be a minute away.

    Raises:
        AirflowFailException: if a person must act; the message says why.
        ConflictError: if an object has changed since it was read; Airflow retries the task.
        RejectedError: if the cluster rejects a write; Airflow retries the task.
    """
    began, reasons = time.monotonic(), []
    while True:
        cluster, observed, action, state = _observe_and_plan(stream)
        reasons.append(action.reason)
        if action.kind in _HEALING:
            break
        execute(cluster, observed, action)
        _save(cluster, observed, state)
        if action.alert:
            raise AirflowFailException(f"{stream}: {action.reason}")
        if not _is_being_recreated(observed, action) or time.monotonic() - began > _RECREATE_SECONDS:
            break
        time.sleep(_POLL_SECONDS)
    try:
        delete_orphaned_executors(cluster, observed)
    except (ConflictError, RejectedError) as error:
        # Finished executors occupy no resources; the next run tries again.
        _log.warning("%s", error)
    return "; then ".join(dict.fromkeys(reasons))


def needs_healing(stream: str) -> bool:
    """Tell whether the driver has to be restarted, or the stream given up."""
    _, _, action, _ = _observe_and_plan(stream)
    return action.kind in _HEALING


def heal(stream: str) -> str:
    """Restart the driver of a stuck stream, or give up a stream that fails too often; return what was done.

    Raises:
        AirflowFailException: if the stream was given up.
        ConflictError: if an object has changed since it was read; Airflow retries the task.
    """
    cluster, observed, action, state = _observe_and_plan(stream)
    if action.kind in _HEALING:
        execute(cluster, observed, action)
        _save(cluster, observed, state)
        if action.alert:
            raise AirflowFailException(
                f"{stream}: {action.reason}\nFix the cause, then trigger operate_stream with the action start, "
                "or wait for the next attempt."
            )
    return action.reason


def _is_being_recreated(observed: ObservedState, action: Action) -> bool:
    """Tell whether the next apply waits only for the deletion of the old application and its pods."""
    deleted = observed.application is None or get(observed.application, "metadata", "deletionTimestamp")
    return action.kind is ActionKind.RECREATE or bool(deleted and observed.pods and not observed.hold)


def _observe_and_plan(stream: str) -> tuple[Cluster, ObservedState, Action, ReconcileState]:
    cluster = Cluster.connect(settings.namespace())
    observed = observe(cluster, stream)
    action, state = plan(observed, settings.healing_limits())
    _log.info("%s: %s (%s)", stream, action.reason, action.kind.value)
    if state.last_error and state.failures:
        _log.warning("%s: the last error of its driver: %s", stream, state.last_error)
    return cluster, observed, action, state


def _save(cluster: Cluster, observed: ObservedState, state: ReconcileState) -> None:
    if state != observed.reconcile_state:
        save_reconcile_state(cluster, observed.name, state)
