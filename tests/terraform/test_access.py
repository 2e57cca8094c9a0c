"""Who may do what, decided from the policies that stand after an apply: of the role, of the bucket and of the key."""

from collections.abc import Callable

import pytest

from tests.terraform.account import ROLES, Account
from tests.terraform.conftest import Applied
from tests.terraform.policy import Request, decide

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(600)]

Question = Callable[[Account, str, str, str], bool]
READ, WRITE, DELETE, LIST = Account.reads, Account.writes, Account.deletes, Account.lists

# Who uses the tables. Airflow and the model's jobs are in no row: they need nothing of AWS.
LOOKING = {"dashboard", "quality"}
LAKE = {"bronze", "silver", "gold", *LOOKING}
# Who may, besides the demo: everyone who is not named may not. `typing`: the dashboard where it may land what is typed.
TABLE: list[tuple[Question, str, str, set[str]]] = [
    (READ, "landing", "voc_volume/2026/a.json", {"bronze"}),
    (READ, "landing", "elsewhere/a.json", set()),
    (LIST, "landing", "voc_volume/", {"bronze"}),
    (WRITE, "landing", "voc_volume/a.json", {"demo", "typing"}),
    (WRITE, "landing", "elsewhere/a.json", set()),
    (DELETE, "landing", "voc_volume/a.json", set()),
    (READ, "lake", "lake/bronze/tweets/ingest_date=2026-11-01/part-0.parquet", {"bronze", "silver"}),
    (READ, "lake", "lake/bronze/tweets/_delta_log/00000000000000000001.json", {"bronze", "silver", *LOOKING}),
    (WRITE, "lake", "lake/bronze/tweets/_delta_log/00000000000000000001.json", {"bronze"}),
    (DELETE, "lake", "lake/bronze/tweets/part-0.parquet", {"bronze"}),
    (READ, "lake", "lake/silver/tweets/part-0.parquet", {"silver", "gold", *LOOKING}),
    (READ, "lake", "lake/silver/quarantine/part-0.parquet", {"silver", "gold"}),
    (READ, "lake", "lake/silver/quarantine/_delta_log/0.json", {"silver", "gold", *LOOKING}),
    (WRITE, "lake", "lake/silver/tweets/part-0.parquet", {"silver"}),
    (WRITE, "lake", "lake/silver/quarantine/part-0.parquet", {"silver"}),
    (READ, "lake", "lake/gold/sentiment/part-0.parquet", {"gold", *LOOKING}),
    (READ, "lake", "lake/gold/sentiment/_delta_log/0.json", {"gold", *LOOKING}),
    (READ, "lake", "lake/gold/trends/part-0.parquet", {"gold", *LOOKING}),
    (WRITE, "lake", "lake/gold/mentions/part-0.parquet", {"gold"}),
    (DELETE, "lake", "lake/gold/sentiment/part-0.parquet", {"gold"}),
    (WRITE, "lake", "lake/checkpoints/bronze/offsets/0", {"bronze"}),
    (WRITE, "lake", "lake/checkpoints/bronze.error.json", {"bronze"}),
    (WRITE, "lake", "lake/checkpoints/silver/identity.json", {"silver"}),
    (WRITE, "lake", "lake/checkpoints/gold/commits/1", {"gold"}),
    (DELETE, "lake", "lake/checkpoints/gold-aggregates/offsets/1", {"gold"}),
    (WRITE, "lake", "lake/checkpoints/gold-other/offsets/1", set()),
    (READ, "lake", "lake/checkpoints/gold/offsets/1", {"gold"}),
    # S3A asks whether the folders above are there before it makes one below them.
    (READ, "lake", "lake", LAKE),
    (READ, "lake", "lake/checkpoints", {"bronze", "silver", "gold"}),
    # Delta asks whether one of them is a table.
    (READ, "lake", "lake/_delta_log", LAKE),
    (LIST, "lake", "_delta_log/", LAKE),
    (READ, "lake", "lake/_delta_log/00000000000000000001.json", set()),
    (LIST, "lake", "lake/", LAKE),
    (LIST, "lake", "lake/checkpoints/", {"bronze", "silver", "gold"}),
    (LIST, "lake", "lake/gold/sentiment/_delta_log/", {"gold", *LOOKING}),
    (LIST, "lake", "lake/gold/sentiment/tweet_date=2026-11-01/", {"gold", *LOOKING}),
    (LIST, "lake", "", set()),
    (READ, "lake", "mlflow/1/models/m-1/artifacts/model.onnx", {"mlflow"}),
    (WRITE, "lake", "mlflow/1/models/m-1/artifacts/model.onnx", {"mlflow"}),
    (LIST, "lake", "mlflow/1/", {"mlflow"}),
    (WRITE, "lake", "lake/elsewhere/x", set()),
    (WRITE, "lake", "elsewhere/x", set()),
]


@pytest.fixture
def account(example: Applied) -> Account:
    return Account(example)


@pytest.mark.parametrize(
    ("question", "bucket", "key", "who"), TABLE, ids=lambda value: getattr(value, "__name__", None) or str(value)[:60]
)
def test_who_may_do_what(
    account: Account, example: Applied, question: Question, bucket: str, key: str, who: set[str]
) -> None:
    typing = example.outputs["dashboard_typing"]["value"]
    wanted = {"dashboard" if role == "typing" else role for role in who if typing or role != "typing"}
    found = {role for role in account.roles if question(account, role, bucket, key)}
    assert found == wanted & set(account.roles)


