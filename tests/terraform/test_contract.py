"""Outputs → `make values` → the chart: it renders, and what it names is what stands in AWS."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from spark_apps.settings import Settings
from spark_apps.tables import TABLES
from tests.terraform.account import ROLES, Account
from tests.terraform.chart import PROJECT, TAG, Rendered, template, values
from tests.terraform.conftest import Applied
from tests.terraform.policy import Request, decide

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(600)]

WEB_IDENTITY = "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider"
# Service accounts of the chart that call nothing of AWS and have no role.
WITHOUT_ROLE = {"postgres"}
# What scripts/cluster.sh installs.
CONTROLLERS = {"cluster-autoscaler", "aws-load-balancer-controller"}


@pytest.fixture(scope="module")
def charts(examples: dict[str, Applied], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    return {name: Rendered(name, one.outputs, tmp_path_factory.mktemp(name)) for name, one in examples.items()}


@pytest.fixture
def chart(charts: dict[str, Rendered], example: Applied) -> Rendered:
    return charts[example.name]


def test_the_schema_refuses_what_is_no_output_of_ours(examples: dict[str, Applied], tmp_path: Path) -> None:
    outputs = json.loads(json.dumps(examples["production"].outputs))
    outputs["lake"]["value"] = "/lake/tables"
    values("production", outputs, tmp_path)
    done = template("tweet-sentiment", tmp_path / "values.yaml")
    assert done.returncode != 0 and "lake" in done.stderr


def test_the_ingress_of_the_readme(examples: dict[str, Applied], tmp_path: Path) -> None:
    values("production", examples["production"].outputs, tmp_path)
    (block,) = re.findall(r"```yaml\n(.*?)```", (PROJECT / "terraform" / "README.md").read_text(), re.DOTALL)
    (tmp_path / "ingress.yaml").write_text(block)
    done = template("tweet-sentiment", tmp_path / "values.yaml", tmp_path / "ingress.yaml")
    (ingress,) = (d for d in yaml.safe_load_all(done.stdout) if d and d["kind"] == "Ingress")
    assert ingress["spec"]["ingressClassName"] == "alb"
    assert ingress["metadata"]["annotations"]["alb.ingress.kubernetes.io/scheme"] == "internal"


def test_every_pod_has_an_account_of_its_own(chart: Rendered) -> None:
    accounts = chart.of("ServiceAccount")
    assert len(chart.pods) >= 10
    assert {f"{pod.namespace}/{pod.account}" for pod in chart.pods} == accounts.keys()
    assert {pod.name for pod in chart.pods} >= {
        f"{layer} {part}" for layer in chart.applications for part in ("driver", "executor")
    }


def test_every_pod_has_the_role_meant_for_it_with_pod_identity(
    charts: dict[str, Rendered], examples: dict[str, Applied]
) -> None:
    production = examples["production"]
    roles = {
        (one.values["namespace"], one.values["service_account"]): one.values["role_arn"]
        for one in production.of("aws_eks_pod_identity_association")
    }
    arns = production.outputs["role_arns"]["value"]
    pods = {(pod.namespace, pod.account) for pod in charts["production"].pods if pod.account not in WITHOUT_ROLE}
    assert {account: roles[account] for account in pods} == {account: arns[account[1]] for account in pods}
    assert {account for _, account in pods} == ROLES, "a role without a pod, or a pod without a role"
    assert roles.keys() - pods == {("kube-system", name) for name in CONTROLLERS}
    for application in charts["production"].applications.values():
        assert WEB_IDENTITY not in application["spec"]["sparkConf"].values()
    (cluster,) = production.of("aws_eks_cluster")
    trust = Account(production).trust
    for (namespace, account), role in roles.items():
        for asking, wanted in ((account, True), ("default", None)):
            context = {
                "aws:SourceArn": cluster.values["arn"],
                "aws:SourceAccount": "123456789012",
                "aws:RequestTag/kubernetes-namespace": namespace,
                "aws:RequestTag/kubernetes-service-account": asking,
            }
            request = Request("pods.eks.amazonaws.com", "sts:AssumeRole", "", context)
            assert decide([trust[role.rpartition("/")[2]]], request) is wanted, role


def test_every_pod_has_the_role_meant_for_it_with_irsa(
    charts: dict[str, Rendered], examples: dict[str, Applied]
) -> None:
    minimal, chart = examples["minimal"], charts["minimal"]
    accounts, trust = chart.of("ServiceAccount"), Account(minimal).trust
    arns = minimal.outputs["role_arns"]["value"]
    (provider,) = minimal.of("aws_iam_openid_connect_provider")
    issuer = provider.values["arn"].split(":oidc-provider/")[1]
    pods = {(pod.namespace, pod.account) for pod in chart.pods if pod.account not in WITHOUT_ROLE}
    assert {account for _, account in pods} == ROLES | {"demo"}
    for namespace, account in pods:
        annotations = accounts[f"{namespace}/{account}"]["metadata"]["annotations"]
        assert annotations["eks.amazonaws.com/role-arn"] == arns[account]
        subjects = {f"{namespace}:{account}": True, f"{namespace}:default": None, f"other:{account}": None}
        for subject, wanted in subjects.items():
            context = {f"{issuer}:sub": f"system:serviceaccount:{subject}", f"{issuer}:aud": "sts.amazonaws.com"}
            request = Request(provider.values["arn"], "sts:AssumeRoleWithWebIdentity", "", context)
            assert decide([trust[arns[account].rpartition("/")[2]]], request) is wanted, (account, subject)
    # S3A's own chain does not look for the token.
    for application in chart.applications.values():
        assert application["spec"]["sparkConf"]["spark.hadoop.fs.s3a.aws.credentials.provider"] == WEB_IDENTITY


def _key(uri: str, bucket: str) -> str:
    """Return the key within the bucket that Terraform made."""
    assert uri.split("/")[2] == bucket
    return uri.split("/", 3)[3]


def test_what_a_pod_is_told_its_role_may_use(chart: Rendered, example: Applied) -> None:
    account = Account(example)
    told = {pod.account: pod.env for pod in chart.pods if "TWEETS_LAKE" in pod.env or "ARTIFACTS" in pod.env}
    settings = Settings(landing=told["bronze"]["TWEETS_LANDING"], lake=told["bronze"]["TWEETS_LAKE"])
    assert settings.landing and settings.lake
    landed = _key(f"{settings.landing}/a.json", account.bucket("landing"))
    assert account.reads("bronze", "landing", landed)
    for table in TABLES:
        layer = table.name.split("/")[0]
        log = _key(f"{table.path(settings.lake)}/_delta_log/0.json", account.bucket("lake"))
        assert account.writes(layer, "lake", log), table.name
        assert account.reads("dashboard", "lake", log), table.name
    assert account.writes("mlflow", "lake", _key(told["mlflow"]["ARTIFACTS"] + "/1/x", account.bucket("lake")))
    for lands in ("demo", "dashboard"):
        if "TWEETS_LANDING" in told.get(lands, {}):
            assert account.writes(lands, "landing", landed), lands


def test_no_role_reaches_what_its_pods_are_not_told_of(chart: Rendered, example: Applied) -> None:
    """A job that is to read the lake gets its address and its right together, or neither."""
    account = Account(example)
    for role in account.roles:
        told = " ".join(value for pod in chart.pods if pod.account == role for value in pod.env.values())
        for bucket in ("landing", "lake"):
            if account.bucket(bucket) not in told:
                assert account.bucket(bucket) not in json.dumps(account.statements(role)), (role, bucket)


def test_pods_run_on_nodes_that_are_there(chart: Rendered, example: Applied) -> None:
    groups = [group.values for group in example.of("aws_eks_node_group")]
    names = {"NO_SCHEDULE": "NoSchedule"}
    for pod in chart.pods:
        tolerated = {(one["key"], one["value"], one["effect"]) for one in pod.tolerations}
        fits = [
            group["labels"]["tweet-sentiment/nodes"]
            for group in groups
            if pod.nodes.items() <= group["labels"].items()
            and {(taint["key"], taint["value"], names[taint["effect"]]) for taint in group["taint"]} <= tolerated
        ]
        use = {"driver": "drivers", "executor": "executors"}.get(pod.name.split()[-1], "system")
        assert fits == [use if example.name == "production" else "system"], pod.name


def test_images_are_in_repositories_of_ours(chart: Rendered, example: Applied) -> None:
    repositories = {f"{one.values['repository_url']}:{TAG}" for one in example.of("aws_ecr_repository")}
    others = {image for pod in chart.pods for image in pod.images} - repositories
    assert {pod.account for pod in chart.pods if pod.images & others} <= WITHOUT_ROLE, others


def test_namespaces_are_those_of_chart_script_and_dags(
    chart: Rendered, example: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tweet_dags import settings

    namespaces = example.outputs["namespaces"]["value"]
    assert {pod.namespace for pod in chart.pods} == set(namespaces.values())
    assert {application["metadata"]["namespace"] for application in chart.applications.values()} == {
        namespaces["streams"]
    }
    # The chart's own default, which `make deploy` relies on.
    assert namespaces["streams"] == f"{namespaces['platform']}-streams"
    told = chart.of("ConfigMap")[f"{namespaces['platform']}/airflow"]["data"]
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert settings.namespace() == namespaces["streams"]
    # A rescore is no stream: it takes the place of Gold for a while.
    assert {*settings.streams(), "rescore"} == chart.applications.keys()


def test_the_secret_of_the_database_is_the_one_that_the_script_makes(charts: dict[str, Rendered]) -> None:
    script = (PROJECT / "terraform" / "scripts" / "database.sh").read_text()
    text = script[script.index("apiVersion: v1\nkind: Secret") :].split("\nYAML")[0]
    made: dict[str, Any] = yaml.safe_load(text.replace("$platform", "tweet-sentiment"))
    name, keys = made["metadata"]["name"], set(made["stringData"])
    asked = _secret_keys(charts["production"].documents)
    assert {key for secret, key in asked if secret == name} == {"airflow-uri", "mlflow-uri"}
    assert {"airflow-uri", "mlflow-uri"} <= keys
    assert not {secret for secret, _ in asked} - {name, "airflow"}


def _secret_keys(value: Any) -> set[tuple[str, str]]:
    if isinstance(value, list):
        return {found for inner in value for found in _secret_keys(inner)}
    if not isinstance(value, dict):
        return set()
    if "secretKeyRef" in value:
        return {(value["secretKeyRef"]["name"], value["secretKeyRef"]["key"])}
    return _secret_keys(list(value.values()))
