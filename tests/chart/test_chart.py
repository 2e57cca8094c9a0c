"""The chart as helm renders it: what is in it, that nothing changed unseen, and what it refuses."""

import copy
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from spark_apps.settings import Settings

pytestmark = pytest.mark.chart

CHART = Path(__file__).parents[2] / "helm" / "tweet-sentiment"
GOLDEN = Path(__file__).parent / "golden"
# Generated once and kept, hence another at each rendering.
EXISTING = ["airflow.existingSecret=airflow-keys", "postgres.existingSecret=database"]
S3 = [
    "storage.type=s3",
    "storage.s3.region=eu-west-1",
    "storage.s3.webIdentity=true",
    "landing=s3a://tweets-landing/voc_volume",
    "lake=s3a://tweets-lake/lake",
    "mlflow.artifacts=s3://tweets-lake/mlflow",
    "postgres.enabled=false",
    "demo.enabled=false",
    "dashboard.typing=false",
    "dashboard.ingress.enabled=true",
    "dashboard.ingress.tlsSecret=tweets-tls",
    "streams.createNamespace=true",
    "streams.gold.gpus=1",
    "image.registry=registry.example.com",
    "image.pullSecrets={registry}",
    "serviceAccounts.bronze.annotations.role=arn:bronze",
]
CASES = {"default": EXISTING, "s3": [*EXISTING, *S3]}
# The dashboards are long, and have a rendering of their own.
WITHOUT_DASHBOARDS = "monitoring.dashboards=false"
MONITORING = ["templates/monitoring.yaml", "templates/alerts.yaml"]


