"""Secrets: generated once on a cluster, never without one, and created as docs/security.md describes."""

import base64
import re
from pathlib import Path

import pytest
import yaml

from tests.chart.api_server import stored, upgrade
from tests.chart.rendering import (
    CASES,
    NAMESPACE,
    RELEASE,
    ROOT,
    S3,
    STREAMS_NAMESPACE,
    Object,
    helm,
    objects,
    pods,
    render,
    run_template,
)

pytestmark = pytest.mark.chart

KEYS = {
    "airflow": {"admin-password", "fernet-key", "jwt-secret", "api-secret-key"},
    "mlflow": {"admin-password", "writer-password", "quality-password", "reader-password", "flask-secret-key"},
    "postgres": {"password", "airflow-password", "mlflow-password", "airflow-uri", "mlflow-uri"},
}
# The only Secret in the namespace of the streams: a part of the Secret mlflow.
STREAMS_KEYS = {"quality-password", "reader-password"}
ALL_KEYS = {(NAMESPACE, name): keys for name, keys in KEYS.items()} | {(STREAMS_NAMESPACE, "mlflow"): STREAMS_KEYS}
PAGE = (ROOT / "docs" / "security.md").read_text()


def _secrets(text: str) -> dict[tuple[str, str], dict[str, str]]:
    """Return the data of the rendered Secrets, by namespace and name."""
    secrets = [document for document in yaml.safe_load_all(text) if document and document["kind"] == "Secret"]
    assert all(secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} for secret in secrets)
    return {(found["metadata"]["namespace"], found["metadata"]["name"]): found["stringData"] for found in secrets}


def secret(namespace: str, name: str, data: dict[str, str]) -> dict[str, Object]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return stored("Secret", name, namespace, data=encoded)


@pytest.mark.parametrize("name", KEYS)
def test_without_a_cluster_a_missing_secret_is_refused_with_its_value_and_keys(name: str) -> None:
    """Argo CD renders without a cluster: generated passwords would change with each synchronisation."""
    process = helm(f"{name}.existingSecret=")
    assert process.returncode != 0
    assert f"{name}.existingSecret" in process.stderr and f"kubectl create namespace {NAMESPACE}" in process.stderr
    assert all(key in process.stderr for key in KEYS[name])
    assert not [other for other in KEYS.keys() - {name} if f"{other}.existingSecret" in process.stderr]


def test_a_secret_of_a_part_that_is_off_is_not_required() -> None:
    for name in ("airflow", "mlflow"):
        assert helm(f"{name}.existingSecret=", f"{name}.enabled=false").returncode == 0
    off = ["airflow.enabled=false", "mlflow.enabled=false", "postgres.enabled=false", "postgres.existingSecret="]
    assert not objects(render(*off), "Secret")


@pytest.mark.parametrize("case", CASES)
def test_two_renderings_without_a_cluster_are_equal_and_hold_no_secret(case: str) -> None:
    first, second = (run_template.__wrapped__(tuple(CASES[case]), RELEASE, NAMESPACE, False, ()) for _ in range(2))
    assert first.returncode == 0 and first.stdout == second.stdout
    assert "kind: Secret\n" not in first.stdout


def test_generated_secrets_have_all_keys_and_are_kept_by_the_next_upgrade(tmp_path: Path) -> None:
    generated = _secrets(upgrade(tmp_path, {}).stdout)
    assert {place: set(data) for place, data in generated.items()} == ALL_KEYS
    registry = generated[NAMESPACE, "mlflow"]
    assert generated[STREAMS_NAMESPACE, "mlflow"].items() <= registry.items()
    assert len(set(registry.values())) == len(registry) and all(len(value) == 32 for value in registry.values())
    database = generated[NAMESPACE, "postgres"]
    for role in ("airflow", "mlflow"):
        password = database[f"{role}-password"]
        assert database[f"{role}-uri"] == f"postgresql+psycopg2://{role}:{password}@postgres.tweets:5432/{role}"
    assert len({value for key, value in database.items() if key.endswith("password")}) == 3
    installed = {path: found for place, data in generated.items() for path, found in secret(*place, data).items()}
    assert _secrets(upgrade(tmp_path, installed).stdout) == generated
    # Only a Secret that exists is kept: another installation has other passwords.
    assert _secrets(upgrade(tmp_path, {}).stdout) != generated


def test_pods_read_only_the_keys_of_the_existing_secrets() -> None:
    read: dict[str, set[str]] = {}
    for _, pod in pods(render()):
        for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", []):
            for variable in container.get("env", []):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    read.setdefault(reference["name"], set()).add(reference["key"])
    assert read == {"airflow-keys": KEYS["airflow"], "mlflow-keys": KEYS["mlflow"], "database": KEYS["postgres"]}


def _examples(kind: str) -> list[Object]:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return [found for block in blocks for found in yaml.safe_load_all(block) if found and found.get("kind") == kind]


def test_the_external_secrets_of_the_documentation_create_the_secrets_that_the_chart_reads() -> None:
    created = {
        (found["metadata"]["namespace"].replace("tweet-sentiment", NAMESPACE), found["spec"]["target"]["name"]): found
        for found in _examples("ExternalSecret")
    }
    assert created.keys() == ALL_KEYS.keys()
    for (namespace, name), found in created.items():
        assert found["apiVersion"] == "external-secrets.io/v1"
        template = found["spec"]["target"].get("template", {}).get("data", {})
        keys = {entry["secretKey"] for entry in found["spec"]["data"]} | template.keys()
        assert keys == ALL_KEYS[namespace, name], name
        if name == "postgres":
            for role in ("airflow", "mlflow"):
                password = f'{{{{ index . "{role}-password" }}}}'
                assert template[f"{role}-uri"] == (
                    f"postgresql+psycopg2://{role}:{password}@postgres.tweet-sentiment:5432/{role}"
                )
    process = helm(*S3, *(f"{name}.existingSecret={name}" for _, name in created))
    assert process.returncode == 0, process.stderr


def test_the_commands_for_sealed_secrets_name_all_keys() -> None:
    for (namespace, name), keys in ALL_KEYS.items():
        place = namespace.replace(NAMESPACE, "tweet-sentiment")
        (command,) = re.findall(rf"kubectl create secret generic {name} -n {place} .*?kubeseal", PAGE, re.DOTALL)
        assert set(re.findall(r"--from-literal=([a-z-]+)=", command)) == keys, name
