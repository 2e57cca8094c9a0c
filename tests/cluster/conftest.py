"""One installation for all tests of the suite, on the cluster of KUBECONFIG.

The cluster needs the Spark operator, which watches `<namespace>-streams`, and the images: `make preflight` checks both.
"""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.expected_totals import ExpectedTotals
from tests.cluster.installation import RELEASE, TEST_VALUES, Installation, run_command
from tests.cluster.models import TrainedModel

# Each module continues with the installation that the module before has left.
ORDER = [
    "test_install",
    "test_upgrades",
    "test_failures",
    "test_jobs",
    "test_backup",
    "test_outages",
    "test_permissions",
    "test_executor_removal",
    "test_endurance",
    "test_s3",
]
NAMESPACE = os.environ.get("TWEETS_TEST_NAMESPACE", "tweet-sentiment")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else -1)


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """Two empty namespaces, into which the first test installs the chart."""
    missing = [tool for tool in ("kubectl", "helm") if shutil.which(tool) is None]
    if missing or "KUBECONFIG" not in os.environ:
        pytest.fail(
            f"{' and '.join(missing) or 'KUBECONFIG'} missing: set KUBECONFIG, and put kubectl and helm on PATH"
        )
    installation = Installation(NAMESPACE, f"{NAMESPACE}-streams")
    _remove(installation)
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    for namespace in (installation.platform, installation.streams):
        run_command("kubectl", "create", "namespace", namespace, check=False)
        run_command("kubectl", "label", "--overwrite", "namespace", namespace, enforce)
    yield installation
    if os.environ.get("TWEETS_TEST_KEEP") != "true":
        _remove(installation)


@pytest.fixture(scope="session")
def expected(installation: Installation) -> ExpectedTotals:
    """Exact counts of the tables: the demo is off, and all of its tweets are in Gold."""
    return ExpectedTotals.without_demo(installation, *TEST_VALUES)


@pytest.fixture(scope="session")
def airflow(installation: Installation) -> Airflow:
    return Airflow(installation)


@pytest.fixture(scope="session")
def trained_model(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainedModel]:
    """A model that is trained and uploaded in the background, while the tests wait for the streams."""
    with TrainedModel.in_background(installation, tmp_path_factory.mktemp("model")) as model:
        yield model


def _remove(installation: Installation) -> None:
    """Remove an installation and its data, but keep the namespaces: the operator watches one of them."""
    run_command("helm", "uninstall", RELEASE, "--namespace", installation.platform, "--wait", check=False)
    kinds = "sparkapplications,deployments,statefulsets,jobs,pods,persistentvolumeclaims,secrets,configmaps"
    for namespace in (installation.platform, installation.streams):
        delete = ["delete", kinds, "--all", "--ignore-not-found", "--timeout=120s"]
        run_command("kubectl", "-n", namespace, *delete, check=False)
