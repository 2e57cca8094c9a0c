"""Images by digest, and the policy of docs/security.md that admits only signed ones."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
import yaml

from tests.chart.rendering import CASES, NAMESPACE, ROOT, STREAMS_NAMESPACE, Object, helm, render

pytestmark = pytest.mark.chart

IMAGES = ("spark", "airflow", "mlflow", "dashboard", "model-jobs")
REGISTRY = "registry.example.com/team"
DIGESTS = {name: f"sha256:{index}{'a' * 63}" for index, name in enumerate(IMAGES)}
POSTGRES = f"docker.io/library/postgres:15-bookworm@sha256:{'b' * 64}"
BY_DIGEST = [f"image.registry={REGISTRY}", f"postgres.image={POSTGRES}", "image.tag=1.2"] + [
    f"image.digests.{name}={digest}" for name, digest in DIGESTS.items()
]


def _strings(value: object) -> Iterator[str]:
    """Yield each string in a document, also in documents that are text of a ConfigMap."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def _references(documents: list[Object]) -> set[str]:
    """Return each reference to an image: in pods, templates of jobs, SparkApplications and admission policies."""
    text = "\n".join(string for document in documents for string in _strings(document))
    return set(re.findall(rf"{REGISTRY}/tweet-sentiment-[^\s'\"]+|docker\.io/[^\s'\"]+", text))


@pytest.mark.parametrize("case", CASES)
def test_with_digests_each_image_is_referenced_by_digest(case: str) -> None:
    expected = {f"{REGISTRY}/tweet-sentiment-{name}:1.2@{digest}" for name, digest in DIGESTS.items()}
    found = _references(render(*CASES[case], *BY_DIGEST))
    assert found - {POSTGRES} == expected


def test_an_image_without_a_digest_keeps_its_tag() -> None:
    found = _references(
        render(f"image.registry={REGISTRY}", "image.tag=1.2", f"image.digests.spark={DIGESTS['spark']}")
    )
    assert f"{REGISTRY}/tweet-sentiment-spark:1.2@{DIGESTS['spark']}" in found
    assert f"{REGISTRY}/tweet-sentiment-airflow:1.2" in found


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("image.digests.spark=1.2", "/image/digests/spark"),
        ("image.digests.spark=sha256:ab", "/image/digests/spark"),
        (f"image.digests.sprak={DIGESTS['spark']}", "invalid propertyName 'sprak'"),
    ],
)
def test_an_invalid_digest_is_refused(setting: str, message: str) -> None:
    process = helm(setting)
    assert process.returncode != 0 and message in process.stderr, process.stderr


def test_the_documented_policy_admits_the_images_of_the_chart_and_no_others() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(apiVersion: kyverno.*?)```", page, re.DOTALL)]
    (policy,) = [block for block in blocks if block["kind"] == "ClusterPolicy"]
    known, signed = policy["spec"]["rules"]
    pattern = known["validate"]["pattern"]["spec"]
    assert pattern["containers"] == pattern["=(initContainers)"]
    admitted = pattern["containers"][0]["image"].split(" | ")
    (verified,) = signed["verifyImages"]
    images = _references(render("backup.enabled=true", *BY_DIGEST))
    assert len(images) == 6
    for image in images:
        assert any(fnmatchcase(image, one) for one in admitted), image
        assert image == POSTGRES or any(fnmatchcase(image, one) for one in verified["imageReferences"]), image
    for image in _references(render(f"image.registry={REGISTRY}")) | {f"evil.example.com/x@{DIGESTS['spark']}"}:
        assert not any(fnmatchcase(image, one) for one in admitted), image
    # The admission policies of the chart compare an image with the text of the chart.
    assert verified["mutateDigest"] is False and verified["required"] is True
    namespaces = {name.replace("tweet-sentiment", NAMESPACE) for name in _namespaces(known)}
    assert namespaces == {NAMESPACE, STREAMS_NAMESPACE} and _namespaces(known) == _namespaces(signed)


def _namespaces(rule: Object) -> list[str]:
    (selected,) = rule["match"]["any"]
    return list(selected["resources"]["namespaces"])
