#!/usr/bin/env python3
"""Install or upgrade the chart, and show pod by pod what `helm --wait` waits for.

    helm/deploy.py --namespace tweet-sentiment --values my-values.yaml --set image.registry=localhost

Prints a line whenever the state of a pod changes, each pod that is not ready once a minute, and at the end the notes of
the chart with the login, even if helm gives up. Exits with helm's exit code. Needs only Python 3.11, kubectl and helm.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pod_state import Object, last_warning, short, unready_containers, why_pod_not_ready, why_workload_not_ready

CHART = Path(__file__).parent / "tweet-sentiment"
_POLL_SECONDS, _REPORT_SECONDS = 3.0, 60.0
_REQUEST_SECONDS = 30


class Cluster:
    """The objects of a release, read with kubectl. A failed request returns nothing: the next one follows soon."""

    def __init__(self, release: str, namespaces: list[str]) -> None:
        self._selector = f"app.kubernetes.io/instance={release}"
        self._namespaces = namespaces

    def states(self) -> dict[str, str]:
        """Return why each pod, or workload without pods, is not ready, by its name; '' if it is ready."""
        objects = self._list("pods,deployments,statefulsets", "-l", self._selector)
        # Helm does not wait for drivers and executors, which have the label spark-role.
        pods = [
            found for found in objects if found["kind"] == "Pod" and "spark-role" not in found["metadata"]["labels"]
        ]
        states = {_name(pod): why_pod_not_ready(pod) for pod in pods}
        for workload in objects:
            if workload["kind"] != "Pod":
                states[_name(workload)] = why_workload_not_ready(workload, pods)
        return states

    def details(self, name: str) -> list[str]:
        """Return what explains the state of a pod or workload: the last warning about it, and its last log line."""
        namespace, _, kind_and_name = name.partition(" ")
        kind, _, plain = kind_and_name.partition("/")
        owned = [plain]
        if kind == "deployment":
            replica_sets = self._get(namespace, "replicasets", "-l", self._selector)
            owned += [found["metadata"]["name"] for found in replica_sets if _owner(found) == plain]
        lines = []
        if warning := last_warning(self._get(namespace, "events"), owned):
            lines.append(f"last warning: {warning}")
        for pod in self._get(namespace, "pods", "--field-selector", f"metadata.name={plain}") if kind == "pod" else []:
            for container in unready_containers(pod):
                log = _run("kubectl", "-n", namespace, "logs", plain, "-c", container["name"], "--tail=1")
                if log.strip():
                    lines.append(f"last log line of {container['name']}: {short(log)}")
        return lines

    def _list(self, kinds: str, *options: str) -> list[Object]:
        return [found for namespace in self._namespaces for found in self._get(namespace, kinds, *options)]

    def _get(self, namespace: str, kinds: str, *options: str) -> list[Object]:
        try:
            items: list[Object] = json.loads(_run("kubectl", "-n", namespace, "get", kinds, *options, "-o", "json"))[
                "items"
            ]
        except (ValueError, KeyError):
            return []
        return items


def _run(*command: str) -> str:
    try:
        return subprocess.run(  # noqa: S603 - kubectl and helm
            command, capture_output=True, text=True, timeout=_REQUEST_SECONDS, check=False, errors="replace"
        ).stdout
    except subprocess.TimeoutExpired:
        return ""


def _name(found: Object) -> str:
    """Return namespace, kind and name: `tweet-sentiment pod/airflow-0`."""
    return f"{found['metadata']['namespace']} {found['kind'].lower()}/{found['metadata']['name']}"


def _owner(found: Object) -> str:
    owners: list[dict[str, Any]] = found["metadata"].get("ownerReferences", [])
    return str(owners[0]["name"]) if owners else ""


class Display:
    """Prints the changes of the states, with the seconds since the start."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._began = self._reported = time.monotonic()
        self._shown: dict[str, str] = {}

    def update(self) -> None:
        """Print what has changed since the last call; once a minute, print everything that is not ready."""
        states = self._cluster.states()
        for name in self._shown.keys() - states.keys():
            self._print(name, "gone")
        for name, reason in states.items():
            # Print nothing about an object that was ready from the start.
            if self._shown.get(name, "") != reason:
                self._print(name, reason or "ready")
        self._shown = states
        if time.monotonic() - self._reported > _REPORT_SECONDS:
            self._reported = time.monotonic()
            self.report()

    def report(self) -> None:
        """Print everything that is not ready, with its last warning and log line."""
        for name, reason in ((name, reason) for name, reason in self._cluster.states().items() if reason):
            self._print(name, f"not ready: {reason}")
            for line in self._cluster.details(name):
                print(f"        {line}", flush=True)

    def _print(self, name: str, state: str) -> None:
        print(f"{time.monotonic() - self._began:5.0f} s  {name}  {state}", flush=True)


def deploy(release: str, namespace: str, streams: str, helm_options: list[str]) -> int:
    """Run `helm upgrade --install`, and print what it waits for; return helm's exit code."""
    command = [
        "helm",
        "upgrade",
        "--install",
        release,
        str(CHART),
        "--namespace",
        namespace,
        "--reset-values",
        "--wait",
    ]
    display = Display(Cluster(release, [namespace, streams]))
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen([*command, *helm_options], stdout=output, stderr=subprocess.STDOUT)  # noqa: S603
        try:
            while process.poll() is None:
                display.update()
                time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            # The terminal has sent the signal to helm as well, which ends and records the release as failed.
            process.wait()
        output.seek(0)
        text = output.read()
    print(text, flush=True)
    if process.returncode:
        display.report()
        print(
            "\nNothing is rolled back: pods that can start still start. Fix the cause, and run the same command again."
        )
        print(_run("helm", "get", "notes", release, "--namespace", namespace), flush=True)
    return process.returncode


def main() -> int:
    """Parse the arguments and deploy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", default="tweet-sentiment", help="name of the release (tweet-sentiment)")
    parser.add_argument("--namespace", default="tweet-sentiment", help="namespace of the release (tweet-sentiment)")
    parser.add_argument("--streams", help="namespace of the streams (<namespace>-streams)")
    parser.add_argument("--timeout", default="15m", help="time after which helm gives up, such as 15m")
    parser.add_argument("--values", action="append", default=[], help="file with values; may be repeated")
    parser.add_argument(
        "--set", action="append", default=[], help="a value, such as demo.enabled=false; may be repeated"
    )
    options = parser.parse_args()
    if missing := [tool for tool in ("helm", "kubectl") if shutil.which(tool) is None]:
        sys.exit(f"error: {' and '.join(missing)} not found: install it, or add its folder to the PATH")
    arguments = ["--timeout", options.timeout]
    arguments += [part for file in options.values for part in ("--values", file)]
    arguments += [part for setting in options.set for part in ("--set", setting)]
    return deploy(options.release, options.namespace, options.streams or f"{options.namespace}-streams", arguments)


if __name__ == "__main__":
    sys.exit(main())
