"""The progress of a demo's start. The demo writes it to a JSON file; its terminal and the dashboard show it."""

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

# Environment variable with the path of the file, for the dashboard of a demo.
FILE_ENV = "TWEETS_STARTUP_FILE"


@dataclass(frozen=True)
class Step:
    """One step of the start. `seconds` is its usual duration on two cores."""

    key: str
    title: str
    seconds: int


# In the order in which they end. The registration of the model (`MODEL`) runs in parallel.
STEPS = (
    Step("spark", "start Spark", 8),
    Step("tables", "create the Delta tables", 12),
    Step("bronze", "Bronze: read the first file", 9),
    Step("silver", "Silver: parse the first tweets", 6),
    Step("gold", "Gold: label the first tweets", 6),
)
MODEL = Step("model", "register the model in MLflow", 20)
LAST = STEPS[-1].key


@dataclass
class Startup:
    """The finished steps of a demo's start.

    Attributes:
        began: start of the demo, in Unix seconds.
        done: end of each finished step, in Unix seconds, by its key.
        file: JSON file to write; None keeps the steps in memory.
    """

    began: float = field(default_factory=time.time)
    done: dict[str, float] = field(default_factory=dict)
    file: Path | None = field(default=None, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def read(cls, file: Path) -> "Startup | None":
        """Read the file that a demo writes; return None if it is missing or not valid."""
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return cls(float(content["began"]), dict(content["done"]))
        except (OSError, ValueError, KeyError):
            return None

    @classmethod
    def from_environment(cls) -> "Startup | None":
        """Read the file that the environment names; return None outside a demo."""
        file = os.environ.get(FILE_ENV)
        return cls.read(Path(file)) if file else None

    def finish(self, key: str) -> bool:
        """Record the end of a step; return False if it was recorded before."""
        with self._lock:
            if key in self.done:
                return False
            self.done[key] = time.time()
            self.write()
            return True

    def write(self) -> None:
        """Write the file atomically."""
        if self.file is not None:
            partial = self.file.with_name(f".{self.file.name}")
            partial.write_text(json.dumps({"began": self.began, "done": self.done}), encoding="utf-8")
            partial.replace(self.file)

    @property
    def is_complete(self) -> bool:
        """Whether the first tweets are labelled. The registration of the model may still run."""
        return LAST in self.done

    @property
    def current(self) -> Step:
        """The first step that is not done; the last step once all are done."""
        return next((step for step in STEPS if step.key not in self.done), STEPS[-1])

    def remaining(self, now: float) -> int:
        """Estimate the seconds from `now` (Unix seconds) until the first label, at least 1, from usual durations."""
        step_began = max([self.began, *(self.done[step.key] for step in STEPS if step.key in self.done)])
        current = max(1.0, self.current.seconds - (now - step_began))
        later = sum(step.seconds for step in STEPS if step.key not in self.done and step is not self.current)
        return round(current + later)
