"""The state of each stream for a person: what Airflow has reported, and what the lake holds. Read without Spark."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from spark_apps import storage
from spark_apps.errors import first_line
from spark_apps.lake.failures import Failure, read_failures
from spark_apps.lake.status import LakeStatus, LastBatch
from spark_apps.lake.status_view import ago
from spark_apps.monitoring.stream_reports import StreamReport
from spark_apps.printable import printable
from spark_apps.settings import STREAMS
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, GOLD_TRENDS, SILVER_TWEETS

RUNNING, FAILED, UNKNOWN, NO_ERROR = "running", "failed", "unknown", "no error"
# The table whose commits show the progress of a stream; what waits for the stream, and the unit of it.
_PROGRESS = {
    "bronze": (BRONZE_TWEETS, "", ""),
    "silver": (SILVER_TWEETS, "silver", "documents"),
    "gold": (GOLD_SENTIMENT, "gold", "tweets"),
    "gold-aggregates": (GOLD_TRENDS, "aggregates", "tweets"),
}


@dataclass(frozen=True)
class StreamState:
    """The state of one stream.

    Attributes:
        stream: name of the stream.
        state: "running", "held", "needs action" or "given up" as Airflow has reported it; "unknown" if the report is
            outdated. Without Airflow "failed" if the stream has not finished a batch since its last failure, otherwise
            "no error".
        waiting: what waits for the stream, such as "5 documents"; empty for Bronze, whose input is not counted.
        last_batch: the last batch that wrote rows.
        failure: the last failure that the lake holds.
        unreadable: why the last failure is not readable; empty if it is.
        has_recovered: whether the stream has finished a batch since that failure.
        report: the report of Airflow on the layer of the stream; None without one.
        remedy: what a person should do now; empty if there is nothing to do.
        link: the section of the runbook about it; empty if there is nothing to do.
    """

    stream: str
    state: str
    waiting: str
    last_batch: LastBatch | None
    failure: Failure | None
    unreadable: str
    has_recovered: bool
    report: StreamReport | None
    remedy: str
    link: str

    @property
    def is_well(self) -> bool:
        """Whether nobody has to look at the stream."""
        return self.state in {RUNNING, NO_ERROR}

    def progress(self, now: datetime) -> str:
        """Return the last batch that wrote rows, and its age."""
        if self.last_batch is None:
            return "no batch yet"
        rows = self.last_batch.counts.get("rows", 0)
        return f"batch {self.last_batch.batch}, {ago(self.last_batch.at, now)}, {rows:,} rows"

    def details(self) -> dict[str, str]:
        """Return what a person needs to know about the stream, by title, without its progress."""
        lines = {}
        if self.report and not (self.is_well and not self.remedy):
            if self.report.hold:
                lines["Hold"] = str(self.report.hold)
            if not (self.report.hold and self.report.reason.startswith("held by")):
                lines["Airflow"] = self.report.reason
            if self.report.actions:
                lines["Done"] = "; ".join(self.report.actions)
        if self.failure:
            after = "; it has finished batches since" if self.has_recovered else ""
            lines["Last error"] = f"{self.failure}{after}"
        elif self.unreadable:
            lines["Last error"] = self.unreadable
        elif self.report and self.report.last_error and not self.is_well:
            lines["Last error"] = self.report.last_error
        if self.remedy:
            lines["Now"] = self.remedy
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the state as a dict, with the keys of `streams --json`."""
        fields = asdict(self)
        if self.report:
            fields["report"]["state"] = self.report.state.value
        return fields


def stream_states(
    status: LakeStatus, reports: Mapping[str, StreamReport], runbook: str, now: datetime
) -> list[StreamState]:
    """Return the state of each stream, along the path of a tweet.

    Args:
        status: status of the tables.
        reports: the reports of Airflow by layer; empty without Airflow.
        runbook: path or URL of docs/operations.md.
        now: the current time.
    """
    failures, unreadable = _read_failures(status.lake)
    return [
        _stream_state(status, stream, reports.get(layer), failures.get(stream), unreadable, runbook, now)
        for layer, streams in STREAMS.items()
        for stream in streams
    ]


def _read_failures(lake: str) -> tuple[dict[str, Failure], str]:
    """Return the last failures, or why they are not readable: the rest of the states is worth showing."""
    try:
        return read_failures(lake, _PROGRESS), ""
    except Exception as error:
        if not storage.is_storage_error(error):
            raise
        return {}, f"not readable in the lake: {first_line(error)}"


def _stream_state(
    status: LakeStatus,
    stream: str,
    report: StreamReport | None,
    failure: Failure | None,
    unreadable: str,
    runbook: str,
    now: datetime,
) -> StreamState:
    table, lag, unit = _PROGRESS[stream]
    last = status.tables[table.name].last_batch
    has_recovered = bool(failure and last and last.at > failure.time)
    state, remedy, link = _judge(report, bool(failure) and not has_recovered, runbook, now)
    # The tables are read one after another: a reader may seem to be ahead of its source.
    waiting = f"{max(0, status.lag[lag]):,} {unit}" if lag else ""
    return StreamState(stream, state, waiting, last, failure, unreadable, has_recovered, report, remedy, link)


def _judge(report: StreamReport | None, has_failed: bool, runbook: str, now: datetime) -> tuple[str, str, str]:
    """Return the state, the remedy and its link."""
    if report is None:
        if not has_failed:
            return NO_ERROR, "", ""
        return FAILED, "fix the cause of the last error, then start the stream again", f"{runbook}#stream-failed"
    if report.is_outdated(now):
        remedy = f"Airflow has not looked since {report.at:%Y-%m-%d %H:%M} UTC: check Airflow"
        return UNKNOWN, remedy, f"{runbook}#tweetsunwatched"
    return report.state.value, report.remedy, report.link


def render(states: Sequence[StreamState], now: datetime) -> Group:
    """Return the states for a terminal: a line for each stream, followed by what a person needs to know about it."""
    table = RichTable(header_style="dim", box=None, padding=(0, 2, 0, 0))
    for column in ("stream", "state", "waiting", "last batch"):
        table.add_column(column, no_wrap=True)
    for state in states:
        colour = "green" if state.is_well else "bold red"
        table.add_row(state.stream, Text(state.state, colour), state.waiting, state.progress(now))
    details = [
        Text(printable(f"{names}: {title}: {text}"))
        for names, state in explained(states).items()
        for title, text in (state.details() | ({"See": state.link} if state.link else {})).items()
    ]
    return Group(table, *details)


def explained(states: Sequence[StreamState]) -> dict[str, StreamState]:
    """Return the states about which there is more to say, by the names of the streams that share it.

    A hold stops all streams of a layer.
    """
    shared: dict[str, StreamState] = {}
    for state in states:
        details = (state.state, state.details(), state.link)
        same = [names for names, other in shared.items() if (other.state, other.details(), other.link) == details]
        if state.details():
            shared[", ".join([*same, state.stream])] = shared.pop(same[0]) if same else state
    return shared
