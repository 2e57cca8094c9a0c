"""Access of each role, evaluated from the role, bucket and key policies after an apply."""

from collections.abc import Callable

import pytest

from tests.terraform.conftest import Applied
from tests.terraform.iam_policy import Request, decide
from tests.terraform.permissions import ROLES, Permissions

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(900)]

Operation = Callable[[Permissions, str, str, str], bool]
READ, WRITE, DELETE, LIST = Permissions.reads, Permissions.writes, Permissions.deletes, Permissions.lists

# The roles that use the tables. Airflow and the model jobs have no permissions, so no row lists them.
READERS = {"dashboard", "quality"}
LAKE = {"bronze", "silver", "gold", *READERS}
# Operation, bucket, key and the roles that are allowed; all other roles are denied. `typing` means the dashboard, if it
# may land typed tweets; `labelling`, if it may write the labels of people.
TABLE: list[tuple[Operation, str, str, set[str]]] = [
    (READ, "landing", "voc_volume/2026/a.json", {"bronze"}),
    (READ, "landing", "elsewhere/a.json", set()),
    (LIST, "landing", "voc_volume/", {"bronze"}),
    (WRITE, "landing", "voc_volume/a.json", {"demo"}),
    (WRITE, "landing", "voc_volume/typed/a.json", {"demo", "typing"}),
    (WRITE, "landing", "elsewhere/a.json", set()),
    (DELETE, "landing", "voc_volume/a.json", set()),
    (READ, "lake", "lake/bronze/tweets/ingest_date=2026-11-01/part-0.parquet", {"bronze", "silver"}),
    (READ, "lake", "lake/bronze/tweets/_delta_log/00000000000000000001.json", {"bronze", "silver", *READERS}),
    (WRITE, "lake", "lake/bronze/tweets/_delta_log/00000000000000000001.json", {"bronze"}),
    (DELETE, "lake", "lake/bronze/tweets/part-0.parquet", {"bronze"}),
    (READ, "lake", "lake/silver/tweets/part-0.parquet", {"silver", "gold", *READERS}),
    (READ, "lake", "lake/silver/quarantine/part-0.parquet", {"silver", "gold"}),
    (READ, "lake", "lake/silver/erasures/kind=user/part-0.parquet", {"bronze", "silver", "gold", "dashboard"}),
    (READ, "lake", "lake/silver/erasures/_delta_log/0.json", {"bronze", "silver", "gold", "dashboard"}),
    (WRITE, "lake", "lake/silver/erasures/kind=user/part-0.parquet", {"silver"}),
    (READ, "lake", "lake/checkpoints/bronze/erasures.json", {"bronze", "dashboard"}),
    (READ, "lake", "lake/checkpoints/gold-aggregates/erasures.json", {"gold", "dashboard"}),
    (WRITE, "lake", "lake/checkpoints/gold/erasures.json", {"gold"}),
    (READ, "lake", "lake/silver/quarantine/_delta_log/0.json", {"silver", "gold", *READERS}),
    (WRITE, "lake", "lake/silver/tweets/part-0.parquet", {"silver"}),
    (WRITE, "lake", "lake/silver/quarantine/part-0.parquet", {"silver"}),
    (READ, "lake", "lake/gold/sentiment/part-0.parquet", {"gold", *READERS}),
    (READ, "lake", "lake/gold/sentiment/_delta_log/0.json", {"gold", *READERS}),
    (READ, "lake", "lake/gold/trends/part-0.parquet", {"gold", *READERS}),
    (WRITE, "lake", "lake/gold/mentions/part-0.parquet", {"gold"}),
    (DELETE, "lake", "lake/gold/sentiment/part-0.parquet", {"gold"}),
    (READ, "lake", "lake/human_labels/part-0.parquet", {"dashboard"}),
    (WRITE, "lake", "lake/human_labels/_delta_log/0.json", {"labelling"}),
    (DELETE, "lake", "lake/human_labels/part-0.parquet", {"labelling"}),
    (WRITE, "lake", "lake/checkpoints/bronze/offsets/0", {"bronze"}),
    (WRITE, "lake", "lake/checkpoints/bronze.error.json", {"bronze"}),
    (READ, "lake", "lake/checkpoints/bronze.error.json", {"bronze", "dashboard"}),
    (READ, "lake", "lake/checkpoints/gold-aggregates.error.json", {"gold", "dashboard"}),
    (WRITE, "lake", "lake/checkpoints/silver/identity.json", {"silver"}),
    (WRITE, "lake", "lake/checkpoints/gold/commits/1", {"gold"}),
    (DELETE, "lake", "lake/checkpoints/gold-aggregates/offsets/1", {"gold"}),
    (WRITE, "lake", "lake/checkpoints/gold-other/offsets/1", set()),
    # A layer keeps the files that the next one has not read.
    (READ, "lake", "lake/checkpoints/silver/offsets/1", {"bronze", "silver"}),
    (LIST, "lake", "lake/checkpoints/silver/commits/", {"bronze", "silver"}),
    (READ, "lake", "lake/checkpoints/gold/offsets/1", {"silver", "gold"}),
    (WRITE, "lake", "lake/checkpoints/rescore.json", {"gold"}),
    (DELETE, "lake", "lake/checkpoints/rescore.json", {"gold"}),
    (READ, "lake", "lake/checkpoints/rescore.json", {"gold"}),
    *[
        (operation, "lake", f"lake/checkpoints/{job}.json", {"silver"})
        for operation in (READ, WRITE, DELETE)
        for job in ("rebuild-silver", "replay")
    ],
    # A rebuild of Gold uses the file of a rescore.
    (WRITE, "lake", "lake/checkpoints/rebuild-gold.json", set()),
    # S3A checks whether the parent folders exist before it creates a folder below them.
    (READ, "lake", "lake", LAKE),
    (READ, "lake", "lake/checkpoints", {"bronze", "silver", "gold", "dashboard"}),
    # Delta checks whether a parent folder is a table.
    (READ, "lake", "lake/_delta_log", LAKE),
    (LIST, "lake", "_delta_log/", LAKE),
    (READ, "lake", "lake/_delta_log/00000000000000000001.json", set()),
    (LIST, "lake", "lake/", LAKE),
    (LIST, "lake", "lake/checkpoints/", {"bronze", "silver", "gold", "dashboard"}),
    (LIST, "lake", "lake/gold/sentiment/_delta_log/", {"gold", *READERS}),
    (LIST, "lake", "lake/gold/sentiment/tweet_date=2026-11-01/", {"gold", *READERS}),
    (LIST, "lake", "", set()),
    (READ, "lake", "mlflow/1/models/m-1/artifacts/model.onnx", {"mlflow"}),
    (WRITE, "lake", "mlflow/1/models/m-1/artifacts/model.onnx", {"mlflow"}),
    (LIST, "lake", "mlflow/1/", {"mlflow"}),
    (WRITE, "lake", "lake/elsewhere/x", set()),
    (WRITE, "lake", "elsewhere/x", set()),
]


