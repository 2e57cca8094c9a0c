"""helm/preflight with a fake kubectl: images that the nodes lack, and name servers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PREFLIGHT = Path(__file__).parents[1] / "helm" / "preflight"
NAMES = ("spark", "airflow", "mlflow", "dashboard", "model-jobs")
IMAGES = [f"localhost/tweet-sentiment-{name}:0.1.0" for name in NAMES]
# Answers like a cluster that meets all requirements; `nodes` has the lines of the query for images.
FAKE_KUBECTL = """#!/bin/bash
case "$*" in
  version*) printf '  "serverVersion": {\\n    "minor": "34",\\n' ;;
  *"get storageclass"*) echo '{"storageclass.kubernetes.io/is-default-class":"true"}' ;;
  *allocatable*) echo 32000000Ki ;;
  *"get pods -l k8s-app=kube-dns"*) echo "$NAME_SERVERS" ;;
  *images*) cat "$NODES" ;;
esac
"""


def names(*images: str) -> str:
    return " ".join(f'["{image}"]' for image in images)


def preflight(
    folder: Path, nodes: str, *arguments: str, name_servers: str = "pod/coredns-1"
) -> subprocess.CompletedProcess[str]:
    for name in ("kubectl", "helm"):
        (folder / name).write_text(FAKE_KUBECTL)
        (folder / name).chmod(0o755)
    (folder / "nodes").write_text(nodes)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "NODES": str(folder / "nodes"), "NAME_SERVERS": name_servers}
    command = [shutil.which("bash") or "bash", str(PREFLIGHT), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("nodes", "registry"),
    [
        (f"one  {names(*IMAGES)}\ntwo  {names(*IMAGES)}\n", "localhost"),
        # No pod starts on these nodes.
        (f"one  {names(*IMAGES)}\ncontrol NoSchedule {names('pause:1')}\ndrained true \n", "localhost"),
        # A kubelet reports 50 images, the largest first.
        (f"one  {names(*[f'image:{number}' for number in range(50)])}\n", "localhost"),
        # The nodes pull from any other registry.
        (f"one  {names('pause:1')}\n", "registry.example.com"),
    ],
)
def test_a_cluster_with_the_images_is_accepted(nodes: str, registry: str, tmp_path: Path) -> None:
    done = preflight(tmp_path, nodes, "tweets", registry, "0.1.0")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "meets all requirements" in done.stdout


def test_a_node_without_images_is_named_with_the_images_and_the_remedy(tmp_path: Path) -> None:
    first, *others, last = IMAGES
    nodes = (
        f"one  {names(*IMAGES)}\ntwo  {names('pause:1', *others, last)}\nthree  {names(first, *others, last + '.1')}\n"
    )
    done = preflight(tmp_path, nodes, "tweets", "localhost", "0.1.0")
    assert done.returncode == 2 and "on the node one" not in done.stderr
    assert "missing: on the node two: localhost/tweet-sentiment-spark:0.1.0\n" in done.stderr
    assert "missing: on the node three: localhost/tweet-sentiment-model-jobs:0.1.0\n" in done.stderr
    assert "kind load docker-image" in done.stderr


def test_without_registry_the_images_are_not_checked(tmp_path: Path) -> None:
    assert preflight(tmp_path, f"one  {names('pause:1')}\n", "tweets").returncode == 0


def test_other_name_servers_are_named_with_the_value_to_set(tmp_path: Path) -> None:
    done = preflight(tmp_path, "", "tweets", name_servers="")
    assert done.returncode == 2 and "missing: name servers" in done.stderr and "set network.dns" in done.stderr


def test_help_names_the_arguments(tmp_path: Path) -> None:
    done = preflight(tmp_path, "", "--help")
    assert done.returncode == 0 and done.stdout.startswith("preflight NAMESPACE [REGISTRY TAG]")
