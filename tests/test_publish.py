"""`make push`, `sbom`, `scan`, `sign` and `verify`, with stand-ins that record how the tools are called."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
IMAGES = ("spark", "airflow", "mlflow", "dashboard", "model-jobs")
REGISTRY = "registry.example.com/team"
DIGEST = "sha256:" + "a" * 64
CHART_DIGEST = "sha256:" + "c" * 64

# Each stand-in appends its arguments to the file `calls`.
STANDINS = {
    "docker": f"""case $1 in
image) echo "other.example.com/x@sha256:{"b" * 64}"; echo "${{@: -1}}" | sed "s|:[^:]*$|@{DIGEST}|" ;;
esac""",
    "buildah": f"""while [ $# -gt 0 ]; do [ "$1" = --digestfile ] && printf {DIGEST} > "$2"; shift; done""",
    "helm": f"""case $1 in
package) touch "$4/tweet-sentiment-0.1.0.tgz" ;;
show) exit "${{SHOW_RC:-1}}" ;;
push) echo "Pushed: $3/tweet-sentiment:0.1.0" >&2; echo "Digest: {CHART_DIGEST}" >&2 ;;
esac""",
    "syft": "for argument; do case $argument in cyclonedx-json=*) echo '{}' > \"${argument#*=}\" ;; esac; done",
    "grype": 'case $1 in *spark*) exit "${GRYPE_RC:-0}" ;; esac',
    "cosign": "true",
}


