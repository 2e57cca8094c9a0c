"""When erasures were applied to the tables of a stream, and when the last file with the erased rows was removed.

The commits of a table are the authority on what is applied. This file in the checkpoint of the stream adds the times.
If the file is lost, the files of the table are cleaned once more before the erasures count as complete.
"""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import Self

from spark_apps import storage

_FILE = "erasures.json"
# Number of steps to keep of each table. An erasure with a dropped step counts as complete with the oldest kept step.
_MAX_STEPS = 500


@dataclass(frozen=True)
class Step:
    """One application of erasures to a table.

    Attributes:
        batch: last batch of silver/erasures that was applied.
        applied_at: time of the commit in Unix seconds, or later.
        removed_at: when the files with the erased rows were removed, in Unix seconds; None if they still exist.
    """

    batch: int
    applied_at: float
    removed_at: float | None = None


@dataclass(frozen=True)
class Progress:
    """The steps of each table of a stream, oldest first, and the Delta id of silver/erasures that they refer to."""

    erasures: str
    steps: Mapping[str, tuple[Step, ...]]

    @classmethod
    def read(cls, lake: str, stream: str, erasures: str) -> Self:
        """Return the progress of a stream; it is empty if the file is missing or belongs to another silver/erasures."""
        try:
            saved = json.loads(storage.read(f"{lake}/checkpoints/{stream}/{_FILE}") or b"null")
        except ValueError:  # truncated by a full volume
            saved = None
        if saved is None or saved["erasures"] != erasures:
            return cls(erasures, {})
        steps = {table: tuple(Step(*step) for step in steps) for table, steps in saved["steps"].items()}
        return cls(erasures, steps)

    def write(self, lake: str, stream: str) -> None:
        steps = {table: [astuple(step) for step in steps[-_MAX_STEPS:]] for table, steps in self.steps.items()}
        text = json.dumps({"erasures": self.erasures, "steps": steps})
        storage.put(f"{lake}/checkpoints/{stream}", _FILE, text.encode())

    def applied(self, table: str, batch: int, now: float) -> "Progress":
        """Return the progress after the application of all batches up to `batch` at `now` (Unix seconds)."""
        return replace(self, steps={**self.steps, table: (*self.steps.get(table, ()), Step(batch, now))})

    def waiting(self, table: str, applied_before: float) -> bool:
        """Return whether a table has files with rows that were erased before a time (Unix seconds)."""
        steps = self.steps.get(table, ())
        return any(step.removed_at is None and step.applied_at < applied_before for step in steps)

    def removed(self, table: str, applied_before: float, now: float) -> "Progress":
        """Return the progress after the removal, at `now`, of the files with rows that were erased before a time."""
        steps = tuple(
            replace(step, removed_at=now) if step.removed_at is None and step.applied_at < applied_before else step
            for step in self.steps.get(table, ())
        )
        return replace(self, steps={**self.steps, table: steps})

    def step_of(self, table: str, batch: int) -> Step | None:
        """Return the step that applied the erasures of a batch to a table; None if none has."""
        return next((step for step in self.steps.get(table, ()) if step.batch >= batch), None)
