"""The streams and Airflow have only the permissions that they need, and cannot gain more.

Each theft is attempted as the service account of a compromised process. Almost all requests are dry runs, so the
installation of the tests before stays as it is.
"""

import base64
import json
from typing import Any

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
    for verb in ("create", "get", "update", "patch", "delete", "deletecollection"):
        for resource in ("configmaps", "services", "persistentvolumeclaims", "sparkapplications"):
            assert not may(gold, verb, resource, installation.streams), (verb, resource)
    assert not may(gold, "create", "pods", installation.platform)
    assert not may(airflow, "create", "pods", "spark-operator")
    assert not may(airflow, "create", "pods", installation.streams, "--subresource=exec")
    assert not may(f"{installation.streams}:dashboard", "list", "pods", installation.streams)


@pytest.mark.parametrize("name", ["stream-applications", "job-pods", "stream-limits"])
def test_a_driver_cannot_write_what_airflow_trusts(installation: Installation, name: str) -> None:
    """Airflow applies what these ConfigMaps hold, under the service accounts of other layers and of its jobs."""
    account = f"--as=system:serviceaccount:{installation.streams}:bronze"
    stolen = installation.get("configmap", name)
    stolen["metadata"] = {"name": f"{name}-2"}
    patch = json.dumps({"data": {"gold.yaml": "stolen"}})
    for command in (
        ["delete", "configmap", name],
        ["delete", "configmap", "--all"],
        ["patch", "configmap", name, "-p", patch],
        ["create", "-f", "-"],
    ):
        output = installation.kubectl(*command, account, "--dry-run=server", stdin=json.dumps(stolen), check=False)
        assert "forbidden" in output.lower() and "cannot" in output, output


def test_a_driver_cannot_delete_the_lake(installation: Installation) -> None:
    account = f"--as=system:serviceaccount:{installation.streams}:bronze"
    for command in (["pvc", "lake"], ["pvc", "--all"], ["service", "--all"]):
        output = installation.kubectl("delete", *command, account, "--dry-run=server", check=False)
        assert "forbidden" in output.lower(), output


def test_a_driver_cannot_change_or_delete_pods_of_another_layer(installation: Installation) -> None:
    """Another image in the pod of Gold's driver would run under Gold's service account."""
    options = [f"--as=system:serviceaccount:{installation.streams}:bronze", "--dry-run=server"]
    image = {"spec": {"containers": [{"name": "spark-kubernetes-driver", "image": "localhost/x:1"}]}}
    label = {"metadata": {"labels": {"spark-role": "executor"}}}
    dashboard = installation.get("pods", "-l", "app.kubernetes.io/name=dashboard")["items"][0]["metadata"]["name"]
    executor = next(iter(installation.pods("Running", selector="app.kubernetes.io/name=silver,spark-role=executor")))
    for command in (
        ["patch", "pod", "gold-driver", "-p", json.dumps(image)],
        ["patch", "pod", "gold-driver", "-p", json.dumps(label)],
        ["patch", "pod", dashboard, "-p", json.dumps(label)],
        ["delete", "pod", "gold-driver"],
        ["delete", "pod", executor],
        ["delete", "pod", dashboard],
        ["delete", "pod", "-l", "app.kubernetes.io/name=gold"],
    ):
        output = installation.kubectl(*command, *options, check=False)
        assert "pods of its own service account" in output and "denied" in output, output
    own = next(iter(installation.pods("Running", selector="app.kubernetes.io/name=bronze,spark-role=executor")))
    assert "deleted" in installation.kubectl("delete", "pod", own, *options, check=False)


