"""The rendered chart as a whole: golden renderings, objects, security of pods, and refused values."""

import json
from pathlib import Path
from typing import Any

import pytest

from spark_apps.settings import Settings
from tests.chart.rendering import (
    CASES,
    CHART,
    GOLDEN,
    JOB_LAYERS,
    LAYERS,
    ROOT,
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
BACKUP = ["templates/backup.yaml", "templates/restore-drill.yaml"]


@pytest.mark.parametrize(("case", "templates"), [("default", []), ("s3", []), ("backup", BACKUP)])
def test_rendering_matches_the_golden_file(case: str, templates: list[str]) -> None:
    assert_golden(GOLDEN / f"{case}.yaml", helm(*CASES[case], WITHOUT_DASHBOARDS, only=templates).stdout)


def test_alerts_and_dashboards_match_the_golden_file() -> None:
    rendered = helm("backup.enabled=true", monitoring=True, only=MONITORING)
    assert_golden(GOLDEN / "monitoring.yaml", rendered.stdout)


def test_default_installation_has_the_expected_kinds_and_service_accounts() -> None:
    documents = render()
    assert {document["kind"] for document in documents} == {
        "ConfigMap", "CronJob", "Deployment", "NetworkPolicy", "PersistentVolumeClaim", "Pod", "Role",
        "RoleBinding", "Service", "ServiceAccount", "StatefulSet", "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }  # fmt: skip
    assert objects(documents, "ServiceAccount").keys() == {
        "bronze", "silver", "gold", "dashboard", "demo", "airflow", "mlflow", "model-jobs", "postgres", "quality",
    }  # fmt: skip


def test_the_only_helm_hook_is_the_smoke_test() -> None:
    """An install hook would wait for services that Helm starts only after the hook."""
    hooks = [d["metadata"] for d in render() if "helm.sh/hook" in d["metadata"].get("annotations", {})]
    assert [(hook["name"], hook["annotations"]["helm.sh/hook"]) for hook in hooks] == [("smoke-test", "test")]


@pytest.mark.parametrize("case", CASES)
def test_no_object_is_named_by_revision(case: str) -> None:
    """A failed upgrade would leave such an object, on which `helm rollback` fails: "no Job with the name …" found."""

    assert not objects(render(*CASES[case]), "Job")
    assert not [path for path in CHART.rglob("templates/**/*.*") if "Release.Revision" in path.read_text()]


def _probe_seconds(probe: dict[str, Any]) -> int:
    return int(probe["periodSeconds"]) * int(probe["failureThreshold"])


@pytest.mark.parametrize("setting", [[], ["startupSeconds=777"]])
def test_each_liveness_probe_begins_after_a_startup_probe_with_the_time_of_the_values(setting: list[str]) -> None:
    """Otherwise a slow node ends a process again and again before it has started."""
    documents = render(*setting)
    specs = pod_specs(documents)
    for name, application in applications(documents).items():
        if name in LAYERS:
            specs[name] = application["spec"]["driver"]["template"]["spec"]
    probed = set()
    for name, spec in specs.items():
        for container in spec["containers"]:
            if "livenessProbe" in container:
                probed.add(f"{name} {container['name']}")
                limit = 777 if setting else 1800
                assert limit <= _probe_seconds(container["startupProbe"]) < limit + 30, name
    assert {
        "StatefulSet airflow api-server",
        "StatefulSet airflow scheduler",
        "StatefulSet airflow dag-processor",
        "StatefulSet airflow triggerer",
    } < probed
    assert {"Deployment mlflow mlflow", "Deployment dashboard dashboard"} < probed
    assert {f"{layer} spark-kubernetes-driver" for layer in LAYERS} < probed


@pytest.mark.parametrize("component", ["scheduler", "dag-processor", "triggerer"])
def test_a_frozen_process_of_airflow_is_restarted_within_minutes(component: str) -> None:
    containers = pod_specs(render())["StatefulSet airflow"]["containers"]
    (container,) = [container for container in containers if container["name"] == component]
    command = container["livenessProbe"]["exec"]["command"]
    assert command[-1] == component.replace("-", "_")
    assert container["startupProbe"]["exec"]["command"] == [*command, "--started"]
    # Airflow calls a process unhealthy 30 s after its last heartbeat.
    assert 30 + _probe_seconds(container["livenessProbe"]) <= 180


@pytest.mark.parametrize(("pod", "name"), [("StatefulSet airflow", "airflow"), ("Deployment mlflow", "mlflow")])
def test_migrations_run_before_the_servers_and_without_a_limit_of_time(pod: str, name: str) -> None:
    spec = pod_specs(render())[pod]
    (migrate,) = spec["initContainers"]
    assert migrate["args"] == ["python", f"/opt/migrate/migrate_{name}.py"]
    assert migrate["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert "activeDeadlineSeconds" not in spec and not [key for key in migrate if key.endswith("Probe")]
    dockerfile = (ROOT / "docker" / f"{name}.Dockerfile").read_text()
    assert f"docker/migrate/migrate_{name}.py /opt/migrate/" in dockerfile


def test_no_argument_of_a_process_has_a_secret() -> None:
    """Everybody who can list the processes of a node can read arguments."""
    for name, spec in pod_specs(render()).items():
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            secrets = {e["name"] for e in container.get("env", []) if "secretKeyRef" in e.get("valueFrom", {})}
            arguments = " ".join([*container.get("command", []), *container.get("args", [])])
            assert not [secret for secret in secrets if secret in arguments], name


def test_mlflow_accepts_the_host_names_of_the_values() -> None:
    def env(*settings: str) -> dict[str, str]:
        container = pod_specs(render(*settings))["Deployment mlflow"]["containers"][0]
        return {entry["name"]: entry.get("value", "") for entry in container["env"]}

    default = env()["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {"mlflow:5000", "mlflow.tweets:5000", "localhost:*"} < set(default)
    assert "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS" not in env()
    given = env("mlflow.allowedHosts={mlflow.example.com,*.mesh:8080}")
    assert given["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",") == [*default, "mlflow.example.com", "*.mesh:8080"]
    assert given["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"].split(",") == [
        "http://mlflow.example.com", "http://*.mesh:8080", "https://mlflow.example.com", "https://*.mesh:8080",
    ]  # fmt: skip


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

    documents = render()
    rendered = json.dumps([*documents, *applications(documents).values()])
    # Admission policies quote the names within strings.
    names = {part.split('"')[0].rstrip("\\") for part in rendered.split('"TWEETS_')[1:]}
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
        ("startupSeconds=soon", "/startupSeconds"),
        ("mlflow.allowedHosts={https://mlflow.example.com}", "/mlflow/allowedHosts"),
        ("postgres.enabled=false,postgres.existingSecret=", "postgres.existingSecret is missing"),
        ("streams.silver.formats.own.marks={a}", "missing properties 'text', 'time'"),
        ("streams.silver.formats.own.tim={a}", "'tim' not allowed"),
        ("streams.silver.formats.flat.marks={a}", "/streams/silver/formats"),
        ("backup.keep=0", "/backup/keep"),
        ("backup.schedule=daily", "/backup/schedule"),
        ("backup.destination=s3://tweets-backup", "/backup/destination"),
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
