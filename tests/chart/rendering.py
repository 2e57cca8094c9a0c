"""Render the chart with `helm template` and find objects in the output."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "tweet-sentiment"
GOLDEN = Path(__file__).parent / "golden"
RELEASE, NAMESPACE = "tweet-sentiment", "tweets"
STREAMS_NAMESPACE = f"{NAMESPACE}-streams"
# Without a cluster, the chart generates no Secrets.
EXISTING = [
    "airflow.existingSecret=airflow-keys",
    "mlflow.existingSecret=mlflow-keys",
    "postgres.existingSecret=database",
]
S3 = (
    "storage.type=s3",
    "storage.s3.region=eu-west-1",
    "storage.s3.webIdentity=true",
    "landing=s3a://tweets-landing/voc_volume",
    "lake=s3a://tweets-lake/lake",
    "mlflow.artifacts=s3://tweets-lake/mlflow",
    "postgres.enabled=false",
    "demo.enabled=false",
    "dashboard.typing=false",
    "dashboard.ingress.enabled=true",
    "dashboard.ingress.tlsSecret=tweets-tls",
    'network.clients.dashboard=[{"namespaceSelector": {"matchLabels": {"team": "ingress"}}}]',
    "streams.createNamespace=true",
    "streams.gold.gpus=1",
    "image.registry=registry.example.com",
    "image.pullSecrets={registry}",
    "serviceAccounts.bronze.annotations.role=arn:bronze",
    "backup.enabled=true",
    "backup.destination=s3a://tweets-backup/tweets",
)
CASES: dict[str, tuple[str, ...]] = {"default": (), "s3": S3, "backup": ("backup.enabled=true",)}

# The jobs on the tables of a stopped stream, by the layer with their settings and service account.
JOB_LAYERS = {"rescore": "gold", "rebuild-silver": "silver", "rebuild-gold": "gold", "replay": "silver"}
LAYERS = ("bronze", "silver", "gold")

Object = dict[str, Any]


def helm(
    *settings: str,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    monitoring: bool = False,
    only: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run `helm template`; return the process, whatever its exit code.

    `settings` are arguments of --set in addition to EXISTING, or of --set-json if the value is a list in JSON.
    `monitoring` pretends that the cluster has the Prometheus operator, and `only` names the templates to show.
    """
    return run_template(settings, release, namespace, monitoring, tuple(only))


@cache
def run_template(
    settings: tuple[str, ...], release: str, namespace: str, monitoring: bool, only: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    arguments = []
    for setting in (*EXISTING, *settings):
        arguments += ["--set-json" if "=[" in setting else "--set", setting]
    arguments += [part for template in only for part in ("--show-only", template)]
    api = ["--api-versions", "monitoring.coreos.com/v1"] if monitoring else []
    return subprocess.run(
        ["helm", "template", release, CHART, "-n", namespace, "--kube-version", "1.34", *api, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def render(
    *settings: str, release: str = RELEASE, namespace: str = NAMESPACE, monitoring: bool = False
) -> list[Object]:
    """Return all objects of the chart; fail with helm's message if it refuses the settings."""
    process = helm(*settings, release=release, namespace=namespace, monitoring=monitoring)
    assert process.returncode == 0, process.stderr
    return [document for document in yaml.load_all(process.stdout, Loader=yaml.CSafeLoader) if document]


def objects(documents: list[Object], kind: str) -> dict[str, Object]:
    """Return the objects of one kind by name; names that occur in both namespaces must not matter to the caller."""
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def templates(documents: list[Object], config_map: str) -> dict[str, Object]:
    """Return the objects that a ConfigMap of the chart holds for the DAGs, by the name of the entry."""
    data = objects(documents, "ConfigMap").get(config_map, {}).get("data", {})
    return {name.removesuffix(".yaml"): yaml.safe_load(text) for name, text in data.items()}


def applications(documents: list[Object]) -> dict[str, Object]:
    """Return the SparkApplications by name."""
    return templates(documents, "stream-applications")


def pods(documents: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield each pod and pod template, with its namespace, metadata and spec, as ("<kind> <name>", pod)."""
    for name, pod in templates(documents, "job-pods").items():
        yield f"Job pod {name}", pod
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "Pod":
            spec = {"template": document}
        if document["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            metadata = {"namespace": document["metadata"]["namespace"], **spec["template"]["metadata"]}
            yield f"{document['kind']} {document['metadata']['name']}", {**spec["template"], "metadata": metadata}


def pod_specs(documents: list[Object]) -> dict[str, Object]:
    """Return the spec of each pod and pod template by "<kind> <name>"."""
    return {name: pod["spec"] for name, pod in pods(documents)}


def assert_golden(file: Path, text: str) -> None:
    """Compare `text` with a file of the repository; UPDATE_GOLDEN=true writes an intended change to the file."""
    if os.environ.get("UPDATE_GOLDEN") == "true":
        file.write_text(text)
    assert text == file.read_text(), f"{file.name} differs: if the change is intended, run with UPDATE_GOLDEN=true"
