"""No pod can fill the disk of its node: each emptyDir has a size limit, including the one that Spark adds."""

import pytest

from tests.chart.rendering import CASES, Object, applications, helm, pod_specs, render

pytestmark = pytest.mark.chart

LOCAL_DIRECTORY = "spark.kubernetes.{}.volumes.emptyDir.spark-local-dir-1."


def _empty_dirs(spec: Object) -> dict[str, Object]:
    return {volume["name"]: volume["emptyDir"] for volume in spec.get("volumes", []) if "emptyDir" in volume}


@pytest.mark.parametrize("case", CASES)
def test_each_empty_dir_has_a_size_limit(case: str) -> None:
    documents = render(*CASES[case])
    specs = pod_specs(documents) | {name: found["spec"] for name, found in applications(documents).items()}
    limits = {f"{name} {volume}": found for name, spec in specs.items() for volume, found in _empty_dirs(spec).items()}
    assert len(limits) > 10
    assert [name for name, found in limits.items() if not found.get("sizeLimit")] == []


def test_the_local_directories_of_spark_have_the_limit_of_the_values() -> None:
    for name, application in applications(render("streams.scratchSize=7Gi")).items():
        spec = application["spec"]
        for role in ("driver", "executor"):
            conf = spec["sparkConf"]
            directory = conf[LOCAL_DIRECTORY.format(role) + "mount.path"]
            assert conf[LOCAL_DIRECTORY.format(role) + "options.sizeLimit"] == "7Gi", name
            # Spark adds a volume of its own unless one has a name of this form.
            assert not [mount for mount in spec[role]["volumeMounts"] if mount["mountPath"] == directory]
        assert _empty_dirs(spec) == {"tmp": {"sizeLimit": "7Gi"}}


@pytest.mark.parametrize("size", ["20480Mi", "1.5Gi", "1024Gi", "0Gi", "20"])
def test_a_size_that_the_operator_would_rewrite_is_refused(size: str) -> None:
    """The webhook writes 20480Mi as 20Gi: the admission policy compares the spec with the text of the chart."""
    process = helm(f"streams.scratchSize={size}")
    assert process.returncode != 0 and "/streams/scratchSize" in process.stderr


def test_dumps_may_be_as_large_as_the_databases() -> None:
    specs = pod_specs(render("backup.enabled=true", "postgres.volume.size=30Gi"))
    (dumps,) = [found["dumps"] for spec in specs.values() if "dumps" in (found := _empty_dirs(spec))]
    assert dumps == {"sizeLimit": "30Gi"}
