"""What to do about one stream: from what stands on the cluster to one action. No calls, no clock, no Airflow.

The operator does the common restarts by itself. What it does not see or cannot end is decided here, one step a look:
each look starts from what is there, so whoever dies in between costs a minute and nothing else.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

HASH = "tweet-sentiment/spec-hash"
HOLD = "tweet-sentiment/hold"
MANAGER = "keep-streams-running"

# States in which the operator submits or is about to: a write to the application could make it submit twice.
_UNDER_WAY = {"", "PENDING_RERUN", "INVALIDATING", "RESUMING", "SUCCEEDING", "SUSPENDING", "SUSPENDED"}
_WITHOUT_DRIVER = timedelta(seconds=60)
_OLD_DRIVER = timedelta(seconds=60)
_PENDING = timedelta(minutes=5)
_MAX_ATTEMPTS = 10
_FAILURES_WITHIN = timedelta(hours=1)

Object = Mapping[str, Any]


class Kind(Enum):
    """What is done to a stream."""

    NOTHING = "nothing"
    APPLY = "apply"
    # An annotation: the operator looks at the application again.
    WAKE = "wake"
    # The application is deleted; once its pods are gone, the next look applies it.
    DELETE = "delete"
    END_DRIVER = "end driver"
    LEAVE_DOWN = "leave down"


@dataclass(frozen=True)
class Action:
    """What to do, why, and whether a person has to hear of it."""

    kind: Kind
    says: str
    alert: bool = False


@dataclass(frozen=True)
class Memory:
    """What a look leaves for the next: it stands in an annotation, so that Airflow may be lost.

    `submission` is the last one seen, with the hash of the spec that it ran; a new one of the same spec that nobody
    asked for is a failure. `condition` is one that may pass by itself, and since when it has been seen.
    """

    submission: str = ""
    spec: str = ""
    failures: tuple[datetime, ...] = ()
    condition: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Seen:
    """What stands on the cluster for one stream at one instant.

    `rendered` is the manifest of the chart, `live` the application, `driver` its driver pod, `pods` the number of its
    pods, those that are going included; `progress` is what the driver answers, None where it does not.
    """

    now: datetime
    rendered: Object
    live: Object | None = None
    driver: Object | None = None
    pods: int = 0
    progress: Object | None = None
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True)
class Limits:
    """A stream that has not advanced for `stuck` is ended; one with more than `failures` an hour is left down."""

    stuck: timedelta = timedelta(seconds=300)
    failures: int = 6


def decide(seen: Seen, limits: Limits) -> tuple[Action, Memory]:
    """Return what to do now, and what the next look has to know."""
    seen = replace(seen, memory=_counted(seen))
    action, condition = _decide(seen, limits)
    memory = seen.memory
    since = memory.since if condition and condition == memory.condition else seen.now if condition else None
    return action, replace(memory, condition=condition, since=since)


def _counted(seen: Seen) -> Memory:
    """Count a submission that nobody asked for; forget what is older than an hour."""
    memory = seen.memory
    recent = tuple(at for at in memory.failures if seen.now - at < _FAILURES_WITHIN)
    submission = str(_get(seen.live, "status", "submissionID") or "")
    spec = spec_hash(seen.live) if seen.live else ""
    if not submission or submission == memory.submission:
        return replace(memory, failures=recent)
    if memory.submission and spec == memory.spec:
        recent = (*recent, seen.now)
    return replace(memory, submission=submission, spec=spec, failures=recent)


def _decide(seen: Seen, limits: Limits) -> tuple[Action, str]:
    """Return the action, and the name of a condition that is watched for how long it lasts."""
    live = seen.live
    if live is None:
        if seen.pods:
            return _nothing(f"deleted; {seen.pods} of its pods are still going"), ""
        return Action(Kind.APPLY, "there is no application: applied"), ""
    if held := hold(live):
        return _nothing(f"held by {held.get('owner')} since {held.get('since')}: {held.get('reason')}"), ""
    if _get(live, "metadata", "deletionTimestamp"):
        return _nothing("being deleted"), ""
    if len(seen.memory.failures) > limits.failures:
        says = f"failed {len(seen.memory.failures)} times within an hour: left down. {_last_error(seen)}"
        return Action(Kind.LEAVE_DOWN, says, alert=True), ""
    state = str(_get(live, "status", "applicationState", "state") or "")
    if seen.driver is None and state in _UNDER_WAY | {"RUNNING", "SUBMITTED", "COMPLETED", "FAILED"}:
        return _without_driver(seen, state)
    if state in _UNDER_WAY:
        return _nothing(f"{state or 'NEW'}: the operator is at it"), ""
    if difference := edited(seen.rendered, live):
        return Action(Kind.DELETE, f"edited by hand ({difference}): made anew as the chart has it"), ""
    if spec_hash(live) != spec_hash(seen.rendered):
        return Action(Kind.APPLY, "the chart has changed: applied"), ""
    return _by_state(seen, state, limits)


def _without_driver(seen: Seen, state: str) -> tuple[Action, str]:
    """Handle an application that has no driver pod: the operator may be at it, down, or have forgotten it."""
    waited = _waited(seen, "without a driver")
    name = state or "NEW"
    if waited is None or waited < _WITHOUT_DRIVER:
        return _nothing(f"{name}, no driver yet"), "without a driver"
    if waited < 2 * _WITHOUT_DRIVER:
        return Action(Kind.WAKE, f"{name} without a driver for {_text(waited)}: the operator is woken"), (
            "without a driver"
        )
    return Action(Kind.DELETE, f"{name} without a driver for {_text(waited)}: made anew"), ""


def _by_state(seen: Seen, state: str, limits: Limits) -> tuple[Action, str]:
    error = str(_get(seen.live, "status", "applicationState", "errorMessage") or "").strip()
    attempts = int(_get(seen.live, "status", "executionAttempts") or 0)
    submissions = int(_get(seen.live, "status", "submissionAttempts") or 0)
    if state == "SUBMITTED":
        waited = _waited(seen, "pending") or timedelta()
        return Action(Kind.NOTHING, f"the driver is pending: {_pending(seen)}", alert=waited > _PENDING), "pending"
    if state in {"FAILING", "SUBMISSION_FAILED"}:
        if max(attempts, submissions) > _MAX_ATTEMPTS:
            return Action(Kind.DELETE, f"{state} after {max(attempts, submissions)} attempts: made anew. {error}"), ""
        return Action(Kind.NOTHING, f"{state}: {error}", alert=state == "SUBMISSION_FAILED"), ""
    if state == "RUNNING":
        return _running(seen, limits)
    # UNKNOWN, and what a later operator may bring. A driver on a lost node may still write: nobody ends it by force.
    return Action(Kind.NOTHING, f"{state}: the state of the driver is not known. {error}", alert=True), ""


def _running(seen: Seen, limits: Limits) -> tuple[Action, str]:
    driver = seen.driver or {}
    if _get(driver, "metadata", "labels", HASH) != spec_hash(seen.rendered):
        waited = _waited(seen, "old driver")
        if waited is None or waited < _OLD_DRIVER:
            return _nothing("the driver is that of another spec"), "old driver"
        return Action(Kind.DELETE, f"for {_text(waited)} the driver is that of another spec: made anew"), ""
    if _get(driver, "metadata", "deletionTimestamp"):
        return _nothing("the driver is being ended"), ""
    if _lost(driver):
        return Action(Kind.NOTHING, "the node of the driver does not answer", alert=True), ""
    if seen.progress is None:
        waited = _waited(seen, "silent")
        if waited is None or waited < limits.stuck:
            return _nothing("the driver does not answer yet"), "silent"
        return Action(Kind.END_DRIVER, f"the driver has not answered for {_text(waited)}: ended"), ""
    behind = {
        name: float(stream["seconds_since_progress"]) for name, stream in seen.progress.get("streams", {}).items()
    }
    stuck = {name: age for name, age in behind.items() if age > limits.stuck.total_seconds()}
    if stuck:
        names = ", ".join(f"{name} for {age:.0f} s" for name, age in stuck.items())
        return Action(Kind.END_DRIVER, f"not advancing: {names}; the driver is ended"), ""
    batches = ", ".join(f"{name} at batch {stream['batch']}" for name, stream in seen.progress["streams"].items())
    return _nothing(f"advancing: {batches or 'starting'}"), ""


def spec_hash(application: Object) -> str:
    return str(_get(application, "metadata", "annotations", HASH) or "")


def hold(application: Object) -> dict[str, Any]:
    """Return who holds a stream, since when and why; empty where nobody does."""
    text = _get(application, "metadata", "annotations", HOLD)
    try:
        found: dict[str, Any] = json.loads(text) if text else {}
    except ValueError:
        return {"owner": "somebody", "reason": text}
    return found


def edited(rendered: Object, live: Object) -> str:
    """Return the first place at which the live spec is not as it was applied, or ''.

    What somebody else has added is told by the fields' owners: the defaults of the operator count as ours.
    """
    if spec_hash(rendered) == spec_hash(live) and (place := _differs(rendered["spec"], live["spec"], "spec")):
        return place
    for entry in _get(live, "metadata", "managedFields") or []:
        foreign = set(entry.get("fieldsV1", {}).get("f:spec", {})) - {"f:suspend"}
        if entry.get("manager") != MANAGER and entry.get("subresource") != "status" and foreign:
            return f"{entry.get('manager')} owns " + ", ".join(sorted(key.removeprefix("f:") for key in foreign))
    return "spec.suspend without a hold" if _get(live, "spec", "suspend") else ""


def _differs(wanted: Any, found: Any, place: str) -> str:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key, value in wanted.items():
            if key not in found:
                return f"{place}.{key} is missing"
            if inner := _differs(value, found[key], f"{place}.{key}"):
                return inner
        return ""
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return next((inner for at, (a, b) in pairs if (inner := _differs(a, b, f"{place}[{at}]"))), "")
    return "" if wanted == found else f"{place} is {found!r}"


def _pending(seen: Seen) -> str:
    status = _get(seen.driver, "status") or {}
    for container in status.get("containerStatuses") or []:
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting:
            return f"{waiting.get('reason')} {waiting.get('message') or ''}".strip()
    for condition in status.get("conditions") or []:
        if condition.get("status") != "True" and condition.get("message"):
            return str(condition["message"])
    return "starting"


def _lost(driver: Object) -> bool:
    return (
        any(
            condition.get("type") == "Ready" and condition.get("status") == "Unknown"
            for condition in _get(driver, "status", "conditions") or []
        )
        or _get(driver, "status", "reason") == "NodeLost"
    )


def _last_error(seen: Seen) -> str:
    error = (seen.progress or {}).get("error") or _get(seen.live, "status", "applicationState", "errorMessage")
    return f"The last error: {error}" if error else ""


def _waited(seen: Seen, condition: str) -> timedelta | None:
    memory = seen.memory
    return seen.now - memory.since if memory.since and memory.condition == condition else None


def _nothing(says: str) -> Action:
    return Action(Kind.NOTHING, says)


def _text(waited: timedelta) -> str:
    return f"{waited.total_seconds():.0f} s"


def _get(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
