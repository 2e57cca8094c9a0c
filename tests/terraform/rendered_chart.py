"""Render the chart from an example's outputs with `make values` and `helm template`, as the READMEs describe."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
CHART = PROJECT / "helm" / "tweet-sentiment"
TAG = "1.2.3"


@dataclass(frozen=True)
class Pod:
    """A pod of the chart or of a SparkApplication.

    Attributes:
        name: kind and name of the document, or name and role of the application.
        namespace: namespace of the pod.
        account: its service account.
        images: images of its containers.
        env: environment variables with a value.
        options: values of the options `--name=value` in its commands.
        nodes: its node selector.
        tolerations: its tolerations.
    """

    name: str
    namespace: str
    account: str
    images: set[str]
    env: dict[str, str]
    options: dict[str, str]
    nodes: dict[str, str]
    tolerations: list[dict[str, Any]]


class RenderedChart:
    """The output of `helm template` for an example's outputs."""

    def __init__(self, name: str, outputs: dict[str, Any], folder: Path) -> None:
        self.values = values(name, outputs, folder)
        self.platform = outputs["namespaces"]["value"]["platform"]
        done = template(self.platform, folder / "values.yaml")
        assert done.returncode == 0, done.stderr
        self.documents = [document for document in yaml.safe_load_all(done.stdout) if document]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Map `namespace/name` to the documents of a kind."""
        return {
            f"{d['metadata'].get('namespace', self.platform)}/{d['metadata']['name']}": d
            for d in self.documents
            if d["kind"] == kind
        }

    @cached_property
    def applications(self) -> dict[str, dict[str, Any]]:
        """The SparkApplications that the DAGs apply, by name."""
        return {name: manifest for name, manifest in self._manifests() if manifest["kind"] == "SparkApplication"}

    def _manifests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield name and content of the manifests that the DAGs apply, which ConfigMaps hold as text."""
        for config in self.of("ConfigMap").values():
            for file, text in config.get("data", {}).items():
                document = yaml.safe_load(text) if file.endswith(".yaml") else None
                if isinstance(document, dict) and "kind" in document:
                    name = file.removesuffix(".yaml")
                    yield name, {**document, "metadata": {"name": name, **document["metadata"]}}

    @cached_property
    def pods(self) -> list[Pod]:
        """All pods: of the chart's workloads, of the DAGs' pod manifests and of the SparkApplications."""
        pods = []
        jobs = [manifest for _, manifest in self._manifests() if manifest["kind"] == "Pod"]
        for document in [*self.documents, *jobs]:
            namespace = document["metadata"].get("namespace", self.platform)
            for spec in _pod_specs(document):
                pods.append(_pod(f"{document['kind']} {document['metadata']['name']}", namespace, spec))
        for name, application in self.applications.items():
            for role in ("driver", "executor"):
                pods.append(_spark_pod(f"{name} {role}", application, role))
        return pods


def values(name: str, outputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run `make values` with a fake terraform that prints `outputs`, and write values.yaml to `folder`."""
    fake = folder / "bin" / "terraform"
    fake.parent.mkdir(exist_ok=True)
    fake.write_text(f'#!/bin/sh\ntest "$1" = -chdir=terraform/examples/{name} && cat {folder}/outputs.json\n')
    fake.chmod(0o755)
    (folder / "outputs.json").write_text(json.dumps(outputs))
    done = subprocess.run(
        ["make", "-s", "-C", PROJECT, "values", f"EXAMPLE={name}", f"TAG={TAG}"],
        env={**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}", "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder / "values.yaml").write_text(done.stdout)
    chart_values: dict[str, Any] = yaml.safe_load(done.stdout)
    return chart_values


def template(namespace: str, *files: Path) -> subprocess.CompletedProcess[str]:
    assert shutil.which("helm"), "helm is not on the PATH: install helm, which renders the chart"
    # Without a cluster, the chart generates no Secrets. The last file wins.
    secrets = (
        "airflow: {existingSecret: airflow}\nmlflow: {existingSecret: mlflow}\npostgres: {existingSecret: postgres}\n"
    )
    value_files = [argument for file in ("-", *map(str, files)) for argument in ("-f", file)]
    return subprocess.run(
        ["helm", "template", "tweet-sentiment", CHART, "-n", namespace, "--kube-version", "1.35", *value_files],
        input=secrets,
        capture_output=True,
        text=True,
        check=False,
    )


def _pod_specs(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every pod spec at any depth, so that no kind of workload is missed."""
    if isinstance(value, dict):
        if isinstance(value.get("containers"), list):
            yield value
        else:
            for inner in value.values():
                yield from _pod_specs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _pod_specs(inner)


def _env(containers: list[dict[str, Any]]) -> dict[str, str]:
    return {
        variable["name"]: variable["value"]
        for container in containers
        for variable in container.get("env", [])
        if "value" in variable
    }


def _options(containers: list[dict[str, Any]]) -> dict[str, str]:
    words = (word for container in containers for word in (*container.get("command", []), *container.get("args", [])))
    return dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--") and "=" in word)


def _pod(name: str, namespace: str, spec: dict[str, Any]) -> Pod:
    containers = [*spec["containers"], *spec.get("initContainers", [])]
    return Pod(
        name,
        namespace,
        spec.get("serviceAccountName", "default"),
        {container["image"] for container in containers},
        _env(containers),
        _options(containers),
        spec.get("nodeSelector", {}),
        spec.get("tolerations", []),
    )


def _spark_pod(name: str, application: dict[str, Any], role: str) -> Pod:
    spec = application["spec"]
    pod = spec[role]
    selector = f"spark.kubernetes.{role}.node.selector."
    nodes = {key.removeprefix(selector): value for key, value in spec["sparkConf"].items() if key.startswith(selector)}
    return Pod(
        name,
        application["metadata"]["namespace"],
        pod["serviceAccount"],
        {spec["image"]},
        _env([pod]),
        {},
        nodes | pod.get("nodeSelector", {}),
        pod.get("tolerations", []),
    )
