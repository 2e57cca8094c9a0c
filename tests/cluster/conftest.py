"""One installation for all tests of the cluster, on the cluster of KUBECONFIG.

The Spark operator must be there and watch `<namespace>-streams`, and the images must be loaded: `make preflight` tells.
"""

import os
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.cluster.airflow import Airflow
from tests.cluster.known import SETTINGS, Known
from tests.cluster.product import CHART, LAYERS, RELEASE, Product, call
from tests.waiting import until

# Each builds on what the one before has left.
ORDER = ["test_product", "test_jobs", "test_outages", "test_rights"]
NAMESPACE = os.environ.get("TWEETS_TEST_NAMESPACE", "tweet-sentiment")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else -1)


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    missing = [tool for tool in ("kubectl", "helm") if shutil.which(tool) is None]
    if missing or "KUBECONFIG" not in os.environ:
        pytest.fail(f"{' and '.join(missing) or 'KUBECONFIG'} missing: set KUBECONFIG, and have kubectl and helm")
    found = Product(NAMESPACE, f"{NAMESPACE}-streams")
    _remove(found)
    for namespace in (found.platform, found.streams):
        call("kubectl", "create", "namespace", namespace, check=False)
        call("kubectl", "label", "--overwrite", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    yield found
    if os.environ.get("TWEETS_TEST_KEEP") != "true":
        _remove(found)


@pytest.fixture(scope="session")
def known(product: Product) -> Iterator[Known]:
    """Known totals, from a product whose own stream of tweets is off."""
    product.helm("upgrade", str(CHART), *SETTINGS, "--wait", "--timeout", "10m")
    until(lambda: all(product.runs(layer) for layer in LAYERS), 600, "all streams with the settings of the tests")
    before: dict[str, int] = {}

    def still() -> bool:
        nonlocal before
        now = product.totals()
        same = now == before and now["gold"] == now["tweets"] == now["trends"] > 0
        before = now
        if not same:
            time.sleep(5)
        return same

    until(still, 900, "all tweets of the demo in Gold")
    yield Known(product)


@pytest.fixture(scope="session")
def airflow(product: Product) -> Airflow:
    return Airflow(product)


def _remove(product: Product) -> None:
    """Take away an installation with its data, but not the namespace that the operator watches."""
    call("helm", "uninstall", RELEASE, "--namespace", product.platform, "--wait", check=False)
    kinds = "sparkapplications,deployments,statefulsets,jobs,pods,persistentvolumeclaims,secrets,configmaps"
    for namespace in (product.platform, product.streams):
        call("kubectl", "-n", namespace, "delete", kinds, "--all", "--ignore-not-found", "--timeout=120s", check=False)
