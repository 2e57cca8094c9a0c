"""A stand-in for S3 in a namespace of its own, which the pods of an installation reach like an S3 service."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from tests.cluster.installation import CHART, Installation, run_command

_PORT = 5000
_SECRET = "s3-credentials"


@dataclass(frozen=True)
class S3:
    """A pod with the bucket `lake`. The bucket is in memory: a new pod starts with an empty one."""

    installation: Installation

    @property
    def namespace(self) -> str:
        return f"{self.installation.platform}-s3"

    @property
    def values(self) -> dict[str, Any]:
        """Values of an installation whose landing zone, lake and model files are in the bucket."""
        endpoint = f"http://s3.{self.namespace}.svc:{_PORT}"
        return {
            "storage": {
                "type": "s3",
                "s3": {"region": "us-east-1", "endpoint": endpoint, "existingSecret": _SECRET},
            },
            "landing": "s3a://lake/landing",
            "lake": "s3a://lake/tables",
            "mlflow": {"artifacts": "s3://lake/models"},
        }

    def start(self) -> None:
        """Start the pod, and create the Secret with its credentials in both namespaces of the installation."""
        run_command("kubectl", "create", "namespace", self.namespace, check=False)
        objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects()})
        run_command("kubectl", "-n", self.namespace, "apply", "-f", "-", stdin=objects)
        run_command("kubectl", "-n", self.namespace, "wait", "pod/s3", "--for=condition=Ready", "--timeout=120s")
        credentials = ["--from-literal=AWS_ACCESS_KEY_ID=id", "--from-literal=AWS_SECRET_ACCESS_KEY=secret"]
        for platform in (True, False):
            self.installation.kubectl("create", "secret", "generic", _SECRET, *credentials, platform=platform)

    def stop(self) -> None:
        run_command("kubectl", "delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=120s")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Accept connections, but answer no request."""
        self._signal("STOP")
        try:
            yield
        finally:
            self._signal("CONT")

    def _signal(self, name: str) -> None:
        kill = f"kill -{name} $(cat /tmp/server.pid)"
        run_command("kubectl", "-n", self.namespace, "exec", "s3", "--", "sh", "-c", kill)


def _objects() -> list[dict[str, Any]]:
    tag = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    labels = {"app.kubernetes.io/name": "s3"}
    container = {
        "name": "s3",
        "image": f"localhost/tweet-sentiment-s3:{tag}",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": _PORT}],
        "readinessProbe": {"tcpSocket": {"port": _PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "s3", "labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s3"},
        "spec": {"selector": labels, "ports": [{"port": _PORT}]},
    }
    return [pod, service]
