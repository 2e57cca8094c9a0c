"""What the reconciler reads from the status of a pod."""

from typing import Any

import pytest

from tests.dags.observations import NOW, driver, executor
from tweet_dags.kubernetes.pods import (
    container_failure,
    is_finished_executor,
    is_orphaned,
    pending_reason,
    why_node_lost,
)

INIT_FAILED: dict[str, Any] = {
    "initContainerStatuses": [
        {
            "name": "landing",
            "state": {"terminated": {"exitCode": 1, "reason": "Error", "message": "mkdir: read-only file system"}},
        }
    ],
    "containerStatuses": [{"name": "spark", "state": {"waiting": {"reason": "PodInitializing"}}}],
    "conditions": [
        {"type": "Initialized", "status": "False", "message": "containers with incomplete status: [landing]"}
    ],
}
# If a container has left no termination message, the kubelet reports the end of its log.
LOG = "12:00:00 ERROR Utils\nerror: no lake is set: set TWEETS_LAKE\n\tat org.apache.Spark.run(Spark.java:1)\n"


def container(state: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": "spark", "state": state} | ({"lastState": last} if last else {})


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (INIT_FAILED, "the container landing exited with code 1: Error mkdir: read-only file system"),
        (
            {
                "initContainerStatuses": [
                    container(
                        {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                        {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                    )
                ]
            },
            "the container spark exited with code 137: OOMKilled",
        ),
        (
            {
                "initContainerStatuses": [container({"terminated": {"exitCode": 0, "reason": "Completed"}})],
                "containerStatuses": [container({"waiting": {"reason": "ErrImagePull", "message": "not found"}})],
            },
            "ErrImagePull not found",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]},
            "0/1 nodes are available",
        ),
        (
            {"containerStatuses": [container({"terminated": {"exitCode": 2, "reason": "Error", "message": LOG}})]},
            "the container spark exited with code 2: Error error: no lake is set: set TWEETS_LAKE",
        ),
        ({"containerStatuses": [container({"waiting": {"reason": "ContainerCreating"}})]}, "starting"),
        ({}, "starting"),
    ],
)
def test_the_reason_why_a_pod_is_pending(status: dict[str, Any], reason: str) -> None:
    assert pending_reason(driver(**status)) == reason


def test_a_healthy_or_missing_pod_has_no_container_failure() -> None:
    assert container_failure(None) == "" and container_failure(driver()) == ""


def conditions(ready: str, containers: str) -> list[dict[str, str]]:
    return [{"type": "Ready", "status": ready}, {"type": "ContainersReady", "status": containers}]


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (driver(), False),
        (driver(conditions=conditions("True", "True")), False),
        # The kubelet is healthy, and a container is not ready.
        (driver(conditions=conditions("False", "False")), False),
        (driver(conditions=conditions("False", "True")), True),
        (driver(conditions=conditions("Unknown", "True")), True),
        (driver(reason="NodeLost"), True),
        (driver(deleted="2026-11-25T12:00:30Z"), False),
        (driver(deleted="2026-11-25T11:59:10Z"), False),
        (driver(deleted="2026-11-25T11:58:50Z"), True),
    ],
)
def test_a_pod_on_a_lost_node(pod: dict[str, Any], expected: bool) -> None:
    assert bool(why_node_lost(pod, NOW)) is expected


def test_an_unmet_readiness_gate_is_no_lost_node() -> None:
    pod = driver(conditions=conditions("False", "True")) | {"spec": {"readinessGates": [{"conditionType": "x"}]}}
    assert why_node_lost(pod, NOW) == ""


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (executor(), False),
        (executor("Succeeded"), True),
        (executor("Failed"), True),
        # The cluster sets this status, and the processes may still be running.
        (executor("Failed") | {"status": {"phase": "Failed", "reason": "NodeLost"}}, False),
        (driver(phase="Succeeded"), False),
    ],
)
def test_which_executors_have_finished(pod: dict[str, Any], expected: bool) -> None:
    assert is_finished_executor(pod) is expected


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        # Its driver deletes it, or keeps it for inspection.
        (executor("Failed", owner="pod", finished=900), False),
        (executor("Succeeded", owner="killed", finished=900), True),
        (executor("Succeeded", owner="killed", finished=60), False),
    ],
)
def test_which_finished_executors_are_orphaned(pod: dict[str, Any], expected: bool) -> None:
    assert is_orphaned(pod, driver(), NOW) is expected


def test_without_a_driver_all_finished_executors_are_orphaned() -> None:
    assert is_orphaned(executor("Succeeded", finished=900), None, NOW)
