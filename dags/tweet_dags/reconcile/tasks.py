"""What a worker process of `keep_streams_running` does: observe a stream, plan, and execute.

The trigger that has woken the process has done the same without executing: its event is only a hint, and the process
observes again. The reconcile state is saved only after the action is executed.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from tweet_dags import settings
from tweet_dags.kubernetes.client import Cluster
from tweet_dags.kubernetes.objects import get
from tweet_dags.kubernetes.writes import ConflictError, RejectedError
from tweet_dags.reconcile.actions import Action, ActionKind, Status
from tweet_dags.reconcile.config_map import save_reconcile_state, save_report
from tweet_dags.reconcile.execute import delete_orphaned_executors, execute
from tweet_dags.reconcile.observed import ObservedState, observe
from tweet_dags.reconcile.plan import plan
from tweet_dags.reconcile.report import Report

_log = logging.getLogger(__name__)
# A driver has 30 s to finish its batch.
_RECREATE_SECONDS, _POLL_SECONDS = 45.0, 2.0


@dataclass(frozen=True)
class Outcome:
    """How a stream is after its reconciliation, and what was done, or why nothing was done."""

    status: Status
    reason: str


def reconcile(stream: str, deadline: datetime | None = None) -> Outcome:
    """Bring a stream in line with the chart and its hold, and heal it.

    While an application is being recreated, wait up to 45 s for the end of its pods and apply the new one, which is
    faster than another process. Do not wait beyond `deadline`, the end of the run: the tasks of the other streams
    have ended by then, and the next run begins after this task.

    Raises:
        RejectedError: if the cluster rejects a write; Airflow retries the task.
        ConflictError: if something else keeps changing what the reconciler writes; Airflow retries the task.
    """
    began, reasons = time.monotonic(), []

    def is_over() -> bool:
        return time.monotonic() - began > _RECREATE_SECONDS or bool(deadline and datetime.now(UTC) >= deadline)

    while True:
        cluster = Cluster.connect(settings.namespace())
        observed = observe(cluster, stream)
        action, state = plan(observed, settings.healing_limits())
        _log.info("%s: %s (%s)", stream, action.reason, action.kind.value)
        try:
            execute(cluster, observed, action)
        except ConflictError as error:
            # Nothing was written: observe the change, and plan again.
            if is_over():
                raise
            _log.warning("%s", error)
            time.sleep(_POLL_SECONDS)
            continue
        reasons.append(action.reason)
        if state != observed.reconcile_state:
            save_reconcile_state(cluster, stream, state)
        if action.alert or not _is_being_recreated(observed, action) or is_over():
            break
        time.sleep(_POLL_SECONDS)
    report = Report.of(observed, action, state, settings.runbook())
    save_report(cluster, report)
    if not report.is_quiet:
        _log.warning("%s", report)
    _clean_up(cluster, observed)
    return Outcome(Status(state.status), "; then ".join(dict.fromkeys(reasons)))


def _is_being_recreated(observed: ObservedState, action: Action) -> bool:
    """Tell whether the next apply waits only for the deletion of the old application and its pods."""
    deleted = observed.application is None or get(observed.application, "metadata", "deletionTimestamp")
    return action.kind is ActionKind.RECREATE or bool(deleted and observed.pods and not observed.hold)


def _clean_up(cluster: Cluster, observed: ObservedState) -> None:
    try:
        delete_orphaned_executors(cluster, observed)
    except (ConflictError, RejectedError) as error:
        # Finished executors occupy no resources; the next run tries again.
        _log.warning("%s", error)
