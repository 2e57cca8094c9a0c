"""The chart, rendered with values from the outputs, matches the resources that Terraform creates in AWS."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from spark_apps.settings import Settings
from spark_apps.tables import TABLES
from tests.terraform.conftest import Applied
from tests.terraform.iam_policy import Request, decide
from tests.terraform.permissions import ROLES, Permissions
from tests.terraform.rendered_chart import PROJECT, TAG, RenderedChart, template, values

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(900)]

WEB_IDENTITY = "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider"
# Service accounts of the chart that do not call AWS and have no role.
WITHOUT_ROLE = {"postgres"}
# Controllers that scripts/cluster.sh installs and that have an IAM role.
CONTROLLERS = {"cluster-autoscaler", "aws-load-balancer-controller"}


@pytest.fixture(scope="module")
def charts(examples: dict[str, Applied], tmp_path_factory: pytest.TempPathFactory) -> dict[str, RenderedChart]:
    return {
        name: RenderedChart(name, example.outputs, tmp_path_factory.mktemp(name)) for name, example in examples.items()
    }


@pytest.fixture
def chart(charts: dict[str, RenderedChart], example: Applied) -> RenderedChart:
    return charts[example.name]


def test_the_chart_schema_refuses_a_lake_that_is_not_in_s3(examples: dict[str, Applied], tmp_path: Path) -> None:
    outputs = json.loads(json.dumps(examples["production"].outputs))
    outputs["lake"]["value"] = "/lake/tables"
    values("production", outputs, tmp_path)
    done = template("tweet-sentiment", tmp_path / "values.yaml")
    assert done.returncode != 0 and "lake" in done.stderr


def test_the_ingress_values_of_the_readme_render(examples: dict[str, Applied], tmp_path: Path) -> None:
    values("production", examples["production"].outputs, tmp_path)
    (block,) = re.findall(r"```yaml\n(.*?)```", (PROJECT / "terraform" / "README.md").read_text(), re.DOTALL)
    (tmp_path / "ingress.yaml").write_text(block)
    done = template("tweet-sentiment", tmp_path / "values.yaml", tmp_path / "ingress.yaml")
    (ingress,) = (d for d in yaml.safe_load_all(done.stdout) if d and d["kind"] == "Ingress")
    assert ingress["spec"]["ingressClassName"] == "alb"
    assert ingress["metadata"]["annotations"]["alb.ingress.kubernetes.io/scheme"] == "internal"


def test_every_pod_has_a_service_account_and_every_service_account_a_pod(chart: RenderedChart) -> None:
    accounts = chart.of("ServiceAccount")
    assert len(chart.pods) >= 10
    assert {f"{pod.namespace}/{pod.account}" for pod in chart.pods} == accounts.keys()
    assert {pod.name for pod in chart.pods} >= {
        f"{layer} {part}" for layer in chart.applications for part in ("driver", "executor")
    }


def test_every_pod_gets_its_role_with_pod_identity(
    charts: dict[str, RenderedChart], examples: dict[str, Applied]
) -> None:
    production = examples["production"]
    roles = {
        (association.values["namespace"], association.values["service_account"]): association.values["role_arn"]
        for association in production.of("aws_eks_pod_identity_association")
    }
    arns = production.outputs["role_arns"]["value"]
    pods = {(pod.namespace, pod.account) for pod in charts["production"].pods if pod.account not in WITHOUT_ROLE}
    assert {account: roles[account] for account in pods} == {account: arns[account[1]] for account in pods}
    assert {account for _, account in pods} == ROLES, "a role without a pod, or a pod without a role"
    assert roles.keys() - pods == {("kube-system", name) for name in CONTROLLERS}
    for application in charts["production"].applications.values():
        assert WEB_IDENTITY not in application["spec"]["sparkConf"].values()
    (cluster,) = production.of("aws_eks_cluster")
    trust = Permissions(production).trust
    for (namespace, account), role in roles.items():
        for service_account, expected in ((account, True), ("default", None)):
            context = {
                "aws:SourceArn": cluster.values["arn"],
                "aws:SourceAccount": "123456789012",
                "aws:RequestTag/kubernetes-namespace": namespace,
                "aws:RequestTag/kubernetes-service-account": service_account,
            }
            request = Request("pods.eks.amazonaws.com", "sts:AssumeRole", "", context)
            assert decide([trust[role.rpartition("/")[2]]], request) is expected, role


def test_every_pod_gets_its_role_with_irsa(charts: dict[str, RenderedChart], examples: dict[str, Applied]) -> None:
    minimal, chart = examples["minimal"], charts["minimal"]
    accounts, trust = chart.of("ServiceAccount"), Permissions(minimal).trust
    arns = minimal.outputs["role_arns"]["value"]
    (provider,) = minimal.of("aws_iam_openid_connect_provider")
    issuer = provider.values["arn"].split(":oidc-provider/")[1]
    pods = {(pod.namespace, pod.account) for pod in chart.pods if pod.account not in WITHOUT_ROLE}
    assert {account for _, account in pods} == ROLES | {"demo"}
    for namespace, account in pods:
        annotations = accounts[f"{namespace}/{account}"]["metadata"]["annotations"]
        assert annotations["eks.amazonaws.com/role-arn"] == arns[account]
        subjects = {f"{namespace}:{account}": True, f"{namespace}:default": None, f"other:{account}": None}
        for subject, expected in subjects.items():
            context = {f"{issuer}:sub": f"system:serviceaccount:{subject}", f"{issuer}:aud": "sts.amazonaws.com"}
            request = Request(provider.values["arn"], "sts:AssumeRoleWithWebIdentity", "", context)
            assert decide([trust[arns[account].rpartition("/")[2]]], request) is expected, (account, subject)
    # S3A's default credentials chain does not read web identity tokens.
    for application in chart.applications.values():
        assert application["spec"]["sparkConf"]["spark.hadoop.fs.s3a.aws.credentials.provider"] == WEB_IDENTITY


def _key(uri: str, bucket: str) -> str:
    """Return the object key of an S3 URI, which must be in `bucket`."""
    assert uri.split("/")[2] == bucket
    return uri.split("/", 3)[3]


def test_roles_may_use_the_locations_in_the_environment_of_their_pods(chart: RenderedChart, example: Applied) -> None:
    permissions = Permissions(example)
    environments = {pod.account: pod.env for pod in chart.pods if "TWEETS_LAKE" in pod.env}
    (artifacts,) = (value for pod in chart.pods if (value := pod.options.get("artifacts-destination")))
    settings = Settings(landing=environments["bronze"]["TWEETS_LANDING"], lake=environments["bronze"]["TWEETS_LAKE"])
    assert settings.landing and settings.lake
    landed = _key(f"{settings.landing}/a.json", permissions.bucket("landing"))
    assert permissions.reads("bronze", "landing", landed)
    for table in TABLES:
        layer = table.name.split("/")[0]
        log = _key(f"{table.path(settings.lake)}/_delta_log/0.json", permissions.bucket("lake"))
        assert permissions.writes(layer, "lake", log), table.name
        assert permissions.reads("dashboard", "lake", log), table.name
    assert permissions.writes("mlflow", "lake", _key(f"{artifacts}/1/x", permissions.bucket("lake")))
    for writer in ("demo", "dashboard"):
        if "TWEETS_LANDING" in environments.get(writer, {}):
            key = _key(environments[writer]["TWEETS_LANDING"] + "/a.json", permissions.bucket("landing"))
            assert permissions.writes(writer, "landing", key) and permissions.reads("bronze", "landing", key), writer


def test_roles_have_no_access_to_buckets_that_their_pods_do_not_know(chart: RenderedChart, example: Applied) -> None:
    """A pod that reads a bucket needs both its URI, as a variable or an option, and the permission of its role."""
    permissions = Permissions(example)
    for role in permissions.roles:
        pods = [pod for pod in chart.pods if pod.account == role]
        environment = " ".join(value for pod in pods for value in (*pod.env.values(), *pod.options.values()))
        for bucket in ("landing", "lake"):
            if permissions.bucket(bucket) not in environment:
                assert permissions.bucket(bucket) not in json.dumps(permissions.statements(role)), (role, bucket)


def test_every_pod_fits_exactly_one_node_group(chart: RenderedChart, example: Applied) -> None:
    groups = [group.values for group in example.of("aws_eks_node_group")]
    names = {"NO_SCHEDULE": "NoSchedule"}
    for pod in chart.pods:
        tolerated = {(toleration["key"], toleration["value"], toleration["effect"]) for toleration in pod.tolerations}
        fitting = [
            group["labels"]["tweet-sentiment/nodes"]
            for group in groups
            if pod.nodes.items() <= group["labels"].items()
            and {(taint["key"], taint["value"], names[taint["effect"]]) for taint in group["taint"]} <= tolerated
        ]
        expected = {"driver": "drivers", "executor": "executors"}.get(pod.name.split()[-1], "system")
        assert fitting == [expected if example.name == "production" else "system"], pod.name


def test_images_come_from_the_ecr_repositories(chart: RenderedChart, example: Applied) -> None:
    repositories = {f"{repository.values['repository_url']}:{TAG}" for repository in example.of("aws_ecr_repository")}
    others = {image for pod in chart.pods for image in pod.images} - repositories
    assert {pod.account for pod in chart.pods if pod.images & others} <= WITHOUT_ROLE, others


def test_outputs_chart_and_dags_agree_on_namespaces_and_streams(
    chart: RenderedChart, example: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tweet_dags import settings
    from tweet_dags.table_jobs.definitions import JOBS

    namespaces = example.outputs["namespaces"]["value"]
    assert {pod.namespace for pod in chart.pods} == set(namespaces.values())
    assert {application["metadata"]["namespace"] for application in chart.applications.values()} == {
        namespaces["streams"]
    }
    # The default of the chart, which `make deploy` relies on.
    assert namespaces["streams"] == f"{namespaces['platform']}-streams"
    environment = chart.of("ConfigMap")[f"{namespaces['platform']}/airflow"]["data"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert settings.namespace() == namespaces["streams"]
    # A job is not a stream: it runs while its stream is stopped.
    assert {*settings.streams(), *(job.application for job in JOBS)} == chart.applications.keys()


def test_the_chart_reads_the_database_secret_that_the_script_creates(charts: dict[str, RenderedChart]) -> None:
    script = (PROJECT / "terraform" / "scripts" / "database.sh").read_text()
    text = script[script.index("apiVersion: v1\nkind: Secret") :].split("\nYAML")[0]
    manifest: dict[str, Any] = yaml.safe_load(text.replace("$platform", "tweet-sentiment"))
    name, keys = manifest["metadata"]["name"], set(manifest["stringData"])
    references = _secret_keys(charts["production"].documents)
    assert {key for secret, key in references if secret == name} == {"airflow-uri", "mlflow-uri"}
    assert {"airflow-uri", "mlflow-uri"} <= keys
    # The chart generates the others.
    assert not {secret for secret, _ in references} - {name, "airflow", "mlflow"}


def _secret_keys(value: Any) -> set[tuple[str, str]]:
    """Return name and key of every `secretKeyRef` in `value`."""
    if isinstance(value, list):
        return {reference for inner in value for reference in _secret_keys(inner)}
    if not isinstance(value, dict):
        return set()
    if "secretKeyRef" in value:
        return {(value["secretKeyRef"]["name"], value["secretKeyRef"]["key"])}
    return _secret_keys(list(value.values()))
