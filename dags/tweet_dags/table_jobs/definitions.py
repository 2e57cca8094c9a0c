"""The jobs on the tables of a stopped stream, and the arguments that a person may pass to them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

REASON_PATTERN = "^[a-z_]+$"


@dataclass(frozen=True)
class TableJob:
    """A job on the tables of a stopped stream.

    Attributes:
        stream: The stream that is held and stopped while the job runs.
        application: The name of the SparkApplication in the chart.
        dag: The DAG that runs the job.
    """

    stream: str
    application: str
    dag: str

    @property
    def owner(self) -> str:
        """The owner of the hold on the stream. A hold has one owner, so a stream has one job at a time."""
        return self.dag.replace("_", "-")

    @property
    def noun(self) -> str:
        """What messages call the job."""
        return self.application.partition("-")[0]


RESCORE = TableJob("gold", "rescore", "rescore_gold")
REBUILDS = {table: TableJob(table, f"rebuild-{table}", "rebuild_table") for table in ("silver", "gold")}
REPLAY = TableJob("silver", "replay", "replay_quarantine")
JOBS = (RESCORE, *REBUILDS.values(), REPLAY)


def jobs_of(stream: str) -> list[TableJob]:
    """Return the jobs that write the tables of `stream`."""
    return [job for job in JOBS if job.stream == stream]


def since_arguments(since: str | None) -> list[str]:
    """Return the option for the first day, a date such as 2026-01-31; raise `ValueError` if it is not a date."""
    return ["--since", date.fromisoformat(since).isoformat()] if since else []


def reason_arguments(reasons: Sequence[str]) -> list[str]:
    """Return an option for each quarantine reason; raise `ValueError` without a reason, or if one is invalid."""
    if not reasons:
        raise ValueError("no quarantine reason is given: name at least one, such as not_a_tweet")
    for reason in reasons:
        if not re.fullmatch(REASON_PATTERN, reason):
            raise ValueError(f"{reason!r} is not a quarantine reason: write lower-case letters and underscores only")
    return [part for reason in reasons for part in ("--reason", reason)]
