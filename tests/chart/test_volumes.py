"""Sizes that an existing volume cannot get are refused by `helm upgrade`, before anything is applied."""

from pathlib import Path

import pytest
import yaml

from tests.chart.api_server import stored, upgrade
from tests.chart.rendering import NAMESPACE, STREAMS_NAMESPACE, Object

pytestmark = pytest.mark.chart


def claim(namespace: str, name: str, size: str, storage_class: str = "standard") -> dict[str, Object]:
    spec = {"storageClassName": storage_class, "resources": {"requests": {"storage": size}}}
    return stored("PersistentVolumeClaim", name, namespace, spec=spec)


def stateful_set(name: str, **spec: object) -> dict[str, Object]:
    return stored("StatefulSet", name, NAMESPACE, spec=spec)


def storage_class(name: str, expands: bool) -> dict[str, Object]:
    return stored("StorageClass", name, allowVolumeExpansion=expands)


def templates(size: str) -> list[Object]:
    return [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}]


@pytest.mark.parametrize(
    ("objects", "setting", "message"),
    [
        (
            claim(STREAMS_NAMESPACE, "lake", "20Gi"),
            "storage.volume.size=10Gi",
            "cannot shrink: set storage.volume.size to 20Gi",
        ),
        (claim(STREAMS_NAMESPACE, "lake", "20Gi"), "storage.volume.size=30Gi", '"standard" does not enlarge volumes'),
        (
            claim(STREAMS_NAMESPACE, "lake", "20Gi") | storage_class("standard", expands=False),
            "storage.volume.size=30Gi",
            '"standard" does not enlarge volumes',
        ),
        (claim(NAMESPACE, "mlflow", "5Gi"), "mlflow.volume.size=6Gi", "mlflow.volume.size to 5Gi"),
        (claim(NAMESPACE, "backup", "80Gi"), "backup.enabled=true", "set backup.volume.size to 80Gi"),
        (
            claim(NAMESPACE, "data-postgres-0", "10Gi") | storage_class("standard", expands=True),
            "postgres.volume.size=20Gi",
            'patch pvc data-postgres-0 -p \'{"spec": {"resources": {"requests": {"storage": "20Gi"}}}}\'; '
            "kubectl -n tweets delete statefulset postgres --cascade=orphan",
        ),
        (
            claim(NAMESPACE, "logs-airflow-0", "6Gi") | stateful_set("airflow", volumeClaimTemplates=templates("5Gi")),
            "airflow.volume.size=6Gi",
            "created with 5Gi, which is immutable: kubectl -n tweets delete statefulset airflow --cascade=orphan",
        ),
    ],
)
def test_a_size_that_a_volume_cannot_get_is_refused(
    objects: dict[str, Object], setting: str, message: str, tmp_path: Path
) -> None:
    done = upgrade(tmp_path, objects, setting)
    assert done.returncode != 0 and message in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("objects", "settings"),
    [
        ({}, []),
        (claim(STREAMS_NAMESPACE, "lake", "20480Mi"), []),
        (claim(STREAMS_NAMESPACE, "lake", "21474836480"), []),
        (
            claim(STREAMS_NAMESPACE, "lake", "20Gi") | storage_class("standard", expands=True),
            ["storage.volume.size=1.5Ti"],
        ),
        # The chart does not set the size of an existing claim.
        (
            claim(STREAMS_NAMESPACE, "lake", "20Gi"),
            ["storage.volume.size=10Gi", "storage.volume.existingClaim=own"],
        ),
        (
            claim(NAMESPACE, "logs-airflow-0", "5Gi") | stateful_set("airflow", volumeClaimTemplates=templates("5Gi")),
            [],
        ),
        # After the commands that the error names.
        (claim(NAMESPACE, "data-postgres-0", "20Gi"), ["postgres.volume.size=20Gi"]),
    ],
)
def test_a_size_that_a_volume_has_or_can_get_is_accepted(
    objects: dict[str, Object], settings: list[str], tmp_path: Path
) -> None:
    done = upgrade(tmp_path, objects, *settings)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("existing", "policy"), [("OrderedReady", "OrderedReady"), ("Parallel", "Parallel"), ("", "Parallel")]
)
def test_an_existing_stateful_set_keeps_its_pod_management_policy(existing: str, policy: str, tmp_path: Path) -> None:
    """The policy is immutable: with another, every `helm upgrade` of an earlier installation would fail."""
    objects = stateful_set("airflow", podManagementPolicy=existing) if existing else {}
    done = upgrade(tmp_path, objects)
    assert done.returncode == 0, done.stderr
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    policies = {
        document["metadata"]["name"]: document["spec"]["podManagementPolicy"]
        for document in documents
        if document["kind"] == "StatefulSet"
    }
    assert policies == {"airflow": policy, "postgres": "Parallel"}