def helm(*settings: str, monitoring: bool = False, only: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    arguments = [part for setting in settings for part in ("--set", setting)]
    arguments += [part for template in only for part in ("--show-only", template)]
    api = ["--api-versions", "monitoring.coreos.com/v1"] if monitoring else []
    return subprocess.run(
        ["helm", "template", "tweet-sentiment", CHART, "-n", "tweets", "--kube-version", "1.34", *api, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def render(*settings: str, monitoring: bool = False) -> list[dict[str, Any]]:
    done = helm(*settings, monitoring=monitoring)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def applications(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    (found,) = [d for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == "stream-applications"]
    return {name.removesuffix(".yaml"): yaml.safe_load(text) for name, text in found["data"].items()}


def pods(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each pod, or pod template, by the name of what makes it."""
    for document in documents:
        if document["kind"] == "ConfigMap" and document["metadata"]["name"] == "job-pods":
            for name, text in document["data"].items():
                yield f"Job pod {name.removesuffix('.yaml')}", yaml.safe_load(text)["spec"]
        spec = document.get("spec", {})
        if document["kind"] == "Pod":
            spec = {"template": document}
        if document["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if isinstance(spec, dict) and "template" in spec:
            yield f"{document['kind']} {document['metadata']['name']}", spec["template"]["spec"]


def unchanged(case: str, found: str) -> None:
    """Compare with tests/chart/golden; a change that is meant is written there with UPDATE_GOLDEN=true."""
    file = GOLDEN / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN") == "true":
        file.parent.mkdir(exist_ok=True)
        file.write_text(found)
    assert found == file.read_text()


@pytest.mark.parametrize("case", CASES)
def test_nothing_changes_unseen(case: str) -> None:
    unchanged(case, helm(*CASES[case], WITHOUT_DASHBOARDS).stdout)


def test_no_alert_or_dashboard_changes_unseen() -> None:
    unchanged("monitoring", helm(monitoring=True, only=MONITORING).stdout)


def test_the_inventory() -> None:
    found = {(d["kind"], d["metadata"]["name"]) for d in render(*EXISTING)}
    assert {kind for kind, _ in found} == {
        "ConfigMap", "CronJob", "Deployment", "Job", "NetworkPolicy", "PersistentVolumeClaim", "Pod", "Role",
        "RoleBinding", "Service", "ServiceAccount", "StatefulSet", "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }  # fmt: skip
    assert {name for kind, name in found if kind == "ServiceAccount"} == {
        "bronze", "silver", "gold", "dashboard", "demo", "airflow", "mlflow", "model-jobs", "postgres", "quality",
    }  # fmt: skip
    # Helm's hooks but its test would wait for services that come with the chart.
    hooks = [d["metadata"] for d in render(*EXISTING) if "helm.sh/hook" in d["metadata"].get("annotations", {})]
    assert [(hook["name"], hook["annotations"]["helm.sh/hook"]) for hook in hooks] == [("follow-a-tweet", "test")]


@pytest.mark.parametrize("case", CASES)
def test_every_pod_passes_the_restricted_standard_and_is_read_only(case: str) -> None:
    documents = render(*CASES[case])
    seen = 0
    for name, spec in pods(documents):
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True and pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in spec["containers"] + spec.get("initContainers", []):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert name.startswith("StatefulSet airflow") or "limits" in container["resources"], name
            seen += 1
    for application in applications(documents).values():
        for role in ("driver", "executor"):
            assert application["spec"][role]["podSecurityContext"]["runAsNonRoot"] is True
            assert application["spec"][role]["securityContext"]["readOnlyRootFilesystem"] is True
    assert seen >= 8


def test_helm_test_may_do_what_the_dashboard_may_and_no_more() -> None:
    def specs(*settings: str) -> dict[str, dict[str, Any]]:
        return dict(pods(render(*settings)))

    for case in (EXISTING, [*EXISTING, *S3, "dashboard.typing=true"]):
        found = specs(*case)
        test, dashboard = found["Pod follow-a-tweet"], found["Deployment dashboard"]
        assert test["serviceAccountName"] == dashboard["serviceAccountName"] == "dashboard"
        assert test["automountServiceAccountToken"] is False
        for key in ("image", "env", "volumeMounts"):
            assert test["containers"][0][key] == dashboard["containers"][0][key]
    # Without the box, the dashboard may land nothing.
    assert "Pod follow-a-tweet" not in specs("dashboard.typing=false")


def test_the_streams_have_no_secrets_near_them() -> None:
    streams = [d for d in render() if d["metadata"].get("namespace") == "tweets-streams"]
    assert streams and not [d for d in streams if d["kind"] == "Secret"]
    assert "secretKeyRef" not in json.dumps(streams)


def test_a_change_restarts_only_the_streams_concerned() -> None:
    def hashes(*settings: str) -> dict[str, str]:
        found = applications(render(*EXISTING, *settings))
        for application in found.values():
            spec_hash = application["metadata"]["annotations"]["tweet-sentiment/spec-hash"]
            assert application["spec"]["driver"]["labels"]["tweet-sentiment/spec-hash"] == spec_hash
        return {name: a["metadata"]["annotations"]["tweet-sentiment/spec-hash"] for name, a in found.items()}

    def changed(*settings: str) -> set[str]:
        return {name for name, spec_hash in hashes(*settings).items() if spec_hash != hashes()[name]}

    assert changed() == set()
    assert changed("demo.enabled=false", "airflow.parallelism=9", "dashboard.port=80") == set()
    # A rescore works with what Gold has.
    assert changed("streams.gold.executor.memory=2g") == {"gold", "rescore"}
    assert changed("streams.silver.executor.memory=2g") == {"silver"}
    assert changed("streams.trigger=1 minute") == {"bronze", "silver", "gold", "rescore"}


def test_the_settings_of_the_layers() -> None:
    found = applications(
        render(
            *EXISTING,
            "streams.sparkConf.spark\\.dynamicAllocation\\.enabled=true",
            "streams.silver.sparkConf.spark\\.x=1",
            "streams.gold.nodeSelector.pool=gpu",
            "streams.gold.tolerations[0].key=gpu",
            "streams.gold.gpus=2",
            "streams.bronze.priorityClassName=high",
        )
    )
    specs = {name: application["spec"] for name, application in found.items()}
    assert all(spec["sparkConf"]["spark.dynamicAllocation.enabled"] == "true" for spec in specs.values())
    assert [name for name, spec in specs.items() if "spark.x" in spec["sparkConf"]] == ["silver"]
    assert specs["gold"]["executor"]["gpu"] == {"name": "nvidia.com/gpu", "quantity": 2}
    assert "gpu" not in specs["gold"]["driver"] and "gpu" not in specs["silver"]["executor"]
    for role in ("driver", "executor"):
        assert specs["gold"][role]["nodeSelector"] == {"pool": "gpu"}
        assert specs["gold"][role]["tolerations"] == [{"key": "gpu"}]
        assert specs["bronze"][role]["priorityClassName"] == "high"
        assert "nodeSelector" not in specs["bronze"][role]


def test_a_rescore_is_a_job_in_the_place_of_gold() -> None:
    """It ends, once: it is not kept alive as a stream is, and stays to be looked at when it has ended."""
    documents = render(*EXISTING, *S3)
    gold, job = (applications(documents)[name]["spec"] for name in ("gold", "rescore"))
    assert (job["arguments"], job["restartPolicy"]) == (["rescore"], {"type": "Never"})
    assert "template" not in job["driver"] and "timeToLiveSeconds" not in job
    differ = {"arguments", "restartPolicy", "sparkConf", "driver", "executor"}
    assert {key for key in gold if gold[key] != job[key]} == differ and gold.keys() == job.keys()
    for role in ("driver", "executor"):
        assert job[role]["serviceAccount"] == "gold"
        assert job[role]["labels"]["app.kubernetes.io/name"] == "rescore"
        assert {key for key in job[role] if job[role][key] != gold[role][key]} == {"labels"}
    (network,) = [d for d in documents if d["kind"] == "NetworkPolicy" and d["metadata"]["name"] == "rescore"]
    assert network["spec"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "rescore"}}
    # It is none of the streams that are kept running.
    (told,) = [d["data"] for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == "airflow"]
    assert told["TWEETS_STREAMS"] == "bronze,silver,gold"


def test_airflow_may_rescore_as_gold_and_see_how_that_ended() -> None:
    documents = render(*EXISTING)

    def named(kind: str, name: str) -> dict[str, Any]:
        (found,) = [d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name]
        return found

    rules = named("Role", "airflow")["rules"]
    (named_applications,) = [rule for rule in rules if "gold" in rule.get("resourceNames", [])]
    assert named_applications["resourceNames"] == ["bronze", "silver", "gold", "rescore"]
    (logs,) = [rule for rule in rules if "pods/log" in rule["resources"]]
    assert (logs["resourceNames"], logs["verbs"]) == (["rescore-driver"], ["get"])
    conditions = named("ValidatingAdmissionPolicy", "tweets-jobs")["spec"]["matchConditions"]
    (drivers,) = [found["expression"] for found in conditions if found["name"] == "not-the-healing-of-a-stream"]
    assert "'gold-driver'" in drivers and "rescore" not in drivers
    policy = named("ValidatingAdmissionPolicy", "tweets-streams-applications")["spec"]
    assert policy["variables"] == [
        {"name": "account", "expression": "object.metadata.name == 'rescore' ? 'gold' : object.metadata.name"}
    ]
    names, accounts, _ = (validation["expression"] for validation in policy["validations"])
    assert names == "object.metadata.name in ['bronze', 'silver', 'gold', 'rescore']"
    assert accounts.count("== variables.account") == 2


def test_names_of_the_environment_are_settings() -> None:
    """What the chart sets and the programs read is one and the same."""
    from tweet_dags import settings as dag_settings

    documents = render(*EXISTING)
    rendered = json.dumps([*documents, *applications(documents).values()])
    names = {part.split('"')[0] for part in rendered.split('"TWEETS_')[1:]}
    ours = {name.upper() for name in Settings.model_fields}
    source = Path(dag_settings.__file__).read_text()
    for name in names:
        assert name in ours or f'"TWEETS_{name}"' in source, f"TWEETS_{name} is read by nobody"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("streams.triger=5 seconds", "'triger' not allowed"),
        ("streams.trigger=often", "'often' does not match"),
        ("streams.gold.driver.memory=lots", "'lots' does not match"),
        ("landing=tweets", "/landing"),
        ("lake=s3a://bucket/lake", "/lake"),
        ("storage.type=nfs", "/storage/type"),
        ("image.pullPolicy=Maybe", "/image/pullPolicy"),
        ("postgres.enabled=false", "postgres.existingSecret is missing"),
    ],
)
def test_mistakes_are_refused_and_named(setting: str, says: str) -> None:
    done = helm(setting)
    assert done.returncode != 0 and says in done.stderr, done.stderr


def test_parts_can_be_left_out() -> None:
    off = ["demo", "dashboard", "mlflow", "airflow", "postgres"]
    found = render(*[f"{part}.enabled=false" for part in off], "networkPolicies=false", "postgres.existingSecret=db")
    assert [name for name, _ in pods(found)] == []
    assert set(applications(found)) == {"bronze", "silver", "gold", "rescore"}
    own = applications(render("mlflow.enabled=false", "mlflow.uri=http://registry:5000"))
    assert {"name": "TWEETS_REGISTRY", "value": "http://registry:5000"} in own["gold"]["spec"]["driver"]["env"]


def test_values_are_all_in_the_schema() -> None:
    """Each value of the manual is known to the schema, and the other way round."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def walk(value: dict[str, Any], known: dict[str, Any], place: str) -> None:
        known = copy.copy(known)
        for key, inner in value.items():
            assert key in known, f"{place}.{key} is not in the schema"
            if isinstance(inner, dict) and "properties" in known[key]:
                walk(inner, known[key]["properties"], f"{place}.{key}")

    walk(values, schema["properties"], "values")
    optional = {"sparkConf", "env", "nodeSelector", "tolerations", "priorityClassName"}
    assert set(schema["properties"]) - set(values) == {"global"}
    for layer in ("bronze", "silver", "gold"):
        assert set(schema["properties"]["streams"]["properties"][layer]["properties"]) - optional == set(
            values["streams"][layer]
        )
