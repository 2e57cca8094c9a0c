"""What a pod's status tells: whether anybody still sees to it, and why it does not run."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from tweet_dags.seen import Object, get

# A kubelet that lives ends a pod within its grace; some seconds more are its own.
_OVERDUE = timedelta(seconds=60)
# How long what an executor has said last can be read.
_KEPT = timedelta(minutes=5)
# These say only that it has not begun.
_NOT_YET = {"PodInitializing", "ContainerCreating"}


def lost(pod: Object, now: datetime) -> str:
    """Return why nobody seems to see to `pod` any more, or ''. What it runs may still be at work.

    For the pods of a node that does not answer, the cluster writes Ready as Unknown or as False. A kubelet writes
    False too, but only where a container is not ready, and says so in ContainersReady.
    """
    ready, containers = _condition(pod, "Ready"), _condition(pod, "ContainersReady")
    gates = get(pod, "spec", "readinessGates")
    name, node = get(pod, "metadata", "name"), get(pod, "spec", "nodeName") or "its node"
    if (
        ready == "Unknown"
        or get(pod, "status", "reason") == "NodeLost"
        or (ready == "False" and containers == "True" and not gates)
    ):
        return f"{name}: {node} does not answer"
    ends = get(pod, "metadata", "deletionTimestamp")
    if ends and now - datetime.fromisoformat(ends) > _OVERDUE:
        return f"{name} should have ended at {ends}, and {node} has not done it"
    return ""


def ended(pod: Object) -> bool:
    """Tell whether `pod` is an executor that is over: it writes no more, and nothing waits for it to go."""
    executor = get(pod, "metadata", "labels", "spark-role") == "executor"
    over = get(pod, "status", "phase") in {"Succeeded", "Failed"} and get(pod, "status", "reason") != "NodeLost"
    return executor and over


def left_over(pod: Object, driver: Object | None, now: datetime) -> bool:
    """Tell whether nobody takes an executor away that is over: its driver would, and was killed.

    The cluster does not either, since the operator makes the application its owner too.
    """
    owners = {owner.get("uid") for owner in get(pod, "metadata", "ownerReferences") or []}
    over = [
        get(status, "state", "terminated", "finishedAt") for status in get(pod, "status", "containerStatuses") or []
    ]
    is_old = all(at and now - datetime.fromisoformat(at) > _KEPT for at in over)
    return is_old and (driver is None or get(driver, "metadata", "uid") not in owners)


def pending(pod: Object) -> str:
    """Return why a pod does not run yet."""
    if said := trouble(pod):
        return said
    for condition in get(pod, "status", "conditions") or []:
        if condition.get("status") != "True" and condition.get("message"):
            return str(condition["message"])
    return "starting"


def trouble(pod: Object | None) -> str:
    """Return what the containers of a pod have failed of, or wait for in vain; '' where nothing is known.

    Those that run first are looked at first: while one of them fails, the others only wait.
    """
    return next(_troubles(pod), "")


def _troubles(pod: Object | None) -> Iterator[str]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in get(pod, "status", kind) or []:
            # What made it end stands under lastState once it waits to be tried again.
            ended = get(container, "state", "terminated") or get(container, "lastState", "terminated") or {}
            if ended.get("exitCode"):
                said = f"{ended.get('reason') or 'Error'} {_last_line(ended.get('message') or '')}".strip()
                yield f"the container {container.get('name')} ended with {ended['exitCode']}: {said}"
            waiting = get(container, "state", "waiting") or {}
            if waiting.get("reason") and waiting["reason"] not in _NOT_YET:
                yield f"{waiting['reason']} {waiting.get('message') or ''}".strip()


def _last_line(message: str) -> str:
    """Return the line that says why: a message may be the end of a log, with what Java called until then."""
    lines = [line.strip() for line in message.splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith("at ")), "")


def _condition(pod: Object, kind: str) -> str:
    found = (condition for condition in get(pod, "status", "conditions") or [] if condition.get("type") == kind)
    return str(get(next(found, {}), "status") or "")
