"""A run of a job on the tables of a stopped stream against the fake API server; the test plays the operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.dags.fake_api import CORE, GROUP, FakeApi, set_state, stored
from tests.dags.observations import application, driver
from tweet_dags.table_jobs.definitions import TableJob

PROGRESS_LINE = '{"event": "rescored", "part": 1, "parts": 3}'


@dataclass(frozen=True)
class JobRun:
    """The paths of a job and of its stream on the API server, and the steps of the job."""

    api: FakeApi
    job: TableJob

    @property
    def stream(self) -> str:
        """The path of the stream's application."""
        return f"{GROUP}/sparkapplications/{self.job.stream}"

    @property
    def stream_pod(self) -> str:
        """The path of the stream's driver."""
        return f"{CORE}/pods/{self.job.stream}-driver"

    @property
    def application(self) -> str:
        """The path of the job's application."""
        return f"{GROUP}/sparkapplications/{self.job.application}"

    @property
    def pod(self) -> str:
        """The path of the job's driver."""
        return f"{CORE}/pods/{self.job.application}-driver"

    @property
    def hold(self) -> Any:
        """The hold on the stream, or None."""
        return stored(self.api, "hold", self.job.stream)

    def suspend(self, reason: str = "history", user: str | None = None) -> str:
        """Run the first step."""
        from tweet_dags.table_jobs import steps

        return steps.suspend_stream(self.job, reason, user)

    def stopped(self) -> bool:
        """Poll the second step."""
        from tweet_dags.table_jobs import steps

        return steps.stream_stopped(self.job)

    def finished(self, run_id: str = "run-1", arguments: Sequence[str] = ()) -> bool:
        """Poll the third step."""
        from tweet_dags.table_jobs import steps

        return steps.job_finished(self.job, arguments, run_id)

    def resumed(self) -> bool:
        """Poll the last step."""
        from tweet_dags.table_jobs import steps

        return steps.stream_resumed(self.job)

    def run_stream(self) -> None:
        """Create the running stream."""
        self.api.put(self.stream, application("RUNNING", name=self.job.stream))
        self.api.put(self.stream_pod, driver(name=self.job.stream))

    def put_driver(self, **status: Any) -> None:
        """Create the driver of the job, as the operator does on a submission."""
        self.api.put(self.pod, driver(uid=f"pod-{self.api.version}", name=self.job.application, **status))

    def stop_stream(self) -> None:
        """Run the job up to the point at which no pod of the stream remains."""
        self.suspend("one version for all", "ann")
        set_state(self.api, "SUSPENDED", self.stream)
        del self.api.objects[self.stream_pod]
        assert self.stopped() is True

    def start_job(self, run_id: str = "run-1") -> None:
        """Run the job up to the point at which its driver is running."""
        self.stop_stream()
        assert self.finished(run_id) is False
        self.put_driver()
        set_state(self.api, "RUNNING", self.application)
        self.api.logs[self.pod] = f"starting\n{PROGRESS_LINE}"

    def write_verbs(self, name: str = "") -> list[str]:
        """Return the verbs of the writes to an object, by default to the job's application."""
        return [verb for verb, written, _, _ in self.api.writes if written == (name or self.job.application)]
