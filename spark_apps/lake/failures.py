"""The last failure of each stream, in `checkpoints/<stream>.error.json` of the lake. Read without Spark."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from spark_apps import storage
from spark_apps.errors import cause_line


@dataclass(frozen=True)
class FailedBatch:
    """The micro-batch of a failure.

    Attributes:
        id: id of the batch.
        input: what the batch was reading, such as "document 2 of s3a://landing/a.json"; empty if unknown.
    """

    id: int
    input: str = ""


@dataclass(frozen=True)
class Failure:
    """An error that ended a stream, or that left out rows of a batch.

    Attributes:
        stream: name of the stream.
        time: when the stream failed, UTC.
        error: the whole error, which may have a stack trace.
        batch: the micro-batch; None if the stream failed outside of a batch, or the batch is unknown.
    """

    stream: str
    time: datetime
    error: str
    batch: FailedBatch | None = None

    @property
    def cause(self) -> str:
        """The line of the error that names the cause."""
        return cause_line(self.error)

    @property
    def place(self) -> str:
        """The stream, the batch and what it was reading."""
        if self.batch is None:
            return self.stream
        return f"{self.stream}, batch {self.batch.id}" + (f", {self.batch.input}" if self.batch.input else "")

    def __str__(self) -> str:
        return f"{self.time.isoformat(timespec='seconds')} {self.place}: {self.cause}"

    def to_json(self) -> str:
        """Return the content of the file."""
        batch = {"batch": self.batch.id, "input": self.batch.input} if self.batch else {}
        return json.dumps(asdict(self) | {"time": self.time.isoformat(), "batch": None} | batch, ensure_ascii=False)

    @classmethod
    def from_json(cls, content: str | bytes) -> "Failure | None":
        """Parse the content of the file; None if a kill or a full volume has truncated it."""
        try:
            fields = json.loads(content)
            time = datetime.fromisoformat(fields["time"])
            # An earlier version of the program wrote neither batch nor input.
            batch = fields.get("batch")
            return cls(
                str(fields["stream"]),
                time if time.tzinfo else time.replace(tzinfo=UTC),
                str(fields["error"]),
                None if batch is None else FailedBatch(int(batch), str(fields.get("input") or "")),
            )
        except (ValueError, KeyError, TypeError):
            return None


def failure_file(lake: str, stream: str) -> str:
    """Return the URI of the file with the last failure of a stream."""
    return f"{lake}/checkpoints/{stream}.error.json"


def read_failures(lake: str, streams: Iterable[str]) -> dict[str, Failure]:
    """Return the last failure of each stream that has failed.

    Raises:
        OSError: a file is not readable; S3 may raise botocore's `ClientError` instead.
    """
    contents = {stream: storage.read(failure_file(lake, stream)) for stream in streams}
    failures = {stream: Failure.from_json(content) for stream, content in contents.items() if content is not None}
    return {stream: failure for stream, failure in failures.items() if failure is not None}


def newest_failure(lake: str, streams: Iterable[str]) -> Failure | None:
    """Return the last failure of any of `streams`; None if none has failed; raise like `read_failures`."""
    return max(read_failures(lake, streams).values(), key=lambda failure: failure.time, default=None)
