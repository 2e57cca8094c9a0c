"""One installation for all tests of the cluster, on the cluster of KUBECONFIG.

The Spark operator must be there and watch `<namespace>-streams`, and the images must be loaded: `make preflight` tells.
"""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.cluster.product import RELEASE, Product, call

NAMESPACE = os.environ.get("TWEETS_TEST_NAMESPACE", "tweet-sentiment")


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


def _remove(product: Product) -> None:
    """Take away an installation with its data, but not the namespace that the operator watches."""
    call("helm", "uninstall", RELEASE, "--namespace", product.platform, "--wait", check=False)
    kinds = "sparkapplications,deployments,statefulsets,jobs,pods,persistentvolumeclaims,secrets,configmaps"
    for namespace in (product.platform, product.streams):
        call("kubectl", "-n", namespace, "delete", kinds, "--all", "--ignore-not-found", "--timeout=120s", check=False)
