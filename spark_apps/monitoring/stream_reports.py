"""What Airflow last wrote about each layer: its state, who holds it, what was tried, and what to do now.

`keep_streams_running` writes the reports into the ConfigMap `stream-status`, one JSON file per layer. Pods mount it as
a folder, so that they need no access to the Kubernetes API.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from spark_apps.settings import LAYERS

# Airflow writes each report at least once a run, that is every five minutes; the kubelet needs up to two more.
_MAX_AGE = timedelta(minutes=15)


class ReportedState(Enum):
    """How Airflow sees a layer."""

    RUNNING = "running"
    HELD = "held"
    NEEDS_ACTION = "needs action"
    GIVEN_UP = "given up"


@dataclass(frozen=True)
class Hold:
    """Who has stopped a layer, why and since when, and who has acknowledged it."""

    owner: str
    reason: str
    since: datetime | None
    acknowledged: str = ""

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%d %H:%M} UTC" if self.since else ""
        acknowledged = f"; acknowledged: {self.acknowledged}" if self.acknowledged else ""
        return f"held by {self.owner}{since}: {self.reason}{acknowledged}"


@dataclass(frozen=True)
class StreamReport:
    """The report of Airflow on one layer.

    Attributes:
        layer: name of the layer.
        at: when Airflow last looked.
        state: the state of the layer.
        reason: what Airflow has seen, for example the scheduler's reason for a pod without a node.
        hold: who has stopped the layer; None if nobody has.
        last_error: the last error that Airflow knows of the driver, of its pod and of the operator.
        actions: what Airflow did last, the newest action last.
        remedy: what a person should do now; empty if there is nothing to do.
        link: the section of the runbook about it.
    """

    layer: str
    at: datetime
    state: ReportedState
    reason: str
    hold: Hold | None
    last_error: str
    actions: tuple[str, ...]
    remedy: str
    link: str

    def is_outdated(self, now: datetime) -> bool:
        """Return whether Airflow has not looked for so long that the report may be wrong."""
        return now - self.at > _MAX_AGE

    @classmethod
    def from_json(cls, content: str) -> "StreamReport | None":
        """Parse a report; None if this version of the program does not understand it."""
        try:
            fields: dict[str, Any] = json.loads(content)
            return cls(
                str(fields["stream"]),
                _time(fields["at"]),
                ReportedState(fields["state"]),
                str(fields["reason"]),
                _hold(fields.get("hold")),
                str(fields["last_error"]),
                tuple(map(str, fields["actions"])),
                str(fields["remedy"]),
                str(fields["link"]),
            )
        except (ValueError, KeyError, TypeError):
            return None


def _hold(fields: dict[str, str] | None) -> Hold | None:
    if not fields:
        return None
    try:
        since = _time(fields["since"])
    except (ValueError, KeyError):
        since = None
    return Hold(fields["owner"], fields["reason"], since, fields.get("acknowledged", ""))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def read_reports(folder: Path | None) -> dict[str, StreamReport]:
    """Return the reports in a folder by layer; empty without a folder, or before Airflow has written a report."""
    reports = {}
    for layer in LAYERS if folder else ():
        try:
            report = StreamReport.from_json((Path(folder or "") / f"{layer}.json").read_text(encoding="utf-8"))
        except OSError:
            report = None
        if report is not None:
            reports[layer] = report
    return reports
