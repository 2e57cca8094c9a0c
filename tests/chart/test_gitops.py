"""The examples for Argo CD and Flux: rendered without a cluster, without differences that a synchronisation repeats."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CASES, CHART, ROOT, Object, objects, render
from tweet_dags.reconcile.annotations import (
    CONFIG_MAP,
    EXPECTED_RESTART_KEY,
    HOLD_KEY,
    STATE_KEY,
    STATUS_CONFIG_MAP,
)

pytestmark = pytest.mark.chart

EXAMPLES = ROOT / "helm" / "examples"
CHART_FILE: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text())
# Argo CD passes the kinds of the cluster to helm: a chart cannot tell from them that there is no cluster to read.
KINDS = ("v1/Secret", "v1/ServiceAccount", "monitoring.coreos.com/v1", "sparkoperator.k8s.io/v1beta2")


def _example(name: str, kind: str) -> Object:
    documents = yaml.safe_load_all((EXAMPLES / name).read_text())
    (found,) = [document for document in documents if document["kind"] == kind]
    return dict(found)


APPLICATION = _example("argo-cd.yaml", "Application")["spec"]
RELEASE = _example("flux.yaml", "HelmRelease")["spec"]
SOURCE = _example("flux.yaml", "OCIRepository")["spec"]


def _render(values: Object, folder: Path) -> str:
    """Render the chart as Argo CD does: without a cluster, and without the tests."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    command = [
        "helm",
        "template",
        "tweet-sentiment",
        str(CHART),
        "-n",
        "tweet-sentiment",
        "--skip-tests",
        "--kube-version",
        "1.34",
        "-f",
        str(file),
    ]
    kinds = [part for kind in KINDS for part in ("--api-versions", kind)]
    return subprocess.run([*command, *kinds], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "values", [APPLICATION["source"]["helm"]["valuesObject"], RELEASE["values"]], ids=["argo", "flux"]
)
def test_an_example_renders_the_same_twice_without_secrets_hooks_and_applications(
    values: Object, tmp_path: Path
) -> None:
    first, second = _render(values, tmp_path), _render(values, tmp_path)
    assert first == second
    documents = [document for document in yaml.safe_load_all(first) if document]
    assert not {document["kind"] for document in documents} & {"Secret", "SparkApplication", "Job", "Pod"}
    assert not [d for d in documents if "helm.sh/hook" in d["metadata"].get("annotations", {})]
    assert "PodMonitor" in {document["kind"] for document in documents}


def test_the_values_of_an_example_without_secrets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        _render({}, tmp_path)
    assert all(f"{name}.existingSecret" in error.value.stderr for name in ("airflow", "mlflow", "postgres"))


@pytest.mark.parametrize("case", CASES)
def test_nothing_that_airflow_writes_is_rendered(case: str) -> None:
    """Otherwise each synchronisation would reset the holds of the streams, or their reports."""
    config_maps = objects(render(*CASES[case]), "ConfigMap")
    assert not config_maps[STATUS_CONFIG_MAP].keys() & {"data", "binaryData"}
    rendered = config_maps[CONFIG_MAP]["metadata"].get("annotations", {})
    written = (HOLD_KEY, STATE_KEY, EXPECTED_RESTART_KEY)
    assert not [key for key in rendered if key.startswith(written)]


def test_no_example_replaces_objects() -> None:
    """To replace stream-applications removes what Airflow has written."""
    options = APPLICATION["syncPolicy"]["syncOptions"]
    assert "ServerSideApply=true" in options and not {"Replace=true", "Force=true"} & set(options)
    flux = (EXAMPLES / "flux.yaml").read_text()
    assert not re.search(r"^ *force:", flux, re.MULTILINE)
    ignored = {ignore["target"].get("name"): ignore["paths"] for ignore in RELEASE["driftDetection"]["ignore"]}
    assert ignored[CONFIG_MAP] == ["/metadata/annotations"] and ignored[STATUS_CONFIG_MAP] == ["/data"]


def test_immutable_fields_of_stateful_sets_are_ignored() -> None:
    immutable = ["/spec/podManagementPolicy", "/spec/volumeClaimTemplates"]
    (argo,) = [found for found in APPLICATION["ignoreDifferences"] if found["kind"] == "StatefulSet"]
    (flux,) = [found for found in RELEASE["driftDetection"]["ignore"] if found["target"]["kind"] == "StatefulSet"]
    assert argo["jsonPointers"] == flux["paths"] == immutable
    # Otherwise Argo CD would compare without them, but still apply them.
    assert "RespectIgnoreDifferences=true" in APPLICATION["syncPolicy"]["syncOptions"]


@pytest.mark.parametrize("case", CASES)
def test_admission_policies_contain_the_defaults_of_the_api_server(case: str) -> None:
    policies = objects(render(*CASES[case]), "ValidatingAdmissionPolicy")
    assert len(policies) == 3
    for name, policy in policies.items():
        constraints = policy["spec"]["matchConstraints"]
        assert constraints["matchPolicy"] == "Equivalent" and constraints["objectSelector"] == {}, name
        assert constraints["namespaceSelector"] and policy["spec"]["failurePolicy"] == "Fail", name
        assert all(rule["scope"] == "*" for rule in constraints["resourceRules"]), name


def test_only_the_generated_secrets_are_random_and_nothing_depends_on_time() -> None:
    volatile = re.compile(r"\b(rand[A-Z]\w+|uuidv4|now|gen[A-Z]\w+|derivePassword|htpasswd|bcrypt)\b")
    found = {
        path.name
        for path in CHART.rglob("templates/**/*.*")
        if volatile.search(re.sub(r"(?s)\{\{/\*.*?\*/\}\}|(?-s:#.*)", "", path.read_text()))
    }
    assert found == {"airflow.yaml", "mlflow.yaml", "postgres.yaml"}


def test_the_examples_install_this_version_of_the_chart() -> None:
    version = CHART_FILE["version"]
    assert version == CHART_FILE["appVersion"] and re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert APPLICATION["source"]["targetRevision"] == version
    assert SOURCE["ref"] == {"tag": version}
    assert f"oci://{APPLICATION['source']['repoURL']}/{APPLICATION['source']['chart']}" == SOURCE["url"]
