"""What is read out of a pod's status."""

from typing import Any

import pytest

from tests.dags.facts import NOW, driver, executor
from tweet_dags.pods import ended, left_over, lost, pending, trouble

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
# What the kubelet takes from the end of a log, where a container has left no message.
LOG = "12:00:00 ERROR Utils\nerror: no lake is set: set TWEETS_LAKE\n\tat org.apache.Spark.run(Spark.java:1)\n"


def container(state: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": "spark", "state": state} | ({"lastState": last} if last else {})


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (INIT_FAILED, "the container landing ended with 1: Error mkdir: read-only file system"),
        (
            {
                "initContainerStatuses": [
                    container(
                        {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                        {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                    )
                ]
            },
            "the container spark ended with 137: OOMKilled",
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
            "the container spark ended with 2: Error error: no lake is set: set TWEETS_LAKE",
        ),
        ({"containerStatuses": [container({"waiting": {"reason": "ContainerCreating"}})]}, "starting"),
        ({}, "starting"),
    ],
)
def test_why_a_pod_does_not_run_yet(status: dict[str, Any], reason: str) -> None:
    assert pending(driver(**status)) == reason


def test_without_a_pod_there_is_no_trouble() -> None:
    assert trouble(None) == "" and trouble(driver()) == ""


def conditions(ready: str, containers: str) -> list[dict[str, str]]:
    return [{"type": "Ready", "status": ready}, {"type": "ContainersReady", "status": containers}]


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        (driver(), False),
        (driver(conditions=conditions("True", "True")), False),
        # A kubelet that lives, and a container that is not ready.
        (driver(conditions=conditions("False", "False")), False),
        (driver(conditions=conditions("False", "True")), True),
        (driver(conditions=conditions("Unknown", "True")), True),
        (driver(reason="NodeLost"), True),
        (driver(deleted="2026-11-25T12:00:30Z"), False),
        (driver(deleted="2026-11-25T11:59:10Z"), False),
        (driver(deleted="2026-11-25T11:58:50Z"), True),
    ],
)
def test_a_pod_to_which_nobody_sees(pod: dict[str, Any], found: bool) -> None:
    assert bool(lost(pod, NOW)) is found


def test_a_gate_of_somebody_else_is_no_lost_node() -> None:
    pod = driver(conditions=conditions("False", "True")) | {"spec": {"readinessGates": [{"conditionType": "x"}]}}
    assert lost(pod, NOW) == ""


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        (executor(), False),
        (executor("Succeeded"), True),
        (executor("Failed"), True),
        # The cluster writes so, and what it runs may still be at work.
        (executor("Failed") | {"status": {"phase": "Failed", "reason": "NodeLost"}}, False),
        (driver(phase="Succeeded"), False),
    ],
)
def test_which_executors_are_over(pod: dict[str, Any], found: bool) -> None:
    assert ended(pod) is found


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        # Its driver takes it away, or has kept it to be looked at.
        (executor("Failed", owner="pod", ended=900), False),
        (executor("Succeeded", owner="killed", ended=900), True),
        (executor("Succeeded", owner="killed", ended=60), False),
    ],
)
def test_which_executors_nobody_takes_away(pod: dict[str, Any], found: bool) -> None:
    assert left_over(pod, driver(), NOW) is found


def test_without_a_driver_all_that_are_over_are_left() -> None:
    assert left_over(executor("Succeeded", ended=900), None, NOW)