@pytest.fixture
def permissions(example: Applied) -> Permissions:
    return Permissions(example)


@pytest.mark.parametrize(
    ("operation", "bucket", "key", "expected"),
    TABLE,
    ids=lambda value: getattr(value, "__name__", None) or str(value)[:60],
)
def test_only_the_listed_roles_have_access(
    permissions: Permissions, example: Applied, operation: Operation, bucket: str, key: str, expected: set[str]
) -> None:
    settings = {name: example.outputs[f"dashboard_{name}"]["value"] for name in ("typing", "labelling")}
    roles = {"dashboard" if role in settings else role for role in expected if settings.get(role, True)}
    allowed = {role for role in permissions.roles if operation(permissions, role, bucket, key)}
    assert allowed == roles & set(permissions.roles)


def test_the_demo_has_a_role_only_in_minimal(examples: dict[str, Applied]) -> None:
    assert set(Permissions(examples["minimal"]).roles) == ROLES | {"demo"}
    assert set(Permissions(examples["production"]).roles) == ROLES


def test_no_role_may_change_buckets_or_keys(permissions: Permissions) -> None:
    actions = ["s3:PutBucketPolicy", "s3:DeleteBucket", "s3:PutLifecycleConfiguration", "s3:GetObjectVersion"]
    for role in permissions.roles:
        for bucket in ("landing", "lake"):
            assert not any(permissions.may(role, action, bucket) for action in actions)
            assert not any(
                permissions.may_use_key(role, action, bucket) for action in ("kms:PutKeyPolicy", "kms:CreateGrant")
            )


