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


class Status(Enum):
    """How a stream is; the values are stored on the cluster.

    A task of `keep_streams_running` ends green (success) while the stream is `RUNNING`, also if it is starting; pink
    (skipped) while somebody holds it; and red (failed) while a person must act.
    """

    RUNNING = "running"
    HELD = "held"
    ALERT = "alert"


class Remedy(Enum):
    """What a person should do about a stream: the anchor of a section in docs/operations.md, and a short form of it."""

    NONE = ("", "")
    HELD = ("stream-held", "start the stream with operate_stream once the reason is gone, or acknowledge the hold")
    HELD_BY_OTHER = (
        "stream-held-by-job",
        "leave the stream to the owner of the hold; if its run has failed, repeat it",
    )
    GIVEN_UP = ("stream-given-up", "fix the cause of the last error, then start the stream with operate_stream")
    FAILING = ("stream-failed", "nothing yet: it starts again by itself; the last error says why it fails")
    PENDING = ("pod-pending", "add capacity to the nodes, or fix the image or the volume claim")
    SUBMISSION = ("submission-failed", "fix what the message of the operator names, such as a quota or a policy")
    OPERATOR = ("operator-silent", "check the pods of the Spark operator, and restart its controller")
    NODE = ("node-lost", "check the node; if it is gone for good, delete the pod")
    NETWORK = ("driver-unreachable", "check the network policies and the name service of both namespaces")
    DELETION = ("deletion-blocked", "remove what blocks the deletion of the application, such as a finalizer")
    WAITING = ("tweetsstreamwaits", "nothing: the stream continues by itself when what it waits for is there")

    @property
    def anchor(self) -> str:
        """The anchor of the section."""
        return self.value[0]

    @property
    def advice(self) -> str:
        """What to do, in one sentence."""
        return self.value[1]


@dataclass(frozen=True)
class Action:
    """What to do, why, whether to alert a person by a failed task, and what that person should do."""

    kind: ActionKind
    reason: str
    alert: bool = False
    remedy: Remedy = Remedy.NONE


# An action, and the condition to remember for the next pass.
Step = tuple[Action, Condition]


def no_action(
    reason: str, condition: Condition = Condition.NONE, alert: bool = False, remedy: Remedy = Remedy.NONE
) -> Step:
    """Return a step without an action."""
    return act(ActionKind.NONE, reason, condition, alert, remedy)


def act(
    kind: ActionKind,
    reason: str,
    condition: Condition = Condition.NONE,
    alert: bool = False,
    remedy: Remedy = Remedy.NONE,
) -> Step:
    """Return a step with an action."""
    return Action(kind, reason, alert, remedy), condition


def format_seconds(duration: timedelta) -> str:
    """Format a duration, such as `61 s`."""
    return f"{duration.total_seconds():.0f} s"
