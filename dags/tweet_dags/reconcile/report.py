"""The report on a stream for a person: in the log of the task, and in the ConfigMap that pods mount.

`tweet-sentiment streams`, the dashboard and the metrics of the drivers read the ConfigMap:
`spark_apps/monitoring/stream_reports.py` parses it.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from tweet_dags.reconcile.actions import Action, Remedy, Status
from tweet_dags.reconcile.annotations import Hold, ReconcileState
from tweet_dags.reconcile.failures import NO_ERROR, last_error
from tweet_dags.reconcile.observed import ObservedState
from tweet_dags.reconcile.spec_drift import FIELD_MANAGER

_GIVEN_UP = "given up"
_STATES = {Status.RUNNING: "running", Status.HELD: "held", Status.ALERT: "needs action"}


@dataclass(frozen=True)
class Report:
    """How a stream is, and what a person should do.

    Attributes:
        stream: The name of the stream.
        at: When it was observed.
        state: `running`, `held`, `needs action` or `given up`.
        reason: What was observed, such as the scheduler's reason for a pod without a node.
        hold: Who has stopped the stream, or None.
        last_error: The last error of the driver, of its pod and of the operator.
        failures: How often the stream has failed within the last hour.
        actions: What the reconciler did last.
        remedy: What to do.
        runbook: The path or URL of docs/operations.md.
    """

    stream: str
    at: datetime
    state: str
    reason: str
    hold: Hold | None
    last_error: str
    failures: int
    actions: tuple[str, ...]
    remedy: Remedy
    runbook: str

    @classmethod
    def of(cls, observed: ObservedState, action: Action, state: ReconcileState, runbook: str) -> "Report":
        """Report on an observation, the action planned for it, and the reconcile state after that action."""
        given_up = action.remedy is Remedy.GIVEN_UP or (observed.hold and observed.hold.owner == FIELD_MANAGER)
        status = Status(state.status)
        return cls(
            stream=observed.name,
            at=observed.now,
            state=_GIVEN_UP if given_up and status is Status.ALERT else _STATES[status],
            reason=action.reason,
            hold=observed.hold,
            last_error=last_error(observed, state),
            failures=len(state.failures),
            actions=state.actions,
            remedy=action.remedy,
            runbook=runbook,
        )

    @property
    def link(self) -> str:
        """The section of the runbook about the state of the stream, or ''."""
        return f"{self.runbook}#{self.remedy.anchor}" if self.remedy.anchor else ""

    @property
    def is_quiet(self) -> bool:
        """Whether the stream runs, and nobody has to do anything."""
        return self.state == _STATES[Status.RUNNING] and self.remedy is Remedy.NONE and not self.failures

    def to_json(self) -> str:
        """Return the text for the ConfigMap."""
        hold = self.hold and json.loads(self.hold.to_json())
        fields = {
            "stream": self.stream,
            "at": self.at.isoformat(timespec="seconds"),
            "state": self.state,
            "reason": self.reason,
            "hold": hold,
            "last_error": self.last_error if self.last_error != NO_ERROR else "",
            "failures": self.failures,
            "actions": self.actions,
            "remedy": self.remedy.advice,
            "link": self.link,
        }
        return json.dumps(fields, ensure_ascii=False)

    def __str__(self) -> str:
        lines = [f"{self.stream}: {self.state.upper()}", f"observed: {self.reason}"]
        if self.hold and str(self.hold) not in self.reason:
            lines.append(f"hold: {self.hold}")
        lines.append(f"last error: {self.last_error}")
        if self.failures:
            lines.append(f"failures within an hour: {self.failures}")
        lines += [f"done: {action}" for action in self.actions]
        if self.remedy.advice:
            lines.append(f"to do: {self.remedy.advice}; see {self.link}")
        return "\n    ".join(lines)
