"""Read a pod's status: whether its node still responds, and why it does not run."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from tweet_dags.kubernetes.objects import Object, get

# A healthy kubelet ends a pod within its grace period and a few seconds more.
_OVERDUE = timedelta(seconds=60)
# How long the log of an ended executor stays readable.
_KEPT = timedelta(minutes=5)
# Reasons that say only that the container has not started yet.
_STARTING = {"PodInitializing", "ContainerCreating"}


def why_node_lost(pod: Object, now: datetime) -> str:
    """Return why the node of `pod` seems to be lost, or ''. The pod's processes may still be running.

    When a node stops responding, the control plane sets the pod's condition Ready to Unknown or False, and leaves
    ContainersReady as it was. A kubelet that responds sets both to False.
    """
    ready, containers = _condition(pod, "Ready"), _condition(pod, "ContainersReady")
    gates = get(pod, "spec", "readinessGates")
    name, node = get(pod, "metadata", "name"), get(pod, "spec", "nodeName") or "its node"
    if (
        ready == "Unknown"
        or get(pod, "status", "reason") == "NodeLost"
        or (ready == "False" and containers == "True" and not gates)
    ):
        return f"{name}: {node} does not respond"
    deadline = get(pod, "metadata", "deletionTimestamp")
    if deadline and now - datetime.fromisoformat(deadline) > _OVERDUE:
        return f"{name} should have ended at {deadline}, but {node} has not ended it"
    return ""


def is_finished_executor(pod: Object) -> bool:
    """Tell whether `pod` is an executor that has ended. It writes nothing more, so nothing waits for its deletion."""
    executor = get(pod, "metadata", "labels", "spark-role") == "executor"
    finished = get(pod, "status", "phase") in {"Succeeded", "Failed"} and get(pod, "status", "reason") != "NodeLost"
    return executor and finished


def is_orphaned(executor: Object, driver: Object | None, now: datetime) -> bool:
    """Tell whether a finished executor has lost its driver, and its log has been readable for five minutes.

    Kubernetes does not garbage-collect the executors of a killed driver: the application owns them too.
    """
    owners = {owner.get("uid") for owner in get(executor, "metadata", "ownerReferences") or []}
    finished_at = [
        get(status, "state", "terminated", "finishedAt")
        for status in get(executor, "status", "containerStatuses") or []
    ]
    is_old = all(at and now - datetime.fromisoformat(at) > _KEPT for at in finished_at)
    return is_old and (driver is None or get(driver, "metadata", "uid") not in owners)


def unschedulable_since(pod: Object) -> datetime | None:
    """Return since when the scheduler has found no node for `pod`; None if the pod has a node."""
    for condition in get(pod, "status", "conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            since = condition.get("lastTransitionTime") or get(pod, "metadata", "creationTimestamp")
            return datetime.fromisoformat(since) if since else None
    return None


def is_starting(pod: Object | None) -> bool:
    """Tell whether the startup probe of a container has not succeeded yet: until then, the kubelet limits the time."""
    return any(
        container.get("started") is False and get(container, "state", "running") is not None
        for container in get(pod, "status", "containerStatuses") or []
    )


def pending_reason(pod: Object) -> str:
    """Return why a pod does not run yet."""
    if failure := container_failure(pod):
        return failure
    for condition in get(pod, "status", "conditions") or []:
        if condition.get("status") != "True" and condition.get("message"):
            return str(condition["message"])
    return "starting"


def container_failure(pod: Object | None) -> str:
    """Return why a container of `pod` failed or cannot start; '' if no reason is known.

    Init containers come first: while one of them fails, the main containers only wait.
    """
    return next(_container_failures(pod), "")


def container_exit(pod: Object | None) -> str:
    """Return when and how a container of `pod` exited with an error; '' if none has."""
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in get(pod, "status", kind) or []:
            exited = _last_exit(container)
            if exited.get("exitCode"):
                return f"{exited.get('finishedAt') or ''} {_describe_exit(container, exited)}".strip()
    return ""


def _last_exit(container: Object) -> Object:
    # While a container waits for its restart, its exit is reported under lastState.
    exited: Object = get(container, "state", "terminated") or get(container, "lastState", "terminated") or {}
    return exited


def _describe_exit(container: Object, exited: Object) -> str:
    reason = f"{exited.get('reason') or 'Error'} {_last_line(exited.get('message') or '')}".strip()
    return f"the container {container.get('name')} exited with code {exited['exitCode']}: {reason}"


def _container_failures(pod: Object | None) -> Iterator[str]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in get(pod, "status", kind) or []:
            exited = _last_exit(container)
            if exited.get("exitCode"):
                yield _describe_exit(container, exited)
            waiting = get(container, "state", "waiting") or {}
            if waiting.get("reason") and waiting["reason"] not in _STARTING:
                yield f"{waiting['reason']} {waiting.get('message') or ''}".strip()


def _last_line(message: str) -> str:
    """Return the last line that is not part of a Java stack trace: `message` may be the end of a log."""
    lines = [line.strip() for line in message.splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith("at ")), "")


def _condition(pod: Object, kind: str) -> str:
    conditions = (item for item in get(pod, "status", "conditions") or [] if item.get("type") == kind)
    return str(get(next(conditions, {}), "status") or "")
