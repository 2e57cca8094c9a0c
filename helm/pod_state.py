"""Explain from the objects of Kubernetes why a pod or a workload is not ready."""

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]
_MAX_CHARACTERS = 300
# With these reasons, a container waits for something else, which an event of the pod may name.
_PASSIVE = {"ContainerCreating", "PodInitializing"}
# The kubelet alternates between these; an event has the cause.
_PULLING = {"ErrImagePull", "ImagePullBackOff"}


def why_pod_not_ready(pod: Object) -> str:
    """Return why a pod is not ready; '' if it is ready. The text has no times: it changes only with the reason."""
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return "terminating"
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    if status.get("phase") == "Succeeded" or conditions.get("Ready", {}).get("status") == "True":
        return ""
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"not scheduled: {short(scheduled.get('message', scheduled.get('reason', '')))}"
    if status.get("phase") == "Failed":
        return f"failed: {short(status.get('message') or status.get('reason', ''))}"
    reasons = [reason for container in unready_containers(pod) if (reason := _why_container_not_ready(container))]
    return "; ".join(reasons) or "its containers are being created"


def unready_containers(pod: Object) -> list[Object]:
    """Return the statuses of the containers that hold up a pod: the first unfinished init container, or all unready."""
    status = pod.get("status", {})
    # Init containers that are ready have ended with exit code 0, or run as sidecars.
    initial = [container for container in status.get("initContainerStatuses", []) if not container.get("ready")]
    if initial:
        return initial[:1]
    return [container for container in status.get("containerStatuses", []) if not container.get("ready")]


def _why_container_not_ready(container: Object) -> str:
    name, state = container["name"], container.get("state", {})
    if waiting := state.get("waiting"):
        if waiting.get("reason") in _PASSIVE:
            return ""
        if waiting.get("reason") in _PULLING:
            return f"{name}: the image {container.get('image')} cannot be pulled"
        last = container.get("lastState", {}).get("terminated")
        ended = f", {_describe_end(last)}" if last else ""
        # The message of CrashLoopBackOff repeats the name of the pod with a delay that grows.
        message = "" if waiting.get("reason") == "CrashLoopBackOff" else f": {short(waiting.get('message', ''))}"
        return f"{name}: {waiting.get('reason', 'waiting')}{message.removesuffix(': ')}{ended}"
    if terminated := state.get("terminated"):
        return f"{name}: {_describe_end(terminated)}"
    return f"{name}: running, but not ready"


def _describe_end(terminated: Object) -> str:
    reason = terminated.get("reason", "")
    suffix = f" ({reason})" if reason not in {"", "Error"} else ""
    lines = terminated.get("message", "").strip().splitlines()
    message = f": {short(lines[-1])}" if lines else ""
    return f"ended with exit code {terminated.get('exitCode')}{suffix}{message}"


def why_workload_not_ready(workload: Object, pods: Iterable[Object]) -> str:
    """Return why a Deployment or StatefulSet without unready pods is not complete; '' if it is, or if pods say why."""
    spec, status = workload["spec"], workload.get("status", {})
    replicas = spec.get("replicas", 1)
    if status.get("observedGeneration") != workload["metadata"].get("generation"):
        return "waiting for its controller"
    if status.get("readyReplicas", 0) >= replicas and status.get("updatedReplicas", 0) >= replicas:
        return ""
    labels = spec["selector"]["matchLabels"].items()
    own = [pod for pod in pods if labels <= pod["metadata"].get("labels", {}).items()]
    if len(own) < replicas:
        return "a pod is missing"
    return "" if any(why_pod_not_ready(pod) for pod in own) else "its pods are being replaced"


def last_warning(events: Iterable[Object], names: Iterable[str]) -> str:
    """Return the message of the newest warning about one of the objects `names`; '' if there is none."""
    wanted = set(names)
    warnings = [
        event
        for event in events
        if event.get("type") == "Warning" and event.get("involvedObject", {}).get("name") in wanted
    ]
    # The kubelet reports the end of an attempt, such as "Error: ImagePullBackOff", after its cause.
    causes = [event for event in warnings if not event.get("message", "").startswith("Error: ")]
    newest = max(
        causes or warnings, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "", default={}
    )
    return short(newest.get("message", ""))


def short(text: str) -> str:
    """Return `text` on one line, without control characters, and not too long."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _MAX_CHARACTERS else line[: _MAX_CHARACTERS - 1] + "…"
