"""The actions of the reconciler."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum


class ActionKind(Enum):
    """What the reconciler does to a stream."""

    NONE = "no action"
    APPLY = "apply"
    # Change an annotation, so that the operator processes the application again.
    REQUEUE = "requeue"
    # Delete the application, if a dry run shows that the cluster accepts the new one. A later pass applies the new one,
    # once the pods are gone.
    RECREATE = "recreate"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESTART_DRIVER = "restart driver"
    # Hold the stream in the name of the DAG, and suspend it.
    GIVE_UP = "give up"
    # Release the hold of a stream that was given up. The next pass resumes the stream.
    RETRY = "retry"


class Condition(Enum):
    """A condition that may pass by itself: the reconciler acts only once it has lasted for some time.

    The values are stored on the cluster. After an upgrade that changes a value, the reconciler no longer knows how long
    that condition has lasted.
    """

    NONE = ""
    NO_DRIVER = "without a driver"
    REQUEUED = "woken"
    DRIVER_PENDING = "pending"
    OLD_SPEC = "old driver"
    NO_RESPONSE = "no answer"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Action:
    """What to do, why, and whether to alert a person by a failed task."""

    kind: ActionKind
    reason: str
    alert: bool = False


# An action, and the condition to remember for the next pass.
Step = tuple[Action, Condition]


def no_action(reason: str, condition: Condition = Condition.NONE, alert: bool = False) -> Step:
    """Return a step without an action."""
    return Action(ActionKind.NONE, reason, alert), condition


def act(kind: ActionKind, reason: str, condition: Condition = Condition.NONE, alert: bool = False) -> Step:
    """Return a step with an action."""
    return Action(kind, reason, alert), condition


def format_seconds(duration: timedelta) -> str:
    """Format a duration, such as `61 s`."""
    return f"{duration.total_seconds():.0f} s"
