"""Observed states of a stream, by default `gold`. Each test names only what differs from a healthy stream."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tweet_dags.kubernetes.driver import DriverResponse, ResponseStatus
from tweet_dags.reconcile.actions import ActionKind
from tweet_dags.reconcile.annotations import ReconcileState
from tweet_dags.reconcile.observed import SPEC_HASH, ObservedState
from tweet_dags.reconcile.plan import plan
from tweet_dags.settings import HealingLimits

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LIMITS = HealingLimits(stuck=timedelta(seconds=300), failures=3)
# The operator is submitting, or is about to.
SUBMITTING_STATES = ["", "PENDING_RERUN", "INVALIDATING", "RESUMING", "SUCCEEDING", "SUSPENDING"]
STATES = [
    *SUBMITTING_STATES, "SUBMITTED", "RUNNING", "COMPLETED", "FAILED", "SUBMISSION_FAILED", "FAILING", "SUSPENDED",
    "UNKNOWN", "SOMETHING_NEW",
]  # fmt: skip
GENERATION = "app/1"
# The operator sets this label on all pods of an application.
APP_NAME = "sparkoperator.k8s.io/app-name"
REFUSED, TIMED_OUT, UNREACHABLE = (
    DriverResponse(status) for status in (ResponseStatus.REFUSED, ResponseStatus.TIMED_OUT, ResponseStatus.UNREACHABLE)
)


def ago(seconds: float) -> datetime:
    """Return the time `seconds` before `NOW`."""
    return NOW - timedelta(seconds=seconds)


def manifest(spec_hash: str = "aaaa", name: str = "gold") -> dict[str, Any]:
    """Return the manifest that the chart renders."""
    return {
        "metadata": {"name": name, "annotations": {SPEC_HASH: spec_hash}},
        "spec": {
            "sparkConf": {"a": "1"},
            "driver": {"memory": "1g", "env": [{"name": "X", "value": "1"}]},
            "restartPolicy": {"onSubmissionFailureRetryInterval": 20},
        },
    }


def application(
    state: str = "RUNNING", submission: str = "one", generation: int = 1, name: str = "gold", **status: Any
) -> dict[str, Any]:
    """Return the SparkApplication on the cluster."""
    made: dict[str, Any] = json.loads(json.dumps(manifest(name=name)))
    made["metadata"] |= {"uid": "app", "resourceVersion": "7", "generation": generation}
    # A default that the operator's webhook adds.
    made["spec"]["deps"] = {}
    return made | {"status": {"submissionID": submission, "applicationState": {"state": state}, **status}}


def failed_submission(seconds_ago: float, attempts: int = 3) -> dict[str, Any]:
    """Return an application in SUBMISSION_FAILED; the operator retries 20 s times `attempts` after the last attempt."""
    last = ago(seconds_ago).isoformat().replace("+00:00", "Z")
    made = application("SUBMISSION_FAILED", submissionAttempts=attempts, lastSubmissionAttemptTime=last)
    made["status"]["applicationState"]["errorMessage"] = "no quota"
    return made


def driver(
    spec_hash: str = "aaaa", uid: str = "pod", deleted: str | None = None, name: str = "gold", **status: Any
) -> dict[str, Any]:
    """Return the pod of a driver; `deleted` is its deletionTimestamp."""
    labels = {SPEC_HASH: spec_hash, "spark-role": "driver", APP_NAME: name}
    metadata = {"name": f"{name}-driver", "uid": uid, "labels": labels}
    return {"metadata": metadata | ({"deletionTimestamp": deleted} if deleted else {}), "status": status}


def executor(
    phase: str = "Running", owner: str = "pod", finished: float | None = None, name: str = "gold"
) -> dict[str, Any]:
    """Return an executor of the driver with the uid `owner`; `finished` is the seconds since its end."""
    labels = {"spark-role": "executor", APP_NAME: name}
    owners = [
        {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "name": name, "uid": "app"},
        {"apiVersion": "v1", "kind": "Pod", "name": f"{name}-driver", "uid": owner},
    ]
    terminated = {"exitCode": 0, "finishedAt": f"{ago(finished or 0):%Y-%m-%dT%H:%M:%SZ}"}
    container = {"name": "spark", "image": "", "imageID": "", "ready": False, "restartCount": 0}
    status = {
        "phase": phase,
        "containerStatuses": [] if finished is None else [container | {"state": {"terminated": terminated}}],
    }
    return {"metadata": {"name": f"{name}-exec-1", "labels": labels, "ownerReferences": owners}, "status": status}


def unschedulable(seconds: float, name: str = "gold-exec-2", role: str = "executor") -> dict[str, Any]:
    """Return a pod for which the scheduler has found no node for `seconds`."""
    message = "0/1 nodes are available: 1 Insufficient cpu."
    since = f"{ago(seconds):%Y-%m-%dT%H:%M:%SZ}"
    condition = {"type": "PodScheduled", "status": "False", "message": message, "lastTransitionTime": since}
    labels = {"spark-role": role, APP_NAME: "gold", SPEC_HASH: "aaaa"}
    metadata = {"name": name, "uid": "pod", "labels": labels}
    return {"metadata": metadata, "status": {"phase": "Pending", "conditions": [condition]}}


def progress(seconds: float = 1, batch: int = 7, error: str = "") -> DriverResponse:
    """Return the response of a driver that last advanced `seconds` ago."""
    return DriverResponse(ResponseStatus.ANSWERED, {"gold": batch}, {"gold": seconds}, last_error=error)


def failures(*seconds_ago: float, **changes: Any) -> ReconcileState:
    """Return a reconcile state with failures so many seconds ago."""
    state = ReconcileState(
        submission="one",
        generation=GENERATION,
        failures=tuple(ago(seconds) for seconds in seconds_ago),
        status="running",
    )
    return replace(state, **changes)


def observed(**changes: Any) -> ObservedState:
    """Return the state of a stream that advances, except for `changes`."""
    state = ObservedState(
        now=NOW,
        desired=manifest(),
        application=application(),
        pods=(driver(), {"metadata": {"name": "gold-exec-1", "labels": {"spark-role": "executor"}}}),
        response=progress(),
        reconcile_state=failures(),
    )
    return replace(state, **changes)


def later(seconds: float, before: ObservedState, **changes: Any) -> ObservedState:
    """Return the state `seconds` after `before`, with the reconcile state that the pass at `before` saved."""
    _, reconcile_state = plan(before, LIMITS)
    changes = {"reconcile_state": reconcile_state} | changes
    return replace(before, now=before.now + timedelta(seconds=seconds), **changes)


def planned(state: ObservedState) -> ActionKind:
    """Return the kind of the action that is planned for `state`."""
    return plan(state, LIMITS)[0].kind


def reason(state: ObservedState) -> str:
    """Return the reason of the action that is planned for `state`."""
    return plan(state, LIMITS)[0].reason


def alerts(state: ObservedState) -> bool:
    """Tell whether the action that is planned for `state` alerts a person."""
    return plan(state, LIMITS)[0].alert