def test_roles_may_use_keys_through_s3_only(permissions: Permissions) -> None:
    for role in permissions.roles:
        for bucket in ("landing", "lake"):
            for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                assert not permissions.may_use_key(role, action, bucket, via="sqs.eu-central-1.amazonaws.com")


def test_only_bronze_may_check_that_the_landing_bucket_exists(permissions: Permissions) -> None:
    """HeadBucket needs s3:ListBucket without a prefix condition."""
    assert {role for role in permissions.roles if permissions.may(role, "s3:ListBucket", "landing")} == {"bronze"}


def test_airflow_and_model_jobs_have_no_permissions(example: Applied) -> None:
    prefix = example.outputs["cluster_name"]["value"]
    without_permissions = {f"{prefix}-airflow", f"{prefix}-model-jobs"}
    assert not without_permissions & {policy.values["role"] for policy in example.of("aws_iam_role_policy")}
    assert not without_permissions & {
        attachment.values["role"] for attachment in example.of("aws_iam_role_policy_attachment")
    }


def test_only_the_landing_bucket_may_send_to_the_queue_and_only_bronze_receives(
    examples: dict[str, Applied],
) -> None:
    production = examples["production"]
    queue = production.outputs["landing_queue"]["value"]["arn"]
    policies = {policy.values["role"]: policy.values["policy"] for policy in production.of("aws_iam_role_policy")}
    for action, roles in (("ReceiveMessage", ["tweets-production-bronze"]), ("SendMessage", []), ("PurgeQueue", [])):
        assert [role for role in policies if decide([policies[role]], Request("x", f"sqs:{action}", queue))] == roles
    (policy,) = production.of("aws_sqs_queue_policy")
    bucket = production.outputs["landing"]["value"].split("/")[2]
    for source, expected in ((f"arn:aws:s3:::{bucket}", True), ("arn:aws:s3:::other", None)):
        context = {"aws:SourceArn": source, "aws:SourceAccount": "123456789012", "aws:SecureTransport": "true"}
        request = Request("s3.amazonaws.com", "sqs:SendMessage", queue, context)
        assert decide([policy.values["policy"]], request) is expected


CLUSTER = "aws:ResourceTag/elbv2.k8s.aws/cluster"
ELB = "arn:aws:elasticloadbalancing:eu-central-1:123456789012"
GROUPS = "arn:aws:ec2:eu-central-1:123456789012:security-group"


@pytest.mark.parametrize(
    ("action", "resource", "tag", "expected"),
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
def test_the_load_balancer_controller_may_change_only_resources_of_its_cluster(
    permissions: Permissions, example: Applied, action: str, resource: str, tag: str, expected: bool | None
) -> None:
    names = {"own": example.outputs["cluster_name"]["value"], "other": "tweets-other"}
    context = {CLUSTER: names[tag]} if tag in names else {}
    assert permissions.decide("aws-load-balancer-controller", action, resource, context) is expected


def test_the_load_balancer_controller_may_open_the_security_group_of_the_nodes(
    permissions: Permissions, example: Applied
) -> None:
    (cluster,) = example.of("aws_eks_cluster")
    nodes = f"{GROUPS}/{cluster.values['vpc_config'][0]['cluster_security_group_id']}"
    assert permissions.decide("aws-load-balancer-controller", "ec2:AuthorizeSecurityGroupIngress", nodes, {}) is True
    vpc = f"arn:aws:ec2:eu-central-1:123456789012:vpc/{example.outputs['vpc_id']['value']}"
    assert permissions.decide("aws-load-balancer-controller", "ec2:CreateSecurityGroup", vpc, {}) is True
