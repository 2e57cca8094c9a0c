"""Roles, admission policies and service accounts of the chart."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.chart.rendering import (
    CASES,
    JOB_LAYERS,
    LAYERS,
    NAMESPACE,
    ROOT,
    S3,
    STREAMS_NAMESPACE,
    Object,
    applications,
    helm,
    objects,
    pod_specs,
    pods,
    render,
)
from tests.model.mlflow_server import USERS
from tweet_dags.reconcile.annotations import CONFIG_MAP, STATUS_CONFIG_MAP

pytestmark = pytest.mark.chart


@pytest.mark.parametrize("settings", [[], [*S3, "dashboard.typing=true"]], ids=["default", "s3"])
def test_the_smoke_test_has_the_permissions_of_the_dashboard(settings: list[str]) -> None:
    specs = pod_specs(render(*settings))
    smoke_test, dashboard = specs["Pod smoke-test"], specs["Deployment dashboard"]
    assert smoke_test["serviceAccountName"] == dashboard["serviceAccountName"] == "dashboard"
    assert smoke_test["automountServiceAccountToken"] is False
    assert smoke_test.get("initContainers") == dashboard.get("initContainers")
    for key in ("image", "env", "volumeMounts"):
        assert smoke_test["containers"][0][key] == dashboard["containers"][0][key]


def test_on_s3_the_smoke_test_exists_only_with_the_tweet_form() -> None:
    """Its permissions are those of the dashboard, which may not land tweets without the form."""
    assert "Pod smoke-test" not in pod_specs(render(*S3))
    assert "Pod smoke-test" in pod_specs(render("dashboard.typing=false"))
    assert "Pod smoke-test" not in pod_specs(render("dashboard.enabled=false"))


@pytest.mark.parametrize("landing", ["/lake/landing", "/lake/a/b"])
def test_the_dashboard_mounts_the_lake_read_only_and_lands_tweets_in_a_folder_of_their_own(landing: str) -> None:
    dashboard = pod_specs(render(f"landing={landing}"))["Deployment dashboard"]["containers"][0]
    _, _, lake, typed = dashboard["volumeMounts"]
    assert lake == {"name": "lake", "mountPath": "/lake", "readOnly": True}
    assert typed == {"name": "lake", "mountPath": f"{landing}/typed", "subPath": f"{landing[6:]}/typed"}
    assert {"name": "TWEETS_LANDING", "value": typed["mountPath"]} in dashboard["env"]


@pytest.mark.parametrize(
    ("settings", "typing"),
    [
        ([], True),
        (["demo.enabled=false"], False),
        (["demo.enabled=false", "dashboard.typing=true"], True),
        (["dashboard.typing=false"], False),
    ],
)
def test_outside_the_demo_the_dashboard_lands_tweets_only_on_request(settings: list[str], typing: bool) -> None:
    dashboard = pod_specs(render(*settings))["Deployment dashboard"]
    (container,) = dashboard["containers"]
    assert ("TWEETS_LANDING" in {variable["name"] for variable in container["env"]}) is typing
    written = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert written == ["/tmp", *(["/lake/landing/typed"] if typing else [])]
    assert bool(dashboard.get("initContainers")) is typing


def test_people_label_tweets_only_on_request_into_a_table_of_their_own() -> None:
    settings = ["demo.enabled=false", "dashboard.labelling=true"]
    dashboard = pod_specs(render(*settings))["Deployment dashboard"]
    (container,), (init,) = dashboard["containers"], dashboard["initContainers"]
    assert {"name": "TWEETS_LABELLING", "value": "true"} in container["env"]
    labels = {"name": "lake", "mountPath": "/lake/tables/human_labels", "subPath": "tables/human_labels"}
    assert [mount for mount in container["volumeMounts"] if not mount.get("readOnly")][1:] == [labels]
    assert init["args"] == ["mkdir", "-p", labels["mountPath"]]
    (container,) = pod_specs(render())["Deployment dashboard"]["containers"]
    assert "TWEETS_LABELLING" not in {variable["name"] for variable in container["env"]}
    assert "initContainers" not in pod_specs(render(*S3, *settings))["Deployment dashboard"]


def _read_keys(documents: list[Object]) -> dict[str, set[str]]:
    """Return the keys of Secrets that each container reads, by "<namespace> <pod> <container>", also of drivers."""
    containers: dict[str, Object] = {}
    for pod, found in pods(documents):
        for container in [*found["spec"]["containers"], *found["spec"].get("initContainers", [])]:
            containers[f"{found['metadata']['namespace']} {pod} {container['name']}"] = container
    for name, application in applications(documents).items():
        for role in ("driver", "executor"):
            containers[f"{STREAMS_NAMESPACE} {name} {role}"] = application["spec"][role]
    read = {
        name: [env.get("valueFrom", {}).get("secretKeyRef") for env in container.get("env", [])]
        for name, container in containers.items()
    }
    return {name: {f"{key['name']}/{key['key']}" for key in keys if key} for name, keys in read.items() if any(keys)}


def test_each_client_of_mlflow_reads_the_password_of_its_own_user() -> None:
    read = {
        name: {key for key in keys if key.startswith("mlflow-keys/")} for name, keys in _read_keys(render()).items()
    }
    gold = {f"{STREAMS_NAMESPACE} {name} driver": "reader" for name in ("gold", "rescore", "rebuild-gold")}
    users = gold | {
        f"{STREAMS_NAMESPACE} Deployment dashboard dashboard": "reader",
        f"{STREAMS_NAMESPACE} Pod smoke-test smoke-test": "reader",
        f"{STREAMS_NAMESPACE} Job pod quality job": "quality",
        f"{NAMESPACE} Job pod model-jobs job": "writer",
        f"{NAMESPACE} Deployment mlflow first-model": "writer",
    }
    everybody = {f"mlflow-keys/{user}-password" for user in ("admin", "reader", "quality", "writer")}
    assert {name: keys for name, keys in read.items() if keys} == {
        **{name: {f"mlflow-keys/{user}-password"} for name, user in users.items()},
        f"{NAMESPACE} Deployment mlflow migrate": everybody,
        f"{NAMESPACE} Deployment mlflow mlflow": {"mlflow-keys/flask-secret-key"},
    }


def test_the_streams_namespace_reads_no_secret_but_the_logins_of_reader_and_quality() -> None:
    documents = [d for d in render() if d["metadata"].get("namespace") == STREAMS_NAMESPACE]
    assert documents and not objects(documents, "Secret")
    read = {key for name, keys in _read_keys(render()).items() if name.startswith(STREAMS_NAMESPACE) for key in keys}
    assert read == {"mlflow-keys/reader-password", "mlflow-keys/quality-password"}
    assert not re.search(
        "writer|admin-password|flask", json.dumps([d for d in documents if "model-jobs" not in str(d)])
    )


@pytest.mark.parametrize(
    ("settings", "storage"),
    [((), []), ((*S3, "storage.s3.existingSecret=keys"), ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])],
)
def test_admission_policies_allow_each_pod_the_keys_that_it_reads(
    settings: tuple[str, ...], storage: list[str]
) -> None:
    """Who may create pods in a namespace could otherwise read every key of its Secrets."""
    policies = objects(render(*settings), "ValidatingAdmissionPolicy")
    expressions = {
        name: variable["expression"]
        for name in ("stream-pods", "airflow-jobs")
        for variable in policies[f"tweets.tweet-sentiment-{name}"]["spec"]["variables"]
        if variable["name"] == "secrets"
    }
    found = {
        name: [set(re.findall("'([^']*/[^']*)'", part)) for part in text.split(" : ")]
        for name, text in expressions.items()
    }
    keys = {f"keys/{key}" for key in storage}
    assert found == {
        "stream-pods": [keys | {"mlflow-keys/reader-password"}],
        "airflow-jobs": [keys | {"mlflow-keys/quality-password"}, {"mlflow-keys/writer-password"}],
    }
    for name in expressions:
        assert "secretKeyRef.name + '/' + env.valueFrom.secretKeyRef.key in variables.secrets" in json.dumps(
            policies[f"tweets.tweet-sentiment-{name}"]
        )


def test_an_existing_registry_has_a_login_only_with_a_secret() -> None:
    external = ("mlflow.enabled=false", "mlflow.uri=https://registry.example.com")
    without = {key for keys in _read_keys(render(*external, "mlflow.existingSecret=")).values() for key in keys}
    assert not [key for key in without if not key.startswith(("airflow-keys/", "database/"))]
    read = _read_keys(render(*external))
    assert read[f"{STREAMS_NAMESPACE} gold driver"] == {"mlflow-keys/reader-username", "mlflow-keys/reader-password"}
    assert read[f"{NAMESPACE} Job pod model-jobs job"] == {"mlflow-keys/writer-username", "mlflow-keys/writer-password"}
    assert read[f"{STREAMS_NAMESPACE} Job pod quality job"] == {
        "mlflow-keys/quality-username",
        "mlflow-keys/quality-password",
    }


def test_the_server_of_mlflow_has_the_login_that_the_init_container_prepares() -> None:
    spec = pod_specs(render())["Deployment mlflow"]
    migrate, server = spec["initContainers"][0], spec["containers"][0]
    assert "--app-name=basic-auth" in server["args"]
    env = [{each["name"]: each.get("value") for each in container["env"]} for container in (migrate, server)]
    assert env[0]["LOGIN_CONFIG"] == env[1]["MLFLOW_AUTH_CONFIG_PATH"] == "/etc/mlflow/login.ini"
    assert {name.removesuffix("_PASSWORD").lower() for name in env[0] if name.endswith("_PASSWORD")} == set(USERS)
    mounts = [
        next(mount for mount in container["volumeMounts"] if mount["mountPath"] == "/etc/mlflow")
        for container in (migrate, server)
    ]
    assert [mount.get("readOnly", False) for mount in mounts] == [False, True]
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == mounts[0]["name"] == mounts[1]["name"]]
    assert volume["emptyDir"]["medium"] == "Memory"
    assert {probe["httpGet"]["path"] for probe in (server["startupProbe"], server["livenessProbe"])} == {"/health"}
    dockerfile = (ROOT / "docker" / "mlflow.Dockerfile").read_text()
    assert "COPY docker/mlflow_login.py /opt/mlflow/" in dockerfile and "PYTHONPATH=/opt/mlflow" in dockerfile


def _policy(name: str) -> Any:
    return objects(render(), "ValidatingAdmissionPolicy")[f"tweets.tweet-sentiment-{name}"]["spec"]


def test_airflow_may_apply_the_jobs_and_read_their_logs() -> None:
    rules = objects(render(), "Role")["tweets.tweet-sentiment-airflow"]["rules"]
    (applications,) = [rule for rule in rules if "gold" in rule.get("resourceNames", [])]
    assert applications["resourceNames"] == [*LAYERS, *JOB_LAYERS]
    (logs,) = [rule for rule in rules if "pods/log" in rule["resources"]]
    assert (logs["resourceNames"], logs["verbs"]) == ([f"{job}-driver" for job in JOB_LAYERS], ["get"])


def test_airflow_writes_its_reports_into_a_config_map_that_other_pods_mount() -> None:
    documents = render("monitoring.alerts.runbook=https://example.com/run")
    rules = objects(documents, "Role")["tweets.tweet-sentiment-airflow"]["rules"]
    (rule,) = [rule for rule in rules if "configmaps" in rule["resources"]]
    assert (rule["resourceNames"], rule["verbs"]) == ([CONFIG_MAP, STATUS_CONFIG_MAP], ["get", "patch"])
    # Airflow writes the data: an upgrade of the chart must not replace it.
    assert "data" not in objects(documents, "ConfigMap")[STATUS_CONFIG_MAP]
    dashboard = pod_specs(documents)["Deployment dashboard"]
    drivers = [application["spec"] for application in applications(documents).values()]
    for spec, container in [(dashboard, dashboard["containers"][0]), *[(spec, spec["driver"]) for spec in drivers]]:
        (volume,) = [each for each in spec["volumes"] if each.get("configMap", {}).get("name") == STATUS_CONFIG_MAP]
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == volume["name"]]
        env = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert env["TWEETS_STREAM_STATUS"] == mount["mountPath"] and mount["readOnly"]
        assert "subPath" not in mount and volume["configMap"]["optional"]
    runbook = {entry["name"]: entry.get("value") for entry in dashboard["containers"][0]["env"]}["TWEETS_RUNBOOK"]
    assert objects(documents, "ConfigMap")["airflow"]["data"]["TWEETS_RUNBOOK"] == runbook == "https://example.com/run"
    service_account = objects(documents, "ServiceAccount")["dashboard"]
    assert service_account["automountServiceAccountToken"] is False


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
    names, accounts, *_ = (validation["expression"] for validation in policy["validations"])
    assert names == "object.metadata.name in variables.accounts"
    assert accounts.count("== variables.account") == 2


def test_airflow_and_mlflow_have_a_database_role_each_and_only_postgres_has_the_superuser() -> None:
    used: dict[str, set[str]] = {}
    for name, spec in pod_specs(render()).items():
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            keys = [env.get("valueFrom", {}).get("secretKeyRef", {}) for env in container.get("env", [])]
            used.setdefault(name, set()).update(key["key"] for key in keys if key.get("name") == "database")
    assert used.pop("StatefulSet postgres") == {"password", "airflow-password", "mlflow-password"}
    assert {name: keys for name, keys in used.items() if keys} == {
        "StatefulSet airflow": {"airflow-uri"},
        "CronJob airflow-clean": {"airflow-uri"},
        "Deployment mlflow": {"mlflow-uri"},
    }


def test_drivers_have_permissions_on_pods_only_and_spark_needs_no_other() -> None:
    documents = render()
    (rule,) = objects(documents, "Role")["tweets.tweet-sentiment-driver"]["rules"]
    assert (rule["apiGroups"], rule["resources"]) == ([""], ["pods"])
    for name, application in applications(documents).items():
        conf = application["spec"]["sparkConf"]
        assert conf["spark.kubernetes.executor.disableConfigMap"] == "true", name
        assert conf["spark.kubernetes.driver.service.deleteOnTermination"] == "false", name
        assert conf["spark.kubernetes.driver.ownPersistentVolumeClaim"] == "false", name
        assert conf["spark.authenticate"] == conf["spark.network.crypto.enabled"] == "true", name


def test_the_policy_compares_each_application_with_the_spec_of_the_chart() -> None:
    """The literals of the policy are JSON, but for the calls of dyn(), which only give a type."""
    for settings in CASES.values():
        documents = render(*settings)
        policy = objects(documents, "ValidatingAdmissionPolicy")["tweets.tweet-sentiment-stream-applications"]["spec"]
        variables = {variable["name"]: variable["expression"] for variable in policy["variables"]}
        for name, application in applications(documents).items():
            literal = variables[name.replace("-", "_")].replace("dyn(", "").replace(")", "")
            assert json.loads(literal) == application["spec"], name


def test_an_administrator_can_create_the_cluster_scoped_objects_apart() -> None:
    """`admissionPolicies` and the templates that docs/security.md names split the chart into two parts."""
    both, namespaced = render(), render("admissionPolicies=false")
    policies = list(yaml.safe_load_all(helm(only=["templates/*-policy.yaml"]).stdout))
    assert all("namespace" in document["metadata"] for document in namespaced)
    assert {document["kind"] for document in policies} == {
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }

    def names(documents: list[Any]) -> list[tuple[str, str, str]]:
        return sorted(
            (found["kind"], found["metadata"].get("namespace", ""), found["metadata"]["name"]) for found in documents
        )

    assert names(both) == names(namespaced + policies)
