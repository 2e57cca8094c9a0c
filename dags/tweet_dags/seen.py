"""The facts about one stream at one instant. No calls, no Airflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from tweet_dags.notes import Hold, Memory, Pardon

HASH = "tweet-sentiment/spec-hash"

Object = Mapping[str, Any]


class Heard(Enum):
    """What came back when the driver was asked how far it is."""

    ANSWER = "it answered"
    REFUSED = "it refused the connection"
    # It took the connection, and said nothing.
    SILENCE = "it did not answer"
    # Nothing that the driver has said or kept from saying: the network, or another in its place.
    UNREACHABLE = "it could not be reached"


@dataclass(frozen=True)
class Answer:
    """What came of asking the driver.

    Where it answered: by stream, the last batch that it has finished, -1 before the first, and the seconds since it
    has advanced; and the last error that the lake holds, ''. Else `says` has the reason.
    """

    heard: Heard
    batches: Mapping[str, int] = field(default_factory=dict)
    ages: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    says: str = ""


@dataclass(frozen=True)
class Seen:
    """What stands on the cluster for one stream at one instant.

    `rendered` is the manifest of the chart, `live` the application, `pods` its pods, those that are going included, and
    `ended` its executors that are over; `answer` is that of the driver, None where it has no address yet. `held`,
    `pardon` and `memory` stand on the chart's map, whose version is `notes_version`.
    """

    now: datetime
    rendered: Object
    live: Object | None = None
    pods: tuple[Object, ...] = ()
    ended: tuple[Object, ...] = ()
    answer: Answer | None = None
    held: Hold | None = None
    pardon: Pardon = field(default_factory=Pardon)
    memory: Memory = field(default_factory=Memory)
    notes_version: str = ""

    @property
    def name(self) -> str:
        return str(get(self.rendered, "metadata", "name"))

    @property
    def driver(self) -> Object | None:
        return next((pod for pod in self.pods if get(pod, "metadata", "labels", "spark-role") == "driver"), None)

    @property
    def state(self) -> str:
        """The state that the operator has written; '' is that of an application it has not seen yet."""
        return str(get(self.live, "status", "applicationState", "state") or "")

    @property
    def submission(self) -> str:
        """The operator's name for its last attempt to run the application, '' before the first."""
        return str(get(self.live, "status", "submissionID") or "")

    @property
    def suspended(self) -> bool:
        return bool(get(self.live, "spec", "suspend"))

    @property
    def changed(self) -> bool:
        """Whether the chart has another spec than the one that was applied."""
        return spec_hash(self.live) != spec_hash(self.rendered)

    def with_answer(self, answer: Answer | None) -> "Seen":
        return replace(self, answer=answer)

    def about(self, condition: str) -> str:
        """Name `condition` as that of this driver, or of this application without one: another starts anew."""
        return f"{condition} {get(self.driver or self.live, 'metadata', 'uid')}" if condition else ""

    def waited(self, condition: str) -> timedelta | None:
        """Return for how long `condition` has been seen; None where the last look did not see it."""
        memory = self.memory
        return self.now - memory.since if memory.since and memory.condition == self.about(condition) else None


def spec_hash(application: Object | None) -> str:
    return str(get(application, "metadata", "annotations", HASH) or "")


def get(value: Any, *keys: str) -> Any:
    """Return what stands under `keys`, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