@pytest.mark.parametrize(
    ("labels", "allowed"),
    [
        ({"app.kubernetes.io/name": "gold", "spark-role": "executor", "sparkoperator.k8s.io/app-name": "gold"}, True),
        ({"app.kubernetes.io/name": "rescore", "spark-role": "executor"}, True),
        ({"app.kubernetes.io/name": "silver", "spark-role": "executor"}, False),
        ({"app.kubernetes.io/name": "dashboard"}, False),
        ({"sparkoperator.k8s.io/app-name": "bronze"}, False),
        ({"spark-role": "driver"}, False),
    ],
)
def test_a_driver_creates_pods_only_with_the_labels_of_its_layer(
    installation: Installation, labels: dict[str, str], allowed: bool
) -> None:
    """Labels select the pods that may connect to a driver, and the pods behind a Service."""
    output = create_pod(installation, {}, labels, f"--as=system:serviceaccount:{installation.streams}:gold")
    assert ("created" if allowed else "only as executors of its own layer") in output, output


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
    (
        {"env": [{"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "quality-password"}}}]},
        "not read Secrets",
    ),
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
    (
        {
            "env": [
                {
                    "name": "MLFLOW_TRACKING_PASSWORD",
                    "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "admin-password"}},
                }
            ]
        },
        "not read Secrets",
    ),
    ({"image": "localhost/x:1"}, "the image of the chart"),
    ({"args": ["bash", "-c", "true"]}, "only run the commands"),
    ({"command": ["bash"]}, "only run the commands"),
    ({"env": [{"name": "BASH_ENV", "value": "$(true)"}]}, "only run the commands"),
    ({"lifecycle": {"postStart": {"exec": {"command": ["true"]}}}}, "only run the commands"),
    ({"initContainers": [{"name": "x", "image": "localhost/x:1", "securityContext": SECURITY}]}, "the image of"),
    (
        {"volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "data-postgres-0"}}], "volumeMounts": []},
        "mount no volume",
    ),
    (
        {"volumes": [{"name": "x", "emptyDir": {}}], "volumeMounts": [{"name": "x", "mountPath": "/x"}]},
        "mount no volume",
    ),
]


@pytest.mark.parametrize("job", ["model-jobs", "quality"])
@pytest.mark.parametrize(("change", "message"), CHANGED_JOBS)
def test_a_job_of_airflow_runs_only_what_the_chart_has_rendered(
    installation: Installation, job: str, change: dict[str, object], message: str
) -> None:
    """The first change is empty: its pod is the one that the chart renders for the job, and it is allowed."""
    pod = yaml.safe_load(installation.get("configmap", "job-pods")["data"][f"{job}.yaml"])
    pod["metadata"]["name"] = "test-pod"
    pod["spec"]["containers"][0]["args"] = ["tweet-sentiment", job.removesuffix("-jobs"), "list"]
    container_keys = {"args", "command", "env", "envFrom", "image", "lifecycle", "volumeMounts"}
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


STOLEN_SPECS = [
    ({"image": "localhost/x:1"}, "(spec)"),
    ({"mainApplicationFile": "s3a://elsewhere/main.py"}, "(spec)"),
    ({"sparkConf": {"spark.kubernetes.driver.container.image": "localhost/x:1"}}, "(spec)"),
    ({"deps": {"pyFiles": ["s3a://elsewhere/x.py"]}}, "(spec)"),
    ({"sparkConfigMap": "stream-limits"}, "(spec)"),
    ({"volumes": [{"name": "x", "configMap": {"name": "kube-root-ca.crt"}}]}, "(spec)"),
    ({"arguments": ["bash", "-c", "true"]}, "command of a job"),
    ({"driver": {"image": "localhost/x:1"}}, "(driver and executor)"),
    ({"driver": {"javaOptions": "-javaagent:x"}}, "(driver and executor)"),
    ({"executor": {"initContainers": [{"name": "x", "image": "localhost/x:1"}]}}, "(driver and executor)"),
    ({"driver": {"env": [{"name": "BASH_ENV", "value": "$(true)"}]}}, "(environment)"),
    ({"executor": {"env": [{"name": "BASH_ENV", "value": "$(true)"}]}}, "(environment)"),
    ({"driver": {"template": {"spec": {"containers": [{"name": "x", "image": "localhost/x:1"}]}}}}, "(template)"),
]


@pytest.mark.parametrize(("change", "message"), STOLEN_SPECS)
def test_airflow_applies_only_what_the_chart_has_rendered(
    installation: Installation, change: dict[str, Any], message: str
) -> None:
    """Of two applications: one that does not exist, and Gold, with a patch. A dry run of a patch would be allowed."""
    account = f"--as=system:serviceaccount:{installation.platform}:airflow"
    application = yaml.safe_load(installation.get("configmap", "stream-applications")["data"]["rescore.yaml"])
    application["spec"] |= {
        key: application["spec"][key] | value if key in ("driver", "executor") else value
        for key, value in change.items()
    }
    given = json.dumps(application)
    created = installation.kubectl("create", "-f", "-", account, "--dry-run=server", stdin=given, check=False)
    patch = ["patch", "sparkapplication", "gold", "--type=merge", "-p", json.dumps({"spec": change}), account]
    for output in (created, installation.kubectl(*patch, check=False)):
        assert message in output and "denied" in output, output


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


def test_airflow_and_mlflow_connect_as_their_own_roles(installation: Installation) -> None:
    """The superuser of the server is for its own pod; tests/migrations tests what the roles may not do."""
    statement = "SELECT DISTINCT usename, datname FROM pg_stat_activity WHERE client_addr IS NOT NULL"
    psql = ["psql", "-U", "tweets", "-d", "postgres", "-Atc", statement]
    connected = set(installation.kubectl("exec", "postgres-0", "-c", "postgres", "--", *psql, platform=True).split())
    assert connected and connected <= {"airflow|airflow", "mlflow|mlflow"}


@pytest.mark.parametrize("service", ["airflow", "mlflow", "postgres"])
def test_no_process_has_a_password_in_its_arguments(installation: Installation, service: str) -> None:
    secrets = installation.get("secrets", "airflow", "mlflow", "postgres", platform=True)["items"]
    values = [base64.b64decode(value).decode() for secret in secrets for value in secret["data"].values()]
    (pod,) = installation.get("pods", "-l", f"app.kubernetes.io/name={service}", platform=True)["items"]
    # A process may end meanwhile.
    read = ["bash", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; true"]
    for container in pod["spec"]["containers"]:
        name = container["name"]
        arguments = installation.kubectl("exec", pod["metadata"]["name"], "-c", name, "--", *read, platform=True)
        assert arguments.strip() and not [value for value in values if value in arguments], name
