"""helm/airflow-official-values.yaml against what our own chart tells and gives its Airflow."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.test_chart import CHART, pods, render

pytestmark = pytest.mark.chart

ROOT = Path(__file__).parents[2]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "helm" / "airflow-official-values.yaml").read_text())
DOCKERFILE = (ROOT / "docker" / "airflow.Dockerfile").read_text()
ACCOUNT = VALUES["scheduler"]["serviceAccount"]["name"]
# What the file asks to be set in our chart.
OURS = ["airflow.enabled=false", "airflow.serviceAccount.namespace=airflow", f"airflow.serviceAccount.name={ACCOUNT}"]


def test_the_dags_are_told_the_same_as_by_our_chart() -> None:
    documents = render("streams.namespace=tweet-sentiment-streams")
    (ours,) = [d["data"] for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == "airflow"]
    told = {entry["name"]: entry["value"] for entry in VALUES["env"]}
    assert told == {name: value for name, value in ours.items() if name.startswith("TWEETS_")}


def test_its_service_account_gets_the_rights_of_ours_and_nobody_else_does() -> None:
    def named(documents: list[dict[str, Any]], kind: str, holds: Callable[[str], bool]) -> list[dict[str, Any]]:
        return [d for d in documents if d["kind"] == kind and holds(d["metadata"]["name"])]

    def rights(documents: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        (role,) = named(documents, "Role", lambda name: name == "airflow")
        (binding,) = named(documents, "RoleBinding", lambda name: name == "airflow")
        return role["rules"], binding["subjects"]

    own = render(*OURS)
    assert rights(own) == (
        rights(render())[0],
        [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "airflow"}],
    )
    (policy,) = named(own, "ValidatingAdmissionPolicy", lambda name: name.endswith("-applications"))
    (condition,) = policy["spec"]["matchConditions"]
    assert f"'system:serviceaccount:airflow:{ACCOUNT}'" in condition["expression"]
    assert not [name for name, _ in pods(own) if "airflow" in name]

    nobody = render("airflow.enabled=false")
    assert not named(nobody, "Role", lambda name: name == "airflow")
    assert not named(nobody, "ValidatingAdmissionPolicy", lambda name: name.endswith("-applications"))


def test_the_image_is_ours_and_runs_as_its_user() -> None:
    image = VALUES["images"]["airflow"]
    assert image["tag"] == yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    (ours,) = {
        container["image"]
        for name, spec in pods(render())
        if name == "StatefulSet airflow"
        for container in spec["containers"]
    }
    assert f"{image['repository']}:{image['tag']}" == ours
    assert f'"apache-airflow=={VALUES["airflowVersion"]}"' in (ROOT / "pyproject.toml").read_text()

    user = VALUES["uid"]
    assert f"USER {user}:{VALUES['gid']}\n" in DOCKERFILE
    pod = VALUES["securityContexts"]["pod"]
    assert pod["runAsUser"] == pod["runAsGroup"] == pod["fsGroup"] == user and pod["runAsNonRoot"] is True
    (home,) = VALUES["volumeMounts"]
    assert home["mountPath"] == VALUES["airflowHome"]
    # The chart looks for the DAGs in that home, unless the image says where they are.
    assert re.search(r"AIRFLOW__CORE__DAGS_FOLDER=/opt/airflow/dags\b", DOCKERFILE)
    assert not home["mountPath"].startswith("/opt/airflow")


def test_the_secret_is_the_one_that_the_readme_makes() -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("### Bring your own Airflow") :].split("\n## ")[0]
    names = {VALUES["data"]["metadataSecretName"]} | {
        VALUES[f"{key}SecretName"] for key in ("fernetKey", "apiSecretKey")
    }
    (secret,) = names | {VALUES["jwtSecretName"]}
    assert f"create secret generic {secret} " in section
    for key in ("connection", "fernet-key", "api-secret-key", "jwt-secret"):
        assert f"--from-literal={key}=" in section
    assert f"serviceAccount: {{namespace: airflow, name: {ACCOUNT}}}" in section
