"""Labels, selectors and names of the chart's objects, and two releases in one cluster."""

from collections import Counter
from collections.abc import Iterator

import pytest
import yaml

from tests.chart.rendering import (
    CASES,
    CHART,
    JOB_LAYERS,
    LAYERS,
    NAMESPACE,
    STREAMS_NAMESPACE,
    Object,
    applications,
    helm,
    objects,
    pods,
    render,
)

pytestmark = pytest.mark.chart

PREFIX = "app.kubernetes.io"
SELECTOR = {f"{PREFIX}/name", f"{PREFIX}/instance", f"{PREFIX}/component"}
STANDARD = {*SELECTOR, f"{PREFIX}/part-of", f"{PREFIX}/version", f"{PREFIX}/managed-by", "helm.sh/chart"}
# Objects outside the release namespace that keep a short name; tweets.qualifiedName in _helpers.tpl gives the reasons.
SHORT_NAMES = {
    "Service",
    "PersistentVolumeClaim",
    "ServiceAccount",
    "ConfigMap",
    "Deployment",
    "CronJob",
    "Ingress",
    "Pod",
}


def _everything(*settings: str, **release: str) -> list[Object]:
    return render(*settings, "streams.createNamespace=true", "backup.enabled=true", monitoring=True, **release)


@pytest.mark.parametrize("case", CASES)
def test_every_object_and_pod_has_the_standard_labels(case: str) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    documents = _everything(*CASES[case])
    labelled = [(f"{d['kind']} {d['metadata']['name']}", d) for d in documents]
    labelled += [*pods(documents), *applications(documents).items()]
    for name, document in labelled:
        labels = document["metadata"]["labels"]
        assert labels.keys() >= STANDARD, name
        assert labels["helm.sh/chart"] == f"{chart['name']}-{chart['version']}", name
        assert labels[f"{PREFIX}/part-of"] == "tweet-sentiment" == labels[f"{PREFIX}/instance"], name


def test_labels_of_drivers_and_executors_contain_no_version() -> None:
    """They are part of the spec of a stream: a new version of the chart alone must not restart the stream."""
    for name, application in applications(render()).items():
        for role in ("driver", "executor"):
            labels = application["spec"][role]["labels"]
            assert labels.keys() - {"tweet-sentiment/spec-hash"} == {*SELECTOR, f"{PREFIX}/part-of"}, name


def _selected(document: Object, candidates: list[Object]) -> list[Object]:
    selector = document["spec"].get("selector") or document["spec"]["podSelector"]
    labels = selector.get("matchLabels", selector)
    return [pod for pod in candidates if labels.items() <= pod["metadata"]["labels"].items()]


def test_selectors_of_workloads_are_those_of_installed_releases() -> None:
    """Selectors of Deployments and StatefulSets are immutable: a change would make `helm upgrade` fail."""
    for document in render():
        if document["kind"] in {"Deployment", "StatefulSet"}:
            name = document["metadata"]["name"]
            labels = {f"{PREFIX}/name": name, f"{PREFIX}/instance": "tweet-sentiment"}
            assert document["spec"]["selector"] == {"matchLabels": labels}


def test_selectors_select_the_pods_of_one_workload() -> None:
    documents = render()
    candidates = [pod for _, pod in pods(documents)]
    checked = 0
    for document in documents:
        if document["kind"] in {"Deployment", "StatefulSet", "Service"}:
            selected = _selected(document, candidates)
            assert [pod["metadata"]["labels"][f"{PREFIX}/name"] for pod in selected] == [document["metadata"]["name"]]
            checked += 1
    assert checked == 9


def test_selectors_of_services_and_network_policies_name_the_component() -> None:
    for document in render():
        if document["kind"] == "Service":
            assert document["spec"]["selector"].keys() == SELECTOR
        if document["kind"] == "NetworkPolicy" and "matchLabels" in (selector := document["spec"]["podSelector"]):
            name = document["metadata"]["labels"][f"{PREFIX}/name"]
            expected = {f"{PREFIX}/name"} if name in {*LAYERS, *JOB_LAYERS} else SELECTOR
            assert selector["matchLabels"].keys() == expected, name


def test_network_policies_name_pods_that_exist() -> None:
    documents = _everything(*CASES["s3"], "postgres.enabled=true", "demo.enabled=true", "dashboard.typing=true")
    names = {pod["metadata"]["labels"][f"{PREFIX}/name"] for _, pod in pods(documents)} | {*applications(documents)}
    policies = [document["spec"] for document in documents if document["kind"] == "NetworkPolicy"]
    listed = {
        name
        for policy in policies
        for expression in policy["podSelector"].get("matchExpressions", [])
        if expression["key"] == f"{PREFIX}/name"
        for name in expression["values"]
    }
    # Pods without an egress policy of their own connect to name servers only.
    assert listed == names


def _keys(documents: list[Object], namespace: str) -> Iterator[tuple[str, str, str]]:
    cluster_scoped = {"Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    for document in documents:
        metadata = document["metadata"]
        scope = "" if document["kind"] in cluster_scoped else metadata.get("namespace", namespace)
        yield document["kind"], scope, metadata["name"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("tweet-sentiment", "red"), ("tweet-sentiment", "blue")),
        # Joined by a dash, both would be a-b-tweet-sentiment.
        (("b", "a"), ("tweet-sentiment", "a-b")),
        (("staging", "red"), ("production", "blue")),
    ],
)
def test_releases_in_two_namespaces_share_no_object(first: tuple[str, str], second: tuple[str, str]) -> None:
    counts: Counter[tuple[str, str, str]] = Counter()
    for release, namespace in (first, second):
        counts.update(_keys(_everything(release=release, namespace=namespace), namespace))
    assert [key for key, count in counts.items() if count > 1] == []


def test_objects_outside_the_release_namespace_are_named_after_namespace_and_release() -> None:
    for kind, scope, name in _keys(_everything(), NAMESPACE):
        if kind == "Namespace":
            assert name == STREAMS_NAMESPACE
        elif scope != NAMESPACE and kind not in SHORT_NAMES:
            assert name.startswith("tweets.tweet-sentiment-"), (kind, name)


def test_a_second_release_in_the_same_namespace_collides_with_the_first() -> None:
    """Helm refuses to install an object that another release owns, and names the object and the release."""
    keys = [set(_keys(render(release=release), NAMESPACE)) for release in ("tweet-sentiment", "second")]
    assert ("ServiceAccount", STREAMS_NAMESPACE, "gold") in keys[0] & keys[1]
    assert ("StatefulSet", NAMESPACE, "postgres") in keys[0] & keys[1]


def test_a_release_is_named_like_the_helm_convention() -> None:
    def fullname(*settings: str, release: str) -> str:
        (name,) = [name for name in objects(render(*settings, release=release), "ConfigMap") if "dashboards" in name]
        return name.removesuffix("-dashboards")

    assert fullname(release="tweet-sentiment") == "tweet-sentiment"
    assert fullname(release="staging") == "staging-tweet-sentiment"
    assert fullname("nameOverride=tweets", release="staging") == "staging-tweets"
    assert fullname("fullnameOverride=moods", release="staging") == "moods"


def test_an_invalid_name_is_refused() -> None:
    process = helm("fullnameOverride=Moods_1")
    assert process.returncode != 0 and "/fullnameOverride" in process.stderr
