"""Roles, admission policies and service accounts of the chart."""

import json
from typing import Any

import pytest
import yaml

from tests.chart.rendering import EXISTING, JOB_LAYERS, LAYERS, S3, STREAMS_NAMESPACE, objects, pod_specs, render

pytestmark = pytest.mark.chart


@pytest.mark.parametrize("settings", [EXISTING, [*EXISTING, *S3, "dashboard.typing=true"]], ids=["default", "s3"])
def test_the_smoke_test_has_the_permissions_of_the_dashboard(settings: list[str]) -> None:
    specs = pod_specs(render(*settings))
    smoke_test, dashboard = specs["Pod smoke-test"], specs["Deployment dashboard"]
    assert smoke_test["serviceAccountName"] == dashboard["serviceAccountName"] == "dashboard"
    assert smoke_test["automountServiceAccountToken"] is False
    for key in ("image", "env", "volumeMounts"):
        assert smoke_test["containers"][0][key] == dashboard["containers"][0][key]


def test_without_the_tweet_form_there_is_no_smoke_test() -> None:
    """Without the form, the dashboard may not write to the landing zone."""
    assert "Pod smoke-test" not in pod_specs(render("dashboard.typing=false"))


def test_the_streams_namespace_holds_no_secrets() -> None:
    documents = [d for d in render() if d["metadata"].get("namespace") == STREAMS_NAMESPACE]
    assert documents and not objects(documents, "Secret")
    assert "secretKeyRef" not in json.dumps(documents)


def _policy(name: str) -> Any:
    return objects(render(*EXISTING), "ValidatingAdmissionPolicy")[f"tweets.tweet-sentiment-{name}"]["spec"]


def test_airflow_may_apply_the_jobs_and_read_their_logs() -> None:
    rules = objects(render(*EXISTING), "Role")["tweets.tweet-sentiment-airflow"]["rules"]
    (applications,) = [rule for rule in rules if "gold" in rule.get("resourceNames", [])]
    assert applications["resourceNames"] == [*LAYERS, *JOB_LAYERS]
    (logs,) = [rule for rule in rules if "pods/log" in rule["resources"]]
    assert (logs["resourceNames"], logs["verbs"]) == ([f"{job}-driver" for job in JOB_LAYERS], ["get"])


def test_airflow_may_delete_the_driver_of_a_stream_but_not_of_a_job() -> None:
    conditions = {rule["name"]: rule["expression"] for rule in _policy("airflow-jobs")["matchConditions"]}
    expression = conditions["not-healing-a-stream"]
    assert "'gold-driver'" in expression and not [job for job in JOB_LAYERS if f"{job}-driver" in expression]


def test_a_stream_and_the_jobs_on_its_tables_run_under_the_service_account_of_the_layer() -> None:
    policy = _policy("stream-applications")
    variables = {variable["name"]: variable["expression"] for variable in policy["variables"]}
    # A map of CEL, with keys and values in single quotes, is also a mapping in YAML.
    assert yaml.safe_load(variables["accounts"]) == dict(zip(LAYERS, LAYERS, strict=True)) | JOB_LAYERS
    assert variables["account"] == (
        "object.metadata.name in variables.accounts ? variables.accounts[object.metadata.name] : ''"
    )
    names, accounts, _ = (validation["expression"] for validation in policy["validations"])
    assert names == "object.metadata.name in variables.accounts"
    assert accounts.count("== variables.account") == 2
