"""What the reconciler and people store about a stream: reconcile state, holds and expected restarts, as JSON.

They are annotations of the chart's ConfigMap, so they survive the deletion of the SparkApplication and the loss of
Airflow's database. Their keys are an interface: an upgrade must not lose a hold. A renamed key needs a fallback that
reads the old one.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

CONFIG_MAP = "stream-applications"
# Reports for people. Other pods mount it: a volume has the data of a ConfigMap, but not its annotations.
STATUS_CONFIG_MAP = "stream-status"
# Annotations of the ConfigMap; the name of the stream follows.
STATE_KEY = "tweet-sentiment/memory-"
EXPECTED_RESTART_KEY = "tweet-sentiment/pardon-"
HOLD_KEY = "tweet-sentiment/hold-"
# A copy of the hold, as an annotation of the application, where people see it.
HOLD_COPY_KEY = "tweet-sentiment/hold"
# A driver's error may fill a page, and annotations are small.
_MAX_ERROR_CHARACTERS = 600


@dataclass(frozen=True)
class ReconcileState:
    """What one pass of the reconciler leaves for the next.

    Attributes:
        submission: The operator's id of the last submission observed.
        generation: The uid of the application and the generation of its spec that were last submitted, as
            `uid/generation`. A second submission of the same generation is a failure.
        failures: When the failures of the last hour were observed.
        condition: The condition that the last pass saw, and the uid of the driver or application that it applies to.
        since: When that condition was first observed.
        last_error: The last error that a driver reported. The pod of a failed driver is gone within a second.
        last_exit: How the last driver ended that ended with an error, by its pod.
        actions: The last actions, each with its time and its reason.
        status: The `Status` that the last pass saw.
        status_since: When the status changed; None if it never did.
    """

    submission: str = ""
    generation: str = ""
    failures: tuple[datetime, ...] = ()
    condition: str = ""
    since: datetime | None = None
    last_error: str = ""
    last_exit: str = ""
    actions: tuple[str, ...] = ()
    status: str = ""
    status_since: datetime | None = None

    def to_json(self) -> str:
        """Return the text to store; a long error is cut off."""
        fields = {
            "submission": self.submission,
            "asked": self.generation,
            "failures": [at.isoformat() for at in self.failures],
            "condition": self.condition,
            "since": self.since.isoformat() if self.since else None,
            "error": self.last_error[:_MAX_ERROR_CHARACTERS],
            "exit": self.last_exit[:_MAX_ERROR_CHARACTERS],
            "actions": self.actions,
            "status": self.status,
            "status_since": self.status_since.isoformat() if self.status_since else None,
        }
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | None) -> "ReconcileState":
        """Parse stored text. Unreadable text counts as empty, which loses at most an hour of history."""
        fields = _fields(text)
        try:
            return cls(
                submission=str(fields.get("submission") or ""),
                generation=str(fields.get("asked") or ""),
                failures=tuple(datetime.fromisoformat(at) for at in fields.get("failures") or []),
                condition=str(fields.get("condition") or ""),
                since=datetime.fromisoformat(fields["since"]) if fields.get("since") else None,
                last_error=str(fields.get("error") or ""),
                last_exit=str(fields.get("exit") or ""),
                actions=tuple(map(str, fields.get("actions") or [])),
                status=str(fields.get("status") or ""),
                status_since=datetime.fromisoformat(fields["status_since"]) if fields.get("status_since") else None,
            )
        except (ValueError, TypeError):
            return cls()


@dataclass(frozen=True)
class Hold:
    """Who has stopped a stream, why, and since when. Only its owner or a person may start the stream again.

    `acknowledged` says who has acknowledged the hold and why, so that it raises no alert; '' if nobody has.
    """

    owner: str
    reason: str
    since: str = ""
    acknowledged: str = ""

    def __str__(self) -> str:
        acknowledged = f"; acknowledged: {self.acknowledged}" if self.acknowledged else ""
        return f"held by {self.owner}{self.since and f' since {self.since}'}: {self.reason}{acknowledged}"

    def age(self, now: datetime) -> timedelta:
        """Return how long the hold has lasted; zero if its time is not readable."""
        try:
            return now - datetime.fromisoformat(self.since)
        except (ValueError, TypeError):
            return timedelta()

    def to_json(self) -> str:
        """Return the text to store."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | None) -> "Hold | None":
        """Parse stored text. Text that is not valid JSON is a hold too, with the text as its reason."""
        if not text:
            return None
        fields = _fields(text)
        if not fields.get("owner"):
            return cls("an unknown owner", text)
        return cls(*(str(fields.get(name) or "") for name in cls.__match_args__))


@dataclass(frozen=True)
class ExpectedRestart:
    """A restart that a person requested, which does not count as a failure.

    Attributes:
        submission: The operator's id of the submission that the restart ends.
        at: When the person requested it; earlier failures no longer count.
    """

    submission: str = ""
    at: datetime | None = None

    def to_json(self) -> str:
        """Return the text to store."""
        return json.dumps({"submission": self.submission, "at": self.at.isoformat() if self.at else None})

    @classmethod
    def from_json(cls, text: str | None) -> "ExpectedRestart":
        """Parse stored text; an unreadable time counts as missing."""
        fields = _fields(text)
        try:
            at = datetime.fromisoformat(fields["at"]) if fields.get("at") else None
        except (ValueError, TypeError):
            at = None
        return cls(str(fields.get("submission") or ""), at)

    def supersedes(self, hold: Hold) -> bool:
        """Tell whether a person has started the stream since `hold` began, so that `hold` is a stale copy."""
        try:
            return self.at is not None and datetime.fromisoformat(hold.since) <= self.at
        except (ValueError, TypeError):
            return False


def effective_hold(original: str | None, copy: str | None, restart: ExpectedRestart) -> Hold | None:
    """Return the hold on the ConfigMap, or else the copy on the application, unless `restart` supersedes the copy."""
    if hold := Hold.from_json(original):
        return hold
    hold = Hold.from_json(copy)
    return None if hold is None or restart.supersedes(hold) else hold


def _fields(text: str | None) -> dict[str, Any]:
    try:
        fields = json.loads(text or "{}")
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
