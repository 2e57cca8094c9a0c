"""Secrets: generated once on a cluster, never without one, and created as docs/security.md describes."""

import base64
import re
from pathlib import Path

import pytest
import yaml

from tests.chart.api_server import stored, upgrade
from tests.chart.rendering import CASES, NAMESPACE, RELEASE, ROOT, S3, Object, helm, objects, pods, render, run_template

pytestmark = pytest.mark.chart

KEYS = {
    "airflow": {"admin-password", "fernet-key", "jwt-secret", "api-secret-key"},
    "postgres": {"password", "airflow-password", "mlflow-password", "airflow-uri", "mlflow-uri"},
}
PAGE = (ROOT / "docs" / "security.md").read_text()


def _secrets(text: str) -> dict[str, dict[str, str]]:
    documents = [document for document in yaml.safe_load_all(text) if document]
    return {name: secret["stringData"] for name, secret in objects(documents, "Secret").items()}


def secret(name: str, data: dict[str, str]) -> dict[str, Object]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return stored("Secret", name, NAMESPACE, data=encoded)


@pytest.mark.parametrize("name", KEYS)
def test_without_a_cluster_a_missing_secret_is_refused_with_its_value_and_keys(name: str) -> None:
    """Argo CD renders without a cluster: generated passwords would change with each synchronisation."""
    process = helm(f"{name}.existingSecret=")
    assert process.returncode != 0
    assert f"{name}.existingSecret" in process.stderr and f"kubectl create namespace {NAMESPACE}" in process.stderr
    assert all(key in process.stderr for key in KEYS[name])
    (other,) = KEYS.keys() - {name}
    assert f"{other}.existingSecret" not in process.stderr


def test_a_secret_of_a_part_that_is_off_is_not_required() -> None:
    assert helm("airflow.existingSecret=", "airflow.enabled=false").returncode == 0
    off = ["airflow.enabled=false", "mlflow.enabled=false", "postgres.enabled=false", "postgres.existingSecret="]
    assert not objects(render(*off), "Secret")


@pytest.mark.parametrize("case", CASES)
def test_two_renderings_without_a_cluster_are_equal_and_hold_no_secret(case: str) -> None:
    first, second = (run_template.__wrapped__(tuple(CASES[case]), RELEASE, NAMESPACE, False, ()) for _ in range(2))
    assert first.returncode == 0 and first.stdout == second.stdout
    assert "kind: Secret\n" not in first.stdout


def test_generated_secrets_have_all_keys_and_are_kept_by_the_next_upgrade(tmp_path: Path) -> None:
    generated = _secrets(upgrade(tmp_path, {}).stdout)
    assert {name: set(data) for name, data in generated.items()} == KEYS
    database = generated["postgres"]
    for role in ("airflow", "mlflow"):
        password = database[f"{role}-password"]
        assert database[f"{role}-uri"] == f"postgresql+psycopg2://{role}:{password}@postgres.tweets:5432/{role}"
    assert len({value for key, value in database.items() if key.endswith("password")}) == 3
    installed = {path: found for name, data in generated.items() for path, found in secret(name, data).items()}
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
    assert read == {"airflow-keys": KEYS["airflow"], "database": KEYS["postgres"]}


def _examples(kind: str) -> list[Object]:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return [found for block in blocks for found in yaml.safe_load_all(block) if found and found.get("kind") == kind]


def test_the_external_secrets_of_the_documentation_create_the_secrets_that_the_chart_reads() -> None:
    created = {found["spec"]["target"]["name"]: found for found in _examples("ExternalSecret")}
    assert created.keys() == KEYS.keys()
    for name, found in created.items():
        assert found["apiVersion"] == "external-secrets.io/v1"
        assert found["metadata"]["namespace"] == "tweet-sentiment"
        template = found["spec"]["target"].get("template", {}).get("data", {})
        assert {entry["secretKey"] for entry in found["spec"]["data"]} | template.keys() == KEYS[name], name
        if name == "postgres":
            for role in ("airflow", "mlflow"):
                password = f'{{{{ index . "{role}-password" }}}}'
                assert template[f"{role}-uri"] == (
                    f"postgresql+psycopg2://{role}:{password}@postgres.tweet-sentiment:5432/{role}"
                )
    process = helm(*S3, *(f"{name}.existingSecret={name}" for name in created))
    assert process.returncode == 0, process.stderr


def test_the_commands_for_sealed_secrets_name_all_keys() -> None:
    for name, keys in KEYS.items():
        (command,) = re.findall(rf"kubectl create secret generic {name} .*?kubeseal", PAGE, re.DOTALL)
        assert set(re.findall(r"--from-literal=([a-z-]+)=", command)) == keys, name
