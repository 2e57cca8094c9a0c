"""The rendered chart as a whole: golden renderings, objects, security of pods, and refused values."""

import json
from pathlib import Path

import pytest

from spark_apps.settings import Settings
from tests.chart.rendering import (
    CASES,
    EXISTING,
    GOLDEN,
    JOB_LAYERS,
    LAYERS,
    applications,
    assert_golden,
    helm,
    objects,
    pod_specs,
    render,
)

pytestmark = pytest.mark.chart

# The Grafana dashboards are long: the golden rendering `monitoring` contains them once.
WITHOUT_DASHBOARDS = "monitoring.dashboards=false"
MONITORING = ["templates/monitoring.yaml", "templates/alerts.yaml"]


@pytest.mark.parametrize("case", CASES)
def test_rendering_matches_the_golden_file(case: str) -> None:
    assert_golden(GOLDEN / f"{case}.yaml", helm(*CASES[case], WITHOUT_DASHBOARDS).stdout)


def test_alerts_and_dashboards_match_the_golden_file() -> None:
    assert_golden(GOLDEN / "monitoring.yaml", helm(monitoring=True, only=MONITORING).stdout)


def test_default_installation_has_the_expected_kinds_and_service_accounts() -> None:
    documents = render(*EXISTING)
    assert {document["kind"] for document in documents} == {
        "ConfigMap", "CronJob", "Deployment", "Job", "NetworkPolicy", "PersistentVolumeClaim", "Pod", "Role",
        "RoleBinding", "Service", "ServiceAccount", "StatefulSet", "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }  # fmt: skip
    assert objects(documents, "ServiceAccount").keys() == {
        "bronze", "silver", "gold", "dashboard", "demo", "airflow", "mlflow", "model-jobs", "postgres", "quality",
    }  # fmt: skip


def test_the_only_helm_hook_is_the_smoke_test() -> None:
    """An install hook would wait for services that Helm starts only after the hook."""
    hooks = [d["metadata"] for d in render(*EXISTING) if "helm.sh/hook" in d["metadata"].get("annotations", {})]
    assert [(hook["name"], hook["annotations"]["helm.sh/hook"]) for hook in hooks] == [("smoke-test", "test")]


@pytest.mark.parametrize("case", CASES)
def test_every_pod_meets_the_restricted_standard_and_has_a_read_only_file_system(case: str) -> None:
    documents = render(*CASES[case])
    checked = 0
    for name, spec in pod_specs(documents).items():
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True and pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in spec["containers"] + spec.get("initContainers", []):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert name.startswith("StatefulSet airflow") or "limits" in container["resources"], name
            checked += 1
    for application in applications(documents).values():
        for role in ("driver", "executor"):
            assert application["spec"][role]["podSecurityContext"]["runAsNonRoot"] is True
            assert application["spec"][role]["securityContext"]["readOnlyRootFilesystem"] is True
    assert checked >= 8


def test_environment_variables_of_the_chart_are_settings_of_the_programs() -> None:
    from tweet_dags import settings as dag_settings

    documents = render(*EXISTING)
    rendered = json.dumps([*documents, *applications(documents).values()])
    names = {part.split('"')[0] for part in rendered.split('"TWEETS_')[1:]}
    known = {name.upper() for name in Settings.model_fields}
    source = Path(dag_settings.__file__).read_text()
    for name in names:
        assert name in known or f'"TWEETS_{name}"' in source, f"no program reads TWEETS_{name}"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("streams.triger=5 seconds", "'triger' not allowed"),
        ("streams.trigger=often", "'often' does not match"),
        ("streams.gold.driver.memory=lots", "'lots' does not match"),
        ("landing=tweets", "/landing"),
        ("lake=s3a://bucket/lake", "/lake"),
        ("storage.type=nfs", "/storage/type"),
        ("image.pullPolicy=Maybe", "/image/pullPolicy"),
        ("postgres.enabled=false", "postgres.existingSecret is missing"),
        ("streams.silver.formats.own.marks={a}", "missing properties 'text', 'time'"),
        ("streams.silver.formats.own.tim={a}", "'tim' not allowed"),
        ("streams.silver.formats.flat.marks={a}", "/streams/silver/formats"),
    ],
)
def test_invalid_values_are_refused_with_the_key(setting: str, message: str) -> None:
    process = helm(setting)
    assert process.returncode != 0 and message in process.stderr, process.stderr


def test_components_can_be_disabled() -> None:
    off = ["demo", "dashboard", "mlflow", "airflow", "postgres"]
    documents = render(*[f"{part}.enabled=false" for part in off], "networkPolicies=false", "postgres.existingSecret=x")
    assert pod_specs(documents) == {}
    assert set(applications(documents)) == {*LAYERS, *JOB_LAYERS}


def test_an_existing_registry_replaces_mlflow() -> None:
    streams = applications(render("mlflow.enabled=false", "mlflow.uri=http://registry:5000"))
    assert {"name": "TWEETS_REGISTRY", "value": "http://registry:5000"} in streams["gold"]["spec"]["driver"]["env"]


@pytest.mark.parametrize("artifacts", ["", "s3://tweets-lake/mlflow"])
def test_mlflow_has_the_keys_of_s3_only_for_artifacts(artifacts: str) -> None:
    s3 = ("storage.type=s3", "landing=s3a://tweets-landing", "lake=s3a://tweets-lake", "storage.s3.existingSecret=keys")
    mlflow = pod_specs(render(*s3, f"mlflow.artifacts={artifacts}"))["Deployment mlflow"]
    assert ('"name": "keys"' in json.dumps(mlflow)) is bool(artifacts)
