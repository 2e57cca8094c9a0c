"""What stands about a stream on the chart's map: what a look leaves for the next, and what people have said.

It stands there, and not on the application, since it must outlive it; and not in Airflow, since Airflow may be lost.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# The driver's error may be a page; an annotation is no place for it.
_LONGEST_ERROR = 600


@dataclass(frozen=True)
class Memory:
    """What a look leaves for the next.

    `submission` is the last one seen, `asked` the application and the generation of its spec that it ran: another
    submission of the same is a failure. `condition` is one that may pass by itself, `since` when it was first seen.
    `error` is the last that a driver has told, whose pod is gone a second after it has failed.
    """

    submission: str = ""
    asked: str = ""
    failures: tuple[datetime, ...] = ()
    condition: str = ""
    since: datetime | None = None
    error: str = ""

    def to_text(self) -> str:
        fields = {
            "submission": self.submission,
            "asked": self.asked,
            "failures": [at.isoformat() for at in self.failures],
            "condition": self.condition,
            "since": self.since.isoformat() if self.since else None,
            "error": self.error[:_LONGEST_ERROR],
        }
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def of(cls, text: str | None) -> "Memory":
        """Read a note; what somebody has written over is forgotten: it knew the last hour at most."""
        fields = _fields(text)
        try:
            return cls(
                submission=str(fields.get("submission") or ""),
                asked=str(fields.get("asked") or ""),
                failures=tuple(datetime.fromisoformat(at) for at in fields.get("failures") or []),
                condition=str(fields.get("condition") or ""),
                since=datetime.fromisoformat(fields["since"]) if fields.get("since") else None,
                error=str(fields.get("error") or ""),
            )
        except (ValueError, TypeError):
            return cls()


@dataclass(frozen=True)
class Hold:
    """Who has stopped a stream, why, and since when; nobody else starts it."""

    owner: str
    reason: str
    since: str = ""

    def __str__(self) -> str:
        return f"held by {self.owner}{self.since and f' since {self.since}'}: {self.reason}"

    def to_text(self) -> str:
        return json.dumps({"owner": self.owner, "reason": self.reason, "since": self.since}, ensure_ascii=False)

    @classmethod
    def of(cls, text: str | None) -> "Hold | None":
        """Read a note; one that cannot be read is a hold all the same."""
        if not text:
            return None
        fields = _fields(text)
        if not fields.get("owner"):
            return cls("somebody", text)
        return cls(str(fields["owner"]), str(fields.get("reason") or ""), str(fields.get("since") or ""))


@dataclass(frozen=True)
class Pardon:
    """What a person has asked for is no failure: neither the end of `submission`, nor what failed until `at`."""

    submission: str = ""
    at: datetime | None = None

    def to_text(self) -> str:
        return json.dumps({"submission": self.submission, "at": self.at.isoformat() if self.at else None})

    @classmethod
    def of(cls, text: str | None) -> "Pardon":
        fields = _fields(text)
        try:
            at = datetime.fromisoformat(fields["at"]) if fields.get("at") else None
        except (ValueError, TypeError):
            at = None
        return cls(str(fields.get("submission") or ""), at)

    def covers(self, hold: Hold) -> bool:
        """Tell whether the stream was started after `hold`, of which a copy was left."""
        try:
            return self.at is not None and datetime.fromisoformat(hold.since) <= self.at
        except (ValueError, TypeError):
            return False


def standing(note: str | None, copy: str | None, pardon: Pardon) -> Hold | None:
    """Return the hold of the map, or else that of the application, unless the stream was started since."""
    if held := Hold.of(note):
        return held
    held = Hold.of(copy)
    return None if held is None or pardon.covers(held) else held


def _fields(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
