"""Render the chart with the objects of a cluster: `lookup` of Helm reads them from a server of the tests."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.chart.rendering import CHART, NAMESPACE, RELEASE, Object
from tests.kubeconfig import kubeconfig

# The resources that the chart looks up, by API group.
RESOURCES = {
    "/api/v1": {
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "persistentvolumeclaims": "PersistentVolumeClaim",
    },
    "/apis/apps/v1": {"statefulsets": "StatefulSet"},
    "/apis/storage.k8s.io/v1": {"storageclasses": "StorageClass"},
}


def stored(kind: str, name: str, namespace: str = "", **content: object) -> dict[str, Object]:
    """Return an object of a kind in RESOURCES, by its path; objects without a namespace belong to the cluster."""
    ((group, plural),) = (
        (path, plural) for path, kinds in RESOURCES.items() for plural, known in kinds.items() if known == kind
    )
    scope, metadata = (f"/namespaces/{namespace}", {"namespace": namespace}) if namespace else ("", {})
    return {
        f"{group}{scope}/{plural}/{name}": {
            "apiVersion": _api_version(group),
            "kind": kind,
            "metadata": {"name": name, **metadata},
            **content,
        }
    }


def _api_version(path: str) -> str:
    """Return the version of the API group at a path of RESOURCES, such as apps/v1."""
    return path.removeprefix("/apis/").removeprefix("/api/")


@contextmanager
def api_server(objects: dict[str, Object]) -> Iterator[str]:
    """Serve objects by path, and the discovery of their kinds; yield the URL."""
    answers: dict[str, Object] = dict(objects)
    answers["/version"] = {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    answers["/api"] = {"kind": "APIVersions", "versions": ["v1"]}
    groups = [path.split("/")[2:] for path in RESOURCES if path.startswith("/apis/")]
    versions = [(name, {"groupVersion": f"{name}/{version}", "version": version}) for name, version in groups]
    answers["/apis"] = {
        "kind": "APIGroupList",
        "groups": [{"name": name, "versions": [found], "preferredVersion": found} for name, found in versions],
    }
    for path, kinds in RESOURCES.items():
        resources = [
            {"name": name, "kind": kind, "namespaced": kind != "StorageClass", "verbs": ["get"], "singularName": ""}
            for name, kind in kinds.items()
        ]
        answers[path] = {"kind": "APIResourceList", "groupVersion": _api_version(path), "resources": resources}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            body = json.dumps(found or {"kind": "Status", "reason": "NotFound", "code": 404}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# Kubernetes creates this service account in each namespace.
DEFAULT_ACCOUNT = stored("ServiceAccount", "default", NAMESPACE)


def upgrade(folder: Path, objects: dict[str, Object], *settings: str) -> subprocess.CompletedProcess[str]:
    """Render the chart as `helm upgrade` does, with the objects of a cluster in which the namespace exists."""
    with api_server(DEFAULT_ACCOUNT | objects) as url:
        arguments = [part for setting in settings for part in ("--set", setting)]
        command = [
            "helm",
            "template",
            RELEASE,
            str(CHART),
            "-n",
            NAMESPACE,
            "--dry-run=server",
            "--kube-version",
            "1.34",
            *arguments,
        ]
        connection = ["--kubeconfig", kubeconfig(folder, url)]
        return subprocess.run([*command, *connection], capture_output=True, text=True, check=False)
