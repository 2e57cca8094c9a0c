"""The scripts call terraform, aws, kubectl and helm correctly, tested with fake commands; no secret is an argument."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.terraform.conftest import Applied

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(900)]

SCRIPTS = Path(__file__).parents[2] / "terraform" / "scripts"
# Records its arguments and standard input, and prints the answers that the scripts need.
FAKE_COMMAND = """#!/usr/bin/env bash
name=$(basename "$0")
echo "$name $*" >> "$CALLS"
case "$name $*" in
  terraform*output*) cat "$OUTPUTS" ;;
  aws*get-secret-value*) echo '{"username": "tweets", "password": "first-password"}' ;;
  *"get services"*) echo '{"items": [{"metadata": {"namespace": "web", "name": "lb"}, "spec": {"type": "LoadBalancer"}},
    {"metadata": {"namespace": "web", "name": "inner"}, "spec": {"type": "ClusterIP"}}]}' ;;
  *dry-run*) echo "kind: Namespace" ;;
  *"apply -f -"*|*" run "*) cat >> "$INPUTS" ;;
esac
"""


def run(script: str, example: Applied, folder: Path, *arguments: str) -> tuple[str, str]:
    """Run a script with fake commands; return the recorded command lines and standard inputs."""
    for name in ("terraform", "aws", "kubectl", "helm"):
        fake = folder / "bin" / name
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(FAKE_COMMAND)
        fake.chmod(0o755)
    (folder / "outputs.json").write_text(json.dumps(example.outputs))
    calls, inputs = folder / "calls", folder / "inputs"
    inputs.touch()
    done = subprocess.run(
        ["bash", str(SCRIPTS / script), "an/example", *arguments],
        env={
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "INPUTS": str(inputs),
            "OUTPUTS": str(folder / "outputs.json"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return calls.read_text(), inputs.read_text()


def test_cluster_creates_namespaces_storage_class_operator_and_autoscaler(example: Applied, tmp_path: Path) -> None:
    calls, inputs = run("cluster.sh", example, tmp_path)
    name = example.outputs["cluster_name"]["value"]
    assert f"aws eks update-kubeconfig --name {name} --region eu-central-1" in calls
    namespaces = calls.index("kubectl create namespace tweet-sentiment-streams")
    assert namespaces < calls.index("helm upgrade --install spark-operator"), (
        "the namespaces must exist before the operator"
    )
    assert "spark.jobNamespaces={tweet-sentiment-streams}" in calls
    assert f"autoDiscovery.clusterName={name}" in calls
    assert calls.count("--version") == 2, "ingress and Prometheus are optional"
    for namespace in ("tweet-sentiment", "tweet-sentiment-streams"):
        assert f"label --overwrite namespace {namespace} pod-security.kubernetes.io/enforce=restricted" in calls
    disks = yaml.safe_load(inputs[inputs.index("apiVersion: storage.k8s.io/v1") :])
    assert disks["parameters"]["encrypted"] == "true"
    assert disks["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"


def test_cluster_installs_ingress_and_prometheus_on_request(example: Applied, tmp_path: Path) -> None:
    calls, _ = run("cluster.sh", example, tmp_path, "ingress", "prometheus")
    for part in ("spark-operator", "cluster-autoscaler", "aws-load-balancer-controller", "kube-prometheus-stack"):
        (line,) = (line for line in calls.splitlines() if line.startswith("helm") and f" {part} --repo" in line)
        assert re.search(r"--version \d+\.\d+\.\d+ ", line), part
    assert f"vpcId={example.outputs['vpc_id']['value']}" in calls, "pods cannot read the VPC from the metadata"


def test_cluster_refuses_an_unknown_component() -> None:
    done = subprocess.run(["bash", SCRIPTS / "cluster.sh", "x", "grafana"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unknown component grafana: use ingress or prometheus" in done.stderr


def test_database_creates_users_and_the_secret(examples: dict[str, Applied], tmp_path: Path) -> None:
    calls, inputs = run("database.sh", examples["production"], tmp_path)
    outputs = examples["production"].outputs["database"]["value"]
    assert f"--secret-id {outputs['secret_arn']}" in calls
    assert "first-password" not in calls and "PASSWORD '" not in calls, "no secret may be an argument"
    assert inputs.startswith("first-password\n")
    secret = inputs[inputs.index("kind: Secret") :]
    assert "metadata: {name: database, namespace: tweet-sentiment}" in secret
    for user in ("airflow", "mlflow"):
        password = inputs.split(f"ALTER ROLE {user} LOGIN PASSWORD '")[1].split("'")[0]
        assert len(password) == 48 and password not in calls
        uri = f"postgresql+psycopg2://{user}:{password}@{outputs['host']}:{outputs['port']}/{user}?sslmode=require"
        assert f'{user}-uri: "{uri}"' in secret


def test_down_removes_load_balancers_and_disks(examples: dict[str, Applied], tmp_path: Path) -> None:
    calls, _ = run("down.sh", examples["minimal"], tmp_path)
    order = ["uninstall tweet-sentiment", "delete sparkapplications --all", "delete ingress", "delete service lb"]
    assert [calls.index(step) for step in order] == sorted(calls.index(step) for step in order)
    assert "delete service inner" not in calls
    assert calls.count("delete persistentvolumeclaims") == 3
    assert calls.rindex("get persistentvolumes") > calls.rindex("delete persistentvolumeclaims"), (
        "the script must wait for the disks"
    )
