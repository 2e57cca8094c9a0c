"""The streams and Airflow have only the permissions that they need, and cannot gain more by creating pods.

All requests are dry runs, so the installation of the tests before stays as it is.
"""

import json

import pytest
import yaml

from tests.cluster.installation import LAYERS, Installation, run_command

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

# The jobs on the tables of a stopped stream.
JOBS = ("rescore", "rebuild-silver", "rebuild-gold", "replay")


def test_roles_grant_only_what_is_needed(installation: Installation) -> None:
    def may(account: str, verb: str, resource: str, namespace: str, *options: str) -> bool:
        question = ["auth", "can-i", verb, resource, "-n", namespace, f"--as=system:serviceaccount:{account}", *options]
        return run_command("kubectl", *question, check=False).strip().endswith("yes")

    gold, airflow = f"{installation.streams}:gold", f"{installation.platform}:airflow"
    assert may(gold, "create", "pods", installation.streams)
    for application in ("gold", *JOBS):
        assert may(airflow, "patch", f"sparkapplications/{application}", installation.streams)
    for job in JOBS:
        assert may(airflow, "get", f"pods/{job}-driver", installation.streams, "--subresource=log")
    for account in (gold, airflow, f"{installation.streams}:dashboard", f"{installation.platform}:mlflow"):
        for namespace in (installation.platform, installation.streams, "kube-system", "spark-operator"):
            assert not may(account, "get", "secrets", namespace), (account, namespace)
    assert not may(gold, "create", "pods", installation.platform)
    assert not may(airflow, "create", "pods", "spark-operator")
    assert not may(airflow, "create", "pods", installation.streams, "--subresource=exec")
    assert not may(f"{installation.streams}:dashboard", "list", "pods", installation.streams)


SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 185,
    "seccompProfile": {"type": "RuntimeDefault"},
}


