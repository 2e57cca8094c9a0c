"""The scripts, with stand-ins for the commands that they call: what is asked of whom; no secret is an argument."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.terraform.conftest import Applied

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(600)]

SCRIPTS = Path(__file__).parents[2] / "terraform" / "scripts"
# Writes down its arguments and what came in, and answers what the script goes on with.
STAND_IN = """#!/usr/bin/env bash
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
    """Run a script; return the calls that it made, and what it sent to them."""
    for name in ("terraform", "aws", "kubectl", "helm"):
        stand_in = folder / "bin" / name
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)
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


def test_cluster(example: Applied, tmp_path: Path) -> None:
    calls, inputs = run("cluster.sh", example, tmp_path)
    name = example.outputs["cluster_name"]["value"]
    assert f"aws eks update-kubeconfig --name {name} --region eu-central-1" in calls
    namespaces = calls.index("kubectl create namespace tweet-sentiment-streams")
    assert namespaces < calls.index("helm upgrade --install spark-operator"), "the operator comes after its namespace"
    assert "spark.jobNamespaces={tweet-sentiment-streams}" in calls
    assert f"autoDiscovery.clusterName={name}" in calls
    assert calls.count("--version") == 2, "neither ingress nor Prometheus unless asked for"
    for namespace in ("tweet-sentiment", "tweet-sentiment-streams"):
        assert f"label --overwrite namespace {namespace} pod-security.kubernetes.io/enforce=restricted" in calls
    disks = yaml.safe_load(inputs[inputs.index("apiVersion: storage.k8s.io/v1") :])
    assert disks["parameters"]["encrypted"] == "true"
    assert disks["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"


def test_ingress_and_prometheus_on_request(example: Applied, tmp_path: Path) -> None:
    calls, _ = run("cluster.sh", example, tmp_path, "ingress", "prometheus")
    for part in ("spark-operator", "cluster-autoscaler", "aws-load-balancer-controller", "kube-prometheus-stack"):
        (line,) = (line for line in calls.splitlines() if line.startswith("helm") and f" {part} --repo" in line)
        assert re.search(r"--version \d+\.\d+\.\d+ ", line), part
    assert f"vpcId={example.outputs['vpc_id']['value']}" in calls, "no pod reaches the metadata of its node"


def test_what_the_script_does_not_know_it_refuses() -> None:
    done = subprocess.run(["bash", SCRIPTS / "cluster.sh", "x", "grafana"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "grafana is neither ingress nor prometheus" in done.stderr


def test_database(examples: dict[str, Applied], tmp_path: Path) -> None:
    calls, inputs = run("database.sh", examples["production"], tmp_path)
    outputs = examples["production"].outputs["database"]["value"]
    assert f"--secret-id {outputs['secret_arn']}" in calls
    assert "first-password" not in calls and "PASSWORD '" not in calls, "no secret is an argument"
    assert inputs.startswith("first-password\n")
    secret = inputs[inputs.index("kind: Secret") :]
    assert "metadata: {name: database, namespace: tweet-sentiment}" in secret
    for user in ("airflow", "mlflow"):
        password = inputs.split(f"ALTER ROLE {user} LOGIN PASSWORD '")[1].split("'")[0]
        assert len(password) == 48 and password not in calls
        uri = f"postgresql+psycopg2://{user}:{password}@{outputs['host']}:{outputs['port']}/{user}?sslmode=require"
        assert f'{user}-uri: "{uri}"' in secret


def test_down(examples: dict[str, Applied], tmp_path: Path) -> None:
    calls, _ = run("down.sh", examples["minimal"], tmp_path)
    order = ["uninstall tweet-sentiment", "delete sparkapplications --all", "delete ingress", "delete service lb"]
    assert [calls.index(step) for step in order] == sorted(calls.index(step) for step in order)
    assert "delete service inner" not in calls
    assert calls.count("delete persistentvolumeclaims") == 3
    assert calls.rindex("get persistentvolumes") > calls.rindex("delete persistentvolumeclaims"), (
        "it waits for the disks"
    )