def test_the_demo_has_a_role_only_where_it_is_asked_for(examples: dict[str, Applied]) -> None:
    assert set(Account(examples["minimal"]).roles) == ROLES | {"demo"}
    assert set(Account(examples["production"]).roles) == ROLES


def test_nobody_changes_buckets_or_keys(account: Account) -> None:
    actions = ["s3:PutBucketPolicy", "s3:DeleteBucket", "s3:PutLifecycleConfiguration", "s3:GetObjectVersion"]
    for role in account.roles:
        for bucket in ("landing", "lake"):
            assert not any(account.may(role, action, bucket) for action in actions)
            assert not any(
                account.may_use_key(role, action, bucket) for action in ("kms:PutKeyPolicy", "kms:CreateGrant")
            )


def test_keys_are_of_use_through_s3_only(account: Account) -> None:
    for role in account.roles:
        for bucket in ("landing", "lake"):
            for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                assert not account.may_use_key(role, action, bucket, via="sqs.eu-central-1.amazonaws.com")


def test_bronze_finds_out_whether_the_landing_is_there(account: Account) -> None:
    """HeadBucket is a ListBucket without a prefix."""
    assert {role for role in account.roles if account.may(role, "s3:ListBucket", "landing")} == {"bronze"}


def test_airflow_and_the_jobs_of_the_model_need_nothing_of_aws(example: Applied) -> None:
    prefix = example.outputs["cluster_name"]["value"]
    idle = {f"{prefix}-airflow", f"{prefix}-model-jobs"}
    assert not idle & {policy.values["role"] for policy in example.of("aws_iam_role_policy")}
    assert not idle & {attached.values["role"] for attached in example.of("aws_iam_role_policy_attachment")}


def test_the_landing_alone_fills_the_queue(examples: dict[str, Applied]) -> None:
    production = examples["production"]
    queue = production.outputs["landing_queue"]["value"]["arn"]
    own = {policy.values["role"]: policy.values["policy"] for policy in production.of("aws_iam_role_policy")}
    assert [role for role in own if decide([own[role]], Request("x", "sqs:ReceiveMessage", queue))] == []
    (policy,) = production.of("aws_sqs_queue_policy")
    bucket = production.outputs["landing"]["value"].split("/")[2]
    for source, wanted in ((f"arn:aws:s3:::{bucket}", True), ("arn:aws:s3:::other", None)):
        context = {"aws:SourceArn": source, "aws:SourceAccount": "123456789012", "aws:SecureTransport": "true"}
        request = Request("s3.amazonaws.com", "sqs:SendMessage", queue, context)
        assert decide([policy.values["policy"]], request) is wanted


CLUSTER = "aws:ResourceTag/elbv2.k8s.aws/cluster"
ELB = "arn:aws:elasticloadbalancing:eu-central-1:123456789012"
GROUPS = "arn:aws:ec2:eu-central-1:123456789012:security-group"


@pytest.mark.parametrize(
    ("action", "resource", "tag", "wanted"),
    [
        ("elasticloadbalancing:DeleteLoadBalancer", f"{ELB}:loadbalancer/app/k8s-tweets-1/1", "own", True),
        ("elasticloadbalancing:DeleteLoadBalancer", f"{ELB}:loadbalancer/app/k8s-tweets-1/1", "other", None),
        ("elasticloadbalancing:DeleteLoadBalancer", f"{ELB}:loadbalancer/app/shop/1", "own", None),
        ("elasticloadbalancing:RegisterTargets", f"{ELB}:targetgroup/k8s-tweets-1/1", "own", True),
        ("elasticloadbalancing:CreateListener", f"{ELB}:loadbalancer/app/k8s-tweets-1/1", "own", True),
        ("elasticloadbalancing:CreateListener", f"{ELB}:loadbalancer/app/k8s-tweets-1/1", "other", None),
        ("elasticloadbalancing:ModifyRule", f"{ELB}:listener-rule/app/k8s-tweets-1/1/2/3", "none", True),
        ("ec2:DeleteSecurityGroup", f"{GROUPS}/sg-1", "own", True),
        ("ec2:DeleteSecurityGroup", f"{GROUPS}/sg-1", "none", None),
        ("ec2:AuthorizeSecurityGroupIngress", f"{GROUPS}/sg-1", "other", None),
        ("ec2:RunInstances", "arn:aws:ec2:eu-central-1:123456789012:instance/*", "own", None),
        ("iam:CreateRole", "arn:aws:iam::123456789012:role/x", "own", None),
    ],
)
def test_the_load_balancer_controller_changes_only_what_is_its_clusters(
    account: Account, example: Applied, action: str, resource: str, tag: str, wanted: bool | None
) -> None:
    names = {"own": example.outputs["cluster_name"]["value"], "other": "tweets-other"}
    context = {CLUSTER: names[tag]} if tag in names else {}
    assert account.decide("aws-load-balancer-controller", action, resource, context) is wanted


def test_it_lets_its_load_balancers_in_to_the_nodes(account: Account, example: Applied) -> None:
    (cluster,) = example.of("aws_eks_cluster")
    nodes = f"{GROUPS}/{cluster.values['vpc_config'][0]['cluster_security_group_id']}"
    assert account.decide("aws-load-balancer-controller", "ec2:AuthorizeSecurityGroupIngress", nodes, {}) is True
    vpc = f"arn:aws:ec2:eu-central-1:123456789012:vpc/{example.outputs['vpc_id']['value']}"
    assert account.decide("aws-load-balancer-controller", "ec2:CreateSecurityGroup", vpc, {}) is True
