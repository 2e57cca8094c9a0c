"""helm/airflow-official-values.yaml must match the Airflow of this chart: environment, permissions, image, Secrets."""

import re
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, ROOT, objects, pod_specs, render

pytestmark = pytest.mark.chart

VALUES: dict[str, Any] = yaml.safe_load((ROOT / "helm" / "airflow-official-values.yaml").read_text())
DOCKERFILE = (ROOT / "docker" / "airflow.Dockerfile").read_text()
ACCOUNT = VALUES["scheduler"]["serviceAccount"]["name"]
# The values of this chart that the file tells its readers to set.
SETTINGS = [
    "airflow.enabled=false",
    "airflow.serviceAccount.namespace=airflow",
    f"airflow.serviceAccount.name={ACCOUNT}",
]
ROLE = "tweets.tweet-sentiment-airflow"
POLICY = "tweets.tweet-sentiment-stream-applications"


def test_the_dags_get_the_same_environment() -> None:
    documents = render("streams.namespace=tweet-sentiment-streams")
    bundled = objects(documents, "ConfigMap")["airflow"]["data"]
    official = {entry["name"]: entry["value"] for entry in VALUES["env"]}
    assert official == {name: value for name, value in bundled.items() if name.startswith("TWEETS_")}


def test_the_service_account_gets_the_permissions_of_the_bundled_airflow() -> None:
    documents = render(*SETTINGS)
    assert objects(documents, "Role")[ROLE]["rules"] == objects(render(), "Role")[ROLE]["rules"]
    assert objects(documents, "RoleBinding")[ROLE]["subjects"] == [
        {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "airflow"}
    ]
    (condition,) = objects(documents, "ValidatingAdmissionPolicy")[POLICY]["spec"]["matchConditions"]
    assert f"'system:serviceaccount:airflow:{ACCOUNT}'" in condition["expression"]
    assert not [name for name in pod_specs(documents) if "airflow" in name]


def test_without_a_service_account_nobody_gets_the_permissions() -> None:
    documents = render("airflow.enabled=false")
    assert ROLE not in objects(documents, "Role")
    assert POLICY not in objects(documents, "ValidatingAdmissionPolicy")


def test_the_image_is_the_one_of_the_chart_and_runs_as_its_user() -> None:
    image = VALUES["images"]["airflow"]
    assert image["tag"] == yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    bundled = pod_specs(render())["StatefulSet airflow"]
    assert {container["image"] for container in bundled["containers"]} == {f"{image['repository']}:{image['tag']}"}
    assert f'"apache-airflow=={VALUES["airflowVersion"]}"' in (ROOT / "pyproject.toml").read_text()

    user = VALUES["uid"]
    assert f"USER {user}:{VALUES['gid']}\n" in DOCKERFILE
    pod = VALUES["securityContexts"]["pod"]
    assert pod["runAsUser"] == pod["runAsGroup"] == pod["fsGroup"] == user and pod["runAsNonRoot"] is True
    (home,) = VALUES["volumeMounts"]
    assert home["mountPath"] == VALUES["airflowHome"]
    # The official chart expects the DAGs below airflowHome unless the image sets the folder.
    assert re.search(r"AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags\b", DOCKERFILE)
    assert not home["mountPath"].startswith("/opt/airflow")


def test_the_secret_is_the_one_that_the_documentation_creates() -> None:
    names = {VALUES["data"]["metadataSecretName"]} | {
        VALUES[f"{key}SecretName"] for key in ("fernetKey", "apiSecretKey")
    }
    (secret,) = names | {VALUES["jwtSecretName"]}
    pages = [page.read_text() for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))]
    (page,) = [page for page in pages if f"create secret generic {secret} " in page]
    for key in ("connection", "fernet-key", "api-secret-key", "jwt-secret"):
        assert f"--from-literal={key}=" in page
    assert f"serviceAccount: {{namespace: airflow, name: {ACCOUNT}}}" in page
