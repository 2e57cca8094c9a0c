"""helm/deploy.py with fake kubectl and helm: what it shows while helm waits, and at the end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import deploy
from pod_state import why_pod_not_ready, why_workload_not_ready

# Prints the objects of the current step, or a log line. helm copies one step after the other to the file `now`.
FAKE_KUBECTL = """#!{python}
import json, pathlib, sys
arguments = sys.argv[1:]
if "logs" in arguments:
    print(f"a line of {{arguments[arguments.index('-c') + 1]}}")
    sys.exit()
namespace, kinds = arguments[1], arguments[3]
objects = json.loads(pathlib.Path("{folder}/now").read_text())
kinds = [kind.removesuffix("s") for kind in kinds.split(",")]
items = [o for o in objects if o["kind"].lower() in kinds and o["metadata"]["namespace"] == namespace]
if "--field-selector" in arguments:
    name = arguments[arguments.index("--field-selector") + 1].partition("=")[2]
    items = [o for o in items if o["metadata"]["name"] == name]
print(json.dumps({{"items": items}}))
"""
FAKE_HELM = """#!{python}
import pathlib, sys, time
folder = pathlib.Path("{folder}")
if sys.argv[1] == "get":
    sys.exit(print("the login"))
(folder / "arguments").write_text(" ".join(sys.argv[1:]))
for step in sorted(folder.glob("step-*")):
    step.replace(folder / "new")
    (folder / "new").replace(folder / "now")
    time.sleep(1.5)