CHANGED_PODS = [
    ({}, ""),
    ({"volumes": [{"name": "secret", "secret": {"secretName": "other"}}]}, "may not mount Secrets"),
    (
        {"volumes": [{"name": "secret", "projected": {"sources": [{"secret": {"name": "other"}}]}}]},
        "may not mount Secrets",
    ),
    ({"env": [{"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}]}, "not read Secrets"),
    ({"envFrom": [{"secretRef": {"name": "other"}}]}, "not read Secrets"),
]


@pytest.mark.parametrize(
    ("change", "message"), [*CHANGED_PODS, ({"serviceAccountName": "silver"}, "of its own service")]
)
def test_a_driver_cannot_read_secrets_through_a_pod(
    installation: Installation, change: dict[str, object], message: str
) -> None:
    """Pods that a compromised driver could try to create; the first change is empty, and its pod is allowed."""
    output = create_pod(installation, change, {}, f"--as=system:serviceaccount:{installation.streams}:gold")
    assert (message in output and "denied" in output) if message else "created" in output, output


@pytest.mark.parametrize(
    ("change", "message"), [*CHANGED_PODS, ({"serviceAccountName": "default"}, "account of a layer")]
)
def test_the_operator_creates_no_pod_that_reads_secrets(
    installation: Installation, change: dict[str, object], message: str
) -> None:
    """Pods that an edited application would make the operator create; Spark gives each of its pods this label."""
    output = create_pod(installation, change, {"spark-role": "driver"})
    assert (message in output and "denied" in output) if message else "created" in output, output


def create_pod(installation: Installation, change: dict[str, object], labels: dict[str, str], *options: str) -> str:
    """Try to create a changed pod of Gold in a dry run; return the answer of the API server."""
    container: dict[str, object] = {
        "name": "test-pod",
        "image": "localhost/x:1",
        "command": ["true"],
        "securityContext": SECURITY,
    }
    spec: dict[str, object] = {"serviceAccountName": "gold", "containers": [container]}
    container |= {key: value for key, value in change.items() if key.startswith("env")}
    spec |= {key: value for key, value in change.items() if not key.startswith("env")}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "test-pod", "labels": labels}, "spec": spec}
    return installation.kubectl(
        "create", "--dry-run=server", "-f", "-", *options, stdin=json.dumps(pod), check=False
    )  # fmt: skip


CHANGED_JOBS = [
    ({}, ""),
    ({"serviceAccountName": "default"}, "pods of its jobs only"),
    (
        {"volumes": [{"name": "secret", "secret": {"secretName": "airflow"}}], "volumeMounts": []},
        "may not mount Secrets",
    ),
    (
        {"env": [{"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "postgres", "key": "k"}}}]},
        "not read Secrets",
    ),
    ({"envFrom": [{"secretRef": {"name": "postgres"}}]}, "not read Secrets"),
    ({"image": "localhost/x:1"}, "the image of the chart"),
]


@pytest.mark.parametrize("job", ["model-jobs", "quality"])
@pytest.mark.parametrize(("change", "message"), CHANGED_JOBS)
def test_a_job_of_airflow_cannot_read_secrets(
    installation: Installation, job: str, change: dict[str, object], message: str
) -> None:
    """The first change is empty: its pod is the one that the chart renders for the job, and it is allowed."""
    pod = yaml.safe_load(installation.get("configmap", "job-pods")["data"][f"{job}.yaml"])
    pod["metadata"]["name"] = "test-pod"
    container_keys = {"env", "envFrom", "image", "volumeMounts"}
    pod["spec"] |= {key: value for key, value in change.items() if key not in container_keys}
    pod["spec"]["containers"][0] |= {key: value for key, value in change.items() if key in container_keys}
    account = f"--as=system:serviceaccount:{installation.platform}:airflow"
    output = run_command(
        "kubectl", "create", "--dry-run=server", "-f", "-", account, stdin=json.dumps(pod), check=False
    )  # fmt: skip
    assert (message in output and "denied" in output) if message else "created" in output, output


def test_airflow_deletes_and_changes_only_its_own_pods(installation: Installation) -> None:
    """It may delete drivers too, which keep_streams_running ends when they are stuck, and executors that have ended."""
    options = ["--dry-run=server", f"--as=system:serviceaccount:{installation.platform}:airflow"]

    def refused(*command: str, platform: bool = False) -> bool:
        return "pods of its jobs only" in installation.kubectl(*command, *options, platform=platform, check=False)

    dashboard = installation.get("pods", "-l", "app.kubernetes.io/name=dashboard")["items"][0]["metadata"]["name"]
    assert refused("delete", "pod", dashboard)
    assert refused("delete", "pod", "postgres-0", platform=True)
    label = json.dumps({"metadata": {"labels": {"a": "b"}}})
    assert refused("patch", "pod", "postgres-0", "-p", label, platform=True)
    assert not refused("delete", "pod", "gold-driver")
    executor = next(iter(installation.pods("Running", selector="spark-role=executor")))
    assert refused("delete", "pod", executor)


def test_airflow_cannot_create_or_change_a_stream_at_will(installation: Installation) -> None:
    application = installation.get("sparkapplication", "gold")
    application["metadata"] = {"name": "gold"}
    account = f"--as=system:serviceaccount:{installation.platform}:airflow"
    for change, message in (
        ({"driver": {"serviceAccount": "default"}}, "service account of its name"),
        ({"volumes": [{"name": "secret", "secret": {"secretName": "other"}}]}, "may not mount Secrets"),
    ):
        output = installation.kubectl(
            "patch", "sparkapplication", "gold", "--type=merge", "-p", json.dumps({"spec": change}), account,
            "--dry-run=server", check=False,
        )  # fmt: skip
        assert message in output, output
    application["metadata"] = {"name": "another"}
    output = installation.kubectl(
        "create", "-f", "-", account, "--dry-run=server", stdin=json.dumps(application), check=False
    )
    assert f"only the applications {', '.join([*LAYERS, *JOBS])}" in output


@pytest.mark.parametrize("job", JOBS)
def test_airflow_applies_a_job_under_the_service_account_of_its_layer_only(
    installation: Installation, job: str
) -> None:
    application = yaml.safe_load(installation.get("configmap", "stream-applications")["data"][f"{job}.yaml"])
    account = f"--as=system:serviceaccount:{installation.platform}:airflow"

    def create() -> str:
        given = json.dumps(application)
        return installation.kubectl("create", "-f", "-", account, "--dry-run=server", stdin=given, check=False)

    output = create()
    assert "created" in output, output
    for role in ("driver", "executor"):
        application["spec"][role]["serviceAccount"] = "bronze"
    output = create()
    assert "a job under the account of its layer" in output, output
