"""What can be done about a stream."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum


class Kind(Enum):
    """What is done to a stream."""

    NOTHING = "nothing"
    APPLY = "apply"
    # An annotation: the operator looks at the application again.
    WAKE = "wake"
    # The application is deleted, where it would be accepted again; once its pods are gone, the next look applies it.
    DELETE = "delete"
    SUSPEND = "suspend"
    RESUME = "resume"
    END_DRIVER = "end driver"
    # It is held in the name of the DAG, and suspended.
    LEAVE_DOWN = "leave down"


@dataclass(frozen=True)
class Action:
    """What to do, why, and whether a person has to hear of it."""

    kind: Kind
    says: str
    alert: bool = False


@dataclass(frozen=True)
class Limits:
    """A stream that has not advanced for `stuck` is ended; one with more than `failures` an hour is left down."""

    stuck: timedelta = timedelta(seconds=300)
    failures: int = 6


# The name of a condition that is watched for how long it lasts, '' for none.
Step = tuple[Action, str]


def nothing(says: str, condition: str = "", alert: bool = False) -> Step:
    return Action(Kind.NOTHING, says, alert), condition


def do(kind: Kind, says: str, condition: str = "", alert: bool = False) -> Step:
    return Action(kind, says, alert), condition


def text(waited: timedelta) -> str:
    return f"{waited.total_seconds():.0f} s"