class Publication:
    """A folder with stand-ins for all tools, in which make targets run."""

    def __init__(self, folder: Path) -> None:
        self.out, self._bin, self._calls = folder / "out", folder / "bin", folder / "calls"
        self._bin.mkdir()
        for name, body in STANDINS.items():
            file = self._bin / name
            file.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >> {self._calls}\n{body}\n')
            file.chmod(0o755)

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run make with the stand-ins first on the PATH."""
        path = f"{self._bin}{os.pathsep}{os.environ['PATH']}"
        given = [f"REGISTRY={REGISTRY}", f"OUT={self.out}", *arguments]
        return subprocess.run(
            ["make", "-s", *given], cwd=ROOT, env={**os.environ, **environment, "PATH": path}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    def succeed(self, *arguments: str) -> list[str]:
        """Run make; return the calls of the tools since the last run."""
        self._calls.write_text("")
        done = self.make(*arguments)
        assert done.returncode == 0, done.stderr
        return self._calls.read_text().splitlines()


@pytest.fixture
def publication(tmp_path: Path) -> Publication:
    return Publication(tmp_path)


@pytest.mark.parametrize("build", ["docker build", "buildah build"])
def test_push_writes_the_digests_as_values_of_the_chart(build: str, publication: Publication) -> None:
    calls = publication.succeed("push", f"BUILD={build}", "TAG=1.2")
    tool = build.split()[0]
    assert [call.split()[-1] for call in calls if call.startswith(f"{tool} push")] == [
        f"{REGISTRY}/tweet-sentiment-{image}:1.2" for image in IMAGES
    ]
    values = yaml.safe_load((publication.out / "digests.yaml").read_text())
    assert values == {"image": {"registry": REGISTRY, "tag": "1.2", "digests": dict.fromkeys(IMAGES, DIGEST)}}


def test_images_and_chart_are_signed_by_digest_with_the_key_of_the_user(publication: Publication) -> None:
    for step in ("push", "push-chart", "sbom"):
        publication.succeed(step, "BUILD=docker build")
    images = [f"{REGISTRY}/tweet-sentiment-{image}@{DIGEST}" for image in IMAGES]
    chart = f"{REGISTRY}/charts/tweet-sentiment@{CHART_DIGEST}"
    flags = "COSIGN_FLAGS=--tlog-upload=false"
    signed = publication.succeed("sign", "COSIGN_KEY=my.key", flags)
    assert signed == [
        *(f"cosign sign --yes --key my.key --tlog-upload=false {reference}" for reference in [*images, chart]),
        *(
            f"cosign attest --yes --key my.key --tlog-upload=false --type cyclonedx "
            f"--predicate {publication.out}/{image}.cdx.json {reference}"
            for image, reference in zip(IMAGES, images, strict=True)
        ),
    ]
    verified = publication.succeed("verify", "COSIGN_PUBLIC_KEY=my.pub")
    assert verified == [f"cosign verify --key my.pub {reference}" for reference in [*images, chart]]


def test_bills_of_materials_describe_the_pushed_images_or_before_a_push_the_local_ones(
    publication: Publication,
) -> None:
    def sources() -> list[str]:
        return [call.split()[3] for call in publication.succeed("sbom", "TAG=1.2")]

    assert sources() == [f"{REGISTRY}/tweet-sentiment-{image}:1.2" for image in IMAGES]
    publication.succeed("push", "TAG=1.2", "BUILD=docker build")
    assert sources() == [f"registry:{REGISTRY}/tweet-sentiment-{image}@{DIGEST}" for image in IMAGES]


def test_a_scan_reads_all_bills_of_materials_and_names_the_images_that_fail(publication: Publication) -> None:
    publication.succeed("sbom")
    calls = publication.succeed("scan", "SEVERITY=critical")
    assert calls == [
        f"grype sbom:{publication.out}/{image}.cdx.json --only-fixed --fail-on critical" for image in IMAGES
    ]
    done = publication.make("scan", GRYPE_RC="2")
    assert done.returncode != 0 and re.search(r"error: .*: spark$", done.stderr, re.MULTILINE), done.stderr


@pytest.mark.parametrize(
    ("before", "step", "message"),
    [
        ([], "scan", "run make sbom first"),
        ([], "sign", "run make push first"),
        (["push"], "sign", "run make push-chart first"),
        (["push", "push-chart"], "sign", "run make sbom first"),
        (["push", "push-chart", "sbom"], "sign", "set COSIGN_KEY to your private key"),
        (["push", "push-chart"], "verify", "set COSIGN_PUBLIC_KEY to your public key"),
    ],
)
def test_a_step_that_lacks_an_earlier_one_names_it(
    before: list[str], step: str, message: str, publication: Publication
) -> None:
    for earlier in before:
        publication.succeed(earlier, "BUILD=docker build")
    publication.succeed("help")
    done = publication.make(step)
    assert done.returncode != 0 and message in done.stderr, done.stderr
    assert not [call for call in (publication.out.parent / "calls").read_text().splitlines() if "cosign" in call]


def test_a_push_without_a_digest_keeps_the_digests_of_the_last_one(publication: Publication) -> None:
    publication.succeed("push", "BUILD=docker build", "TAG=1.1")
    (publication.out.parent / "bin" / "docker").write_text("#!/bin/sh\nexit 0\n")
    done = publication.make("push", "BUILD=docker build", "TAG=1.2")
    assert done.returncode != 0 and "the digest of spark is not known" in done.stderr
    assert yaml.safe_load((publication.out / "digests.yaml").read_text())["image"]["tag"] == "1.1"


def test_a_version_of_the_chart_is_pushed_once(publication: Publication) -> None:
    done = publication.make("push-chart", SHOW_RC="0")
    assert done.returncode != 0 and "the registry has version 0.1.0 of the chart" in done.stderr
    assert "helm push" not in (publication.out.parent / "calls").read_text()


def test_images_can_be_built_from_another_base_image(publication: Publication) -> None:
    calls = publication.succeed("images", "BUILD=docker build", "BASE_IMAGE=python@sha256:0")
    assert [call.startswith("docker build -q --build-arg BASE_IMAGE=python@sha256:0 -t") for call in calls] == [
        True
    ] * 5
    assert "build-arg" not in "".join(publication.succeed("images", "BUILD=docker build"))
