"""The chart as it is rendered from an example's outputs: `make values`, then `helm template`, as the READMEs say."""

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
    """A pod of the chart, or one that the Spark operator makes from it: what it is told and where it may run."""

    name: str
    namespace: str
    account: str
    images: set[str]
    env: dict[str, str]
    nodes: dict[str, str]
    tolerations: list[dict[str, Any]]


class Rendered:
    """What `helm template` makes of an example's outputs."""

    def __init__(self, name: str, outputs: dict[str, Any], folder: Path) -> None:
        self.values = values(name, outputs, folder)
        self.platform = outputs["namespaces"]["value"]["platform"]
        done = template(self.platform, folder / "values.yaml")
        assert done.returncode == 0, done.stderr
        self.documents = [document for document in yaml.safe_load_all(done.stdout) if document]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the documents of one kind by `namespace/name`."""
        return {
            f"{d['metadata'].get('namespace', self.platform)}/{d['metadata']['name']}": d
            for d in self.documents
            if d["kind"] == kind
        }

    @cached_property
    def applications(self) -> dict[str, dict[str, Any]]:
        """SparkApplications, which the DAGs apply."""
        return {name: one for name, one in self._manifests() if one["kind"] == "SparkApplication"}

    def _manifests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give what the DAGs make, which stands as text in ConfigMaps, with the name that it has there."""
        for config in self.of("ConfigMap").values():
            for file, text in config.get("data", {}).items():
                document = yaml.safe_load(text) if file.endswith(".yaml") else None
                if isinstance(document, dict) and "kind" in document:
                    name = file.removesuffix(".yaml")
                    yield name, {**document, "metadata": {"name": name, **document["metadata"]}}

    @cached_property
    def pods(self) -> list[Pod]:
        found = []
        jobs = [one for _, one in self._manifests() if one["kind"] == "Pod"]
        for document in [*self.documents, *jobs]:
            where = document["metadata"].get("namespace", self.platform)
            for spec in _pod_specs(document):
                found.append(_pod(f"{document['kind']} {document['metadata']['name']}", where, spec))
        for name, application in self.applications.items():
            for part in ("driver", "executor"):
                found.append(_spark_pod(f"{name} {part}", application, part))
        return found


def values(name: str, outputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run `make values` with a terraform that prints `outputs`; leave the file in `folder`."""
    stand_in = folder / "bin" / "terraform"
    stand_in.parent.mkdir(exist_ok=True)
    stand_in.write_text(f'#!/bin/sh\ntest "$1" = -chdir=terraform/examples/{name} && cat {folder}/outputs.json\n')
    stand_in.chmod(0o755)
    (folder / "outputs.json").write_text(json.dumps(outputs))
    done = subprocess.run(
        ["make", "-s", "-C", PROJECT, "values", f"EXAMPLE={name}", f"TAG={TAG}"],
        env={**os.environ, "PATH": f"{stand_in.parent}:{os.environ['PATH']}", "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder / "values.yaml").write_text(done.stdout)
    made: dict[str, Any] = yaml.safe_load(done.stdout)
    return made


def template(namespace: str, *files: Path) -> subprocess.CompletedProcess[str]:
    assert shutil.which("helm"), "helm is not on the PATH: the chart is rendered with it"
    chosen = [part for file in files for part in ("-f", file)]
    return subprocess.run(
        ["helm", "template", "tweet-sentiment", CHART, "-n", namespace, "--kube-version", "1.35", *chosen],
        capture_output=True,
        text=True,
        check=False,
    )


def _pod_specs(value: Any) -> Iterator[dict[str, Any]]:
    """Find pods wherever they stand: a kind that nobody thought of has some too."""
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
    return {one["name"]: one["value"] for container in containers for one in container.get("env", []) if "value" in one}


def _pod(name: str, namespace: str, spec: dict[str, Any]) -> Pod:
    containers = [*spec["containers"], *spec.get("initContainers", [])]
    return Pod(
        name,
        namespace,
        spec.get("serviceAccountName", "default"),
        {container["image"] for container in containers},
        _env(containers),
        spec.get("nodeSelector", {}),
        spec.get("tolerations", []),
    )


def _spark_pod(name: str, application: dict[str, Any], part: str) -> Pod:
    spec = application["spec"]
    one = spec[part]
    selector = f"spark.kubernetes.{part}.node.selector."
    nodes = {key.removeprefix(selector): value for key, value in spec["sparkConf"].items() if key.startswith(selector)}
    return Pod(
        name,
        application["metadata"]["namespace"],
        one["serviceAccount"],
        {spec["image"]},
        _env([one]),
        nodes | one.get("nodeSelector", {}),
        one.get("tolerations", []),
    )