print("{message}")
sys.exit({code})
"""


def pod(name: str, ready: bool = False, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}, *status.pop("conditions", [])]
    metadata = {"name": name, "namespace": "tweets", "labels": {"app.kubernetes.io/name": name.partition("-")[0]}}
    return {"kind": "Pod", "metadata": metadata, "status": {"phase": "Pending", "conditions": conditions, **status}}


def container(name: str, ready: bool = False, **state: Any) -> dict[str, Any]:
    last = state.pop("last", None)
    return {"name": name, "ready": ready, "state": state} | ({"lastState": {"terminated": last}} if last else {})


def stateful_set(name: str, ready: int, **status: Any) -> dict[str, Any]:
    return {
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "tweets", "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": name}}},
        "status": {"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": 1, **status},
    }


MIGRATING = container("migrate", running={})
NO_SECRET = {"reason": "CreateContainerConfigError", "message": 'secret\n"keys" not found'}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod("airflow-0", ready=True), ""),
        (pod("done", phase="Succeeded"), ""),
        (
            pod("a", conditions=[{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu."}]),
            "not scheduled: Insufficient cpu.",
        ),
        (
            pod("a", containerStatuses=[container("a", waiting={"reason": "ContainerCreating"})]),
            "its containers are being created",
        ),
        (pod("a", phase="Failed", reason="Evicted", message="low on memory"), "failed: low on memory"),
        (
            pod("a", containerStatuses=[container("a", waiting={"reason": "ErrImagePull"}) | {"image": "none:1"}]),
            "a: the image none:1 cannot be pulled",
        ),
        (
            pod("a", containerStatuses=[container("a", waiting={"reason": "ImagePullBackOff"}) | {"image": "none:1"}]),
            "a: the image none:1 cannot be pulled",
        ),
        (
            pod("a", containerStatuses=[container("a", waiting=NO_SECRET)]),
            'a: CreateContainerConfigError: secret "keys" not found',
        ),
        # Only the first unfinished init container counts.
        (
            pod(
                "airflow-0",
                initContainerStatuses=[
                    container("first", ready=True, terminated={"exitCode": 0}),
                    MIGRATING,
                    container("next", waiting={"reason": "PodInitializing"}),
                ],
                containerStatuses=[container("scheduler", waiting={"reason": "PodInitializing"})],
            ),
            "migrate: running, but not ready",
        ),
        (
            pod(
                "a",
                initContainerStatuses=[
                    container(
                        "migrate",
                        started=False,
                        waiting={"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"},
                        last={"exitCode": 1, "reason": "Error", "message": "a traceback\nerror: a newer version\n"},
                    )
                ],
            ),
            "migrate: CrashLoopBackOff, ended with exit code 1: error: a newer version",
        ),
        (
            pod("a", containerStatuses=[container("a", terminated={"exitCode": 137, "reason": "OOMKilled"})]),
            "a: ended with exit code 137 (OOMKilled)",
        ),
        (
            pod(
                "a",
                containerStatuses=[
                    container("api-server", running={}),
                    container("scheduler", running={}),
                    container("dag-processor", ready=True, running={}),
                ],
            ),
            "api-server: running, but not ready; scheduler: running, but not ready",
        ),
    ],
)
def test_the_reason_of_a_pod(found: dict[str, Any], reason: str) -> None:
    assert why_pod_not_ready(found) == reason


def test_a_sidecar_that_runs_does_not_hold_up_the_pod() -> None:
    sidecar, other = container("proxy", ready=True, running={}), container("b", running={})
    found = pod("a", initContainerStatuses=[sidecar], containerStatuses=[other])
    assert why_pod_not_ready(found) == "b: running, but not ready"


def test_the_reason_of_a_workload() -> None:
    ready, starting = pod("airflow-0", ready=True), pod("airflow-0")
    assert why_workload_not_ready(stateful_set("airflow", 1), [ready]) == ""
    assert why_workload_not_ready(stateful_set("airflow", 0), []) == "a pod is missing"
    assert why_workload_not_ready(stateful_set("airflow", 0), [starting]) == ""  # the pod has a reason of its own
    assert (
        why_workload_not_ready(stateful_set("airflow", 1, updatedReplicas=0), [ready]) == "its pods are being replaced"
    )
    assert (
        why_workload_not_ready(stateful_set("airflow", 1, observedGeneration=0), [ready])
        == "waiting for its controller"
    )


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, steps: list[list[dict[str, Any]]], code: int) -> None:
    message = "Error: context deadline exceeded" if code else "NOTES: the login"
    (folder / "now").write_text("[]")
    for number, objects in enumerate(steps):
        (folder / f"step-{number}").write_text(json.dumps(objects))
    (folder / "bin").mkdir()
    for name, text in (("kubectl", FAKE_KUBECTL), ("helm", FAKE_HELM)):
        command = folder / "bin" / name
        command.write_text(text.format(python=sys.executable, folder=folder, message=message, code=code))
        command.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setattr(deploy, "_POLL_SECONDS", 0.1)


def lines(output: str) -> list[str]:
    """Return the printed lines without the seconds since the start."""
    return [line.partition(" s  ")[2] or line for line in output.splitlines()]


def test_each_change_is_shown_once_and_the_notes_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [
        [stateful_set("airflow", 0), pod("airflow-0", initContainerStatuses=[MIGRATING])],
        [stateful_set("airflow", 0), pod("airflow-0", containerStatuses=[container("scheduler", running={})])],
        [stateful_set("airflow", 1), pod("airflow-0", ready=True), pod("mlflow-1", ready=True)],
        [stateful_set("airflow", 1), pod("airflow-0", ready=True)],
    ]
    fake(tmp_path, monkeypatch, steps, code=0)
    assert deploy.deploy("tweet-sentiment", "tweets", "tweets-streams", ["--set", "a=b"]) == 0
    assert lines(capsys.readouterr().out) == [
        "tweets pod/airflow-0  migrate: running, but not ready",
        "tweets pod/airflow-0  scheduler: running, but not ready",
        "tweets pod/airflow-0  ready",
        "tweets pod/mlflow-1  gone",
        "NOTES: the login",
        "",
    ]
    arguments = (tmp_path / "arguments").read_text()
    assert arguments.startswith("upgrade --install tweet-sentiment ") and arguments.endswith("--wait --set a=b")


def test_after_a_timeout_the_pods_that_are_not_ready_and_the_login_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def event(name: str, message: str, at: str) -> dict[str, Any]:
        involved = {"name": name}
        metadata = {"name": f"{name}.1", "namespace": "tweets"}
        return {"kind": "Event", "type": "Warning", "metadata": metadata, "involvedObject": involved,
                "message": message, "lastTimestamp": at}  # fmt: skip

    steps = [
        [
            stateful_set("airflow", 0),
            pod("airflow-0", initContainerStatuses=[MIGRATING]),
            stateful_set("postgres", 0),
            event("postgres", "old", "2026-01-01T00:00:00Z"),
            event("postgres", "create Pod postgres-0 failed: exceeded quota", "2026-01-01T00:01:00Z"),
            event("postgres", "Error: something", "2026-01-01T00:03:00Z"),
            event("airflow-9", "of another", "2026-01-01T00:02:00Z"),
        ]
    ]
    fake(tmp_path, monkeypatch, steps, code=1)
    assert deploy.deploy("tweet-sentiment", "tweets", "tweets-streams", []) == 1
    output = lines(capsys.readouterr().out)
    end = output[output.index("Error: context deadline exceeded") :]
    assert [line.strip() for line in end if line.strip()] == [
        "Error: context deadline exceeded",
        "tweets pod/airflow-0  not ready: migrate: running, but not ready",
        "last log line of migrate: a line of migrate",
        "tweets statefulset/postgres  not ready: a pod is missing",
        "last warning: create Pod postgres-0 failed: exceeded quota",
        "Nothing is rolled back: pods that can start still start. Fix the cause, and run the same command again.",
        "the login",
    ]


def test_help_explains_the_script() -> None:
    script = Path(deploy.__file__)
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True)
    assert "pod by pod" in done.stdout and "--values" in done.stdout


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["deploy.py"])
    with pytest.raises(SystemExit, match="error: helm and kubectl not found"):
        deploy.main()
