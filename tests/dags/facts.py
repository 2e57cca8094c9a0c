"""Made-up facts about the stream `gold`: each test names what is out of the ordinary."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tweet_dags.actions import Kind, Limits
from tweet_dags.decide import decide
from tweet_dags.notes import Memory
from tweet_dags.seen import HASH, Answer, Heard, Seen

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LIMITS = Limits(stuck=timedelta(seconds=300), failures=3)
# In these the operator submits, or is about to.
UNDER_WAY = ["", "PENDING_RERUN", "INVALIDATING", "RESUMING", "SUCCEEDING", "SUSPENDING"]
STATES = [
    *UNDER_WAY, "SUBMITTED", "RUNNING", "COMPLETED", "FAILED", "SUBMISSION_FAILED", "FAILING", "SUSPENDED", "UNKNOWN",
    "SOMETHING_NEW",
]  # fmt: skip
ASKED = "app/1"
# The operator's, on all pods of an application.
APP_NAME = "sparkoperator.k8s.io/app-name"
REFUSED, SILENCE, UNREACHABLE = (Answer(heard) for heard in (Heard.REFUSED, Heard.SILENCE, Heard.UNREACHABLE))


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def manifest(spec_hash: str = "aaaa", name: str = "gold") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "annotations": {HASH: spec_hash}},
        "spec": {
            "sparkConf": {"a": "1"},
            "driver": {"memory": "1g", "env": [{"name": "X", "value": "1"}]},
            "restartPolicy": {"onSubmissionFailureRetryInterval": 20},
        },
    }


def live(state: str = "RUNNING", submission: str = "one", generation: int = 1, **status: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(manifest()))
    made["metadata"] |= {"uid": "app", "resourceVersion": "7", "generation": generation}
    # As the operator's webhook leaves it.
    made["spec"]["deps"] = {}
    return made | {"status": {"submissionID": submission, "applicationState": {"state": state}, **status}}


def refused_submission(seconds_ago: float, attempts: int = 3) -> dict[str, Any]:
    """Return an application that could not be submitted; it is tried again 20 s times `attempts` later."""
    last = ago(seconds_ago).isoformat().replace("+00:00", "Z")
    found = live("SUBMISSION_FAILED", submissionAttempts=attempts, lastSubmissionAttemptTime=last)
    found["status"]["applicationState"]["errorMessage"] = "no quota"
    return found


def driver(spec_hash: str = "aaaa", uid: str = "pod", deleted: str | None = None, **status: Any) -> dict[str, Any]:
    labels = {HASH: spec_hash, "spark-role": "driver", APP_NAME: "gold"}
    metadata = {"name": "gold-driver", "uid": uid, "labels": labels}
    return {"metadata": metadata | ({"deletionTimestamp": deleted} if deleted else {}), "status": status}


def executor(phase: str = "Running", owner: str = "pod", ended: float | None = None) -> dict[str, Any]:
    """Return an executor of the driver with the uid `owner`; `ended` is the seconds since it has ended."""
    labels = {"spark-role": "executor", APP_NAME: "gold"}
    owners = [
        {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "name": "gold", "uid": "app"},
        {"apiVersion": "v1", "kind": "Pod", "name": "gold-driver", "uid": owner},
    ]
    over = {"exitCode": 0, "finishedAt": f"{ago(ended or 0):%Y-%m-%dT%H:%M:%SZ}"}
    container = {"name": "spark", "image": "", "imageID": "", "ready": False, "restartCount": 0}
    status = {
        "phase": phase,
        "containerStatuses": [] if ended is None else [container | {"state": {"terminated": over}}],
    }
    return {"metadata": {"name": "gold-exec-1", "labels": labels, "ownerReferences": owners}, "status": status}


def answer(seconds: float = 1, batch: int = 7, error: str = "") -> Answer:
    return Answer(Heard.ANSWER, {"gold": batch}, {"gold": seconds}, error)


def failed(*seconds_ago: float, **changes: Any) -> Memory:
    whole = Memory(submission="one", asked=ASKED, failures=tuple(ago(seconds) for seconds in seconds_ago))
    return replace(whole, **changes)


def seen(**changes: Any) -> Seen:
    """Return a stream that advances, but for `changes`."""
    whole = Seen(
        now=NOW,
        rendered=manifest(),
        live=live(),
        pods=(driver(), {"metadata": {"name": "gold-exec-1", "labels": {"spark-role": "executor"}}}),
        answer=answer(),
        memory=failed(),
    )
    return replace(whole, **changes)


def after(seconds: float, before: Seen, **changes: Any) -> Seen:
    """Return what is seen so many seconds after `before`, with what that look has left."""
    _, memory = decide(before, LIMITS)
    return replace(before, now=before.now + timedelta(seconds=seconds), **({"memory": memory} | changes))


def kind(found: Seen) -> Kind:
    return decide(found, LIMITS)[0].kind


def says(found: Seen) -> str:
    return decide(found, LIMITS)[0].says


def alerts(found: Seen) -> bool:
    return decide(found, LIMITS)[0].alert
