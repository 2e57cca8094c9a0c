"""Watch a stream between the actions: observe it every few seconds, and decide when a worker process is needed.

A pass costs a few milliseconds. It executes nothing; it only saves the reconcile state, as seldom as possible.
"""

import logging
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tweet_dags import settings
from tweet_dags.kubernetes import pods
from tweet_dags.kubernetes.client import Cluster
from tweet_dags.reconcile.actions import Action, ActionKind, Status
from tweet_dags.reconcile.annotations import ReconcileState
from tweet_dags.reconcile.config_map import save_reconcile_state, save_report
from tweet_dags.reconcile.observed import ObservedState, observe
from tweet_dags.reconcile.plan import plan
from tweet_dags.reconcile.report import Report

_log = logging.getLogger(__name__)
# The length of a run: the grid of Airflow has a column for each, and all tasks of a run end together.
RUN_LENGTH = timedelta(minutes=5)
# The driver is healed by the task `heal`, everything else by `apply` too.
HEALING = {ActionKind.RESTART_DRIVER, ActionKind.GIVE_UP}
# A state that changes back and forth is saved at most this often. After a crash of the triggerer, a condition may seem
# shorter by this time.
_SAVE_SECONDS = 15.0
# How long the API server may be unreachable before the task fails.
_UNREADABLE_LIMIT = timedelta(minutes=2)
# Number of tries that may fail at the end of a run: a restart of Airflow explains only the first one.
_QUIET_TRIES = 2


@dataclass(frozen=True)
class Pass:
    """What one pass has seen.

    Attributes:
        at: When.
        action: What a worker has to execute; None if the cluster could not be read.
        status: How the stream is.
        status_change: When the status of any stream last changed, or None.
        orphans: Whether finished executors wait for their deletion.
        problem: Why the cluster could not be read, or ''.
        problem_since: Since when it cannot be read.
    """

    at: datetime
    action: Action | None
    status: Status = Status.RUNNING
    status_change: datetime | None = None
    orphans: bool = False
    problem: str = ""
    problem_since: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """How the wait for a stream ends.

    Attributes:
        reason: Why.
        wake: Whether a worker process must continue.
        last: Whether the task ends with it.
        status: The status that the task ends with.
        problem: Why the task fails without another observation, or ''.
    """

    reason: str
    wake: bool = False
    last: bool = True
    status: Status = Status.RUNNING
    problem: str = ""


class StreamWatch:
    """Observes one stream, and remembers what is not saved yet. Its methods block: call them in a thread."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self._cluster: Cluster | None = None
        self._unsaved: ReconcileState | None = None
        self._saved_at = -_SAVE_SECONDS
        self._unreadable_since: datetime | None = None
        self._headline = ""

    def observe(self) -> Pass:
        """Observe the stream and plan, without executing; never raise."""
        try:
            if self._cluster is None:
                # Connecting reads the token of the service account, which Kubernetes renews; a watch lasts minutes.
                self._cluster = Cluster.connect(settings.namespace())
            seen = self._observe(self._cluster)
        except Exception as error:  # The cluster may be down in many ways. The next pass tries again.
            now = datetime.now(UTC)
            self._unreadable_since = self._unreadable_since or now
            reason = f"the stream cannot be observed: {_first_line(error)}"
            self._log_change(reason)
            return Pass(now, None, problem=reason, problem_since=self._unreadable_since)
        self._unreadable_since = None
        return seen

    def save(self) -> None:
        """Save what is not saved yet; without success, the next watch finds it again."""
        if self._unsaved and self._cluster:
            try:
                self._save(self._cluster, self._unsaved)
            except Exception as error:
                _log.warning("%s: the reconcile state was not saved: %s", self.stream, _first_line(error))

    def _observe(self, cluster: Cluster) -> Pass:
        observed = observe(cluster, self.stream)
        stored = observed.reconcile_state
        if self._unsaved:
            observed = replace(observed, reconcile_state=self._unsaved)
        action, state = plan(observed, settings.healing_limits())
        self._report(cluster, Report.of(observed, action, state, settings.runbook()), action)
        if action.kind is ActionKind.NONE:
            self._unsaved = state if state != stored else None
            is_old = time.monotonic() - self._saved_at >= _SAVE_SECONDS
            if self._unsaved and (is_old or state.status != stored.status):
                self._save(cluster, state)
        # With an action, the state is the state after the action: the worker saves it.
        changes = [at for at in (observed.last_status_change, state.status_since) if at]
        return Pass(observed.now, action, Status(state.status), max(changes, default=None), _has_orphans(observed))

    def _save(self, cluster: Cluster, state: ReconcileState) -> None:
        save_reconcile_state(cluster, self.stream, state)
        self._unsaved, self._saved_at = None, time.monotonic()

    def _report(self, cluster: Cluster, report: Report, action: Action) -> None:
        """Log and save a report that differs from the one before: at the start of a watch, and when something changes.

        After an action, the worker reports.
        """
        if not self._log_change(f"{action.reason} ({action.kind.value})"):
            return
        if not report.is_quiet:
            _log.warning("%s", report)
        if action.kind is ActionKind.NONE:
            save_report(cluster, report)

    def _log_change(self, reason: str) -> bool:
        """Log `reason` if it differs from the one before; tell whether it does."""
        # Numbers of batches and seconds change with each pass.
        headline = re.sub(r"\d+", "", reason)
        if changed := headline != self._headline:
            _log.info("%s: %s", self.stream, reason)
        self._headline = headline
        return changed


def decide(seen: Pass, started: datetime, settle: bool, tries: int) -> Decision | None:
    """Decide whether the wait ends; None to go on.

    All tasks of a run end together, after `RUN_LENGTH` or when the status of a stream changes: a task that has ended
    watches nothing until the next run.

    Args:
        seen: What the last pass has seen.
        started: When the run started.
        settle: Whether to end as soon as the application is in line with the chart and its hold, as `apply` does.
        tries: The number of the try of the task.
    """
    is_over = seen.at >= started + RUN_LENGTH
    if seen.action is None:
        if not is_over:
            return None
        lasts = seen.problem_since is not None and seen.at - seen.problem_since > _UNREADABLE_LIMIT
        return Decision(seen.problem, wake=lasts, problem=seen.problem if lasts else "")
    reason = seen.action.reason
    if seen.action.kind is not ActionKind.NONE and not (settle and seen.action.kind in HEALING):
        if is_over and tries > _QUIET_TRIES:
            failed = f"{reason}: {tries - 1} tries have failed; their logs say why"
            return Decision(reason, wake=True, problem=failed)
        return Decision(reason, wake=True, last=False)
    changed = seen.status_change is not None and seen.status_change > started
    if settle or changed or is_over:
        # Only a worker process can fail a task without further tries.
        return Decision(reason, wake=seen.status is Status.ALERT or (is_over and seen.orphans), status=seen.status)
    return None


def _has_orphans(observed: ObservedState) -> bool:
    return any(pods.is_orphaned(executor, observed.driver, observed.now) for executor in observed.finished_executors)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
