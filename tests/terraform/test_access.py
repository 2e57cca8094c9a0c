"""Who may do what, decided from the policies that stand after an apply: of the role, of the bucket and of the key."""

from collections.abc import Callable

import pytest

from tests.terraform.conftest import Applied
from tests.terraform.policy import Request, decide

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(600)]

ROLES = {"bronze", "silver", "gold", "dashboard", "airflow", "mlflow", "model-jobs"}
PLATFORM = {"airflow", "mlflow", "model-jobs"}
_THROUGH_S3 = {"aws:SecureTransport": "true", "kms:ViaService": "s3.eu-central-1.amazonaws.com"}


class Account:
    """The policies of one applied example, and questions to them."""

    def __init__(self, example: Applied) -> None:
        prefix = f"{example.outputs['cluster_name']['value']}-"
        arns = {role.values["id"]: role.values["arn"] for role in example.of("aws_iam_role")}
        self._names = {role.removeprefix(prefix): role for role in arns}
        self._arns = arns
        self._own = {policy.values["role"]: policy.values["policy"] for policy in example.of("aws_iam_role_policy")}
        self._buckets = {
            name: next(
                bucket.values["policy"]
                for bucket in example.of("aws_s3_bucket_policy")
                if f"-{name}-" in bucket.values["bucket"]
            )
            for name in ("landing", "lake")
        }
        self._names_of_buckets = {
            name: next(b.values["bucket"] for b in example.of("aws_s3_bucket") if f"-{name}-" in b.values["bucket"])
            for name in ("landing", "lake")
        }
        self._keys = {
            name: next(k.values for k in example.of("aws_kms_key") if f'this["{name}"]' in k.address)
            for name in ("landing", "lake")
        }
        self.trust = {role.values["id"]: role.values["assume_role_policy"] for role in example.of("aws_iam_role")}
        self.roles = [role for role in [*sorted(ROLES), "demo"] if role in self._names]

    def may(self, role: str, action: str, bucket: str, key: str = "", **context: str) -> bool:
        """Decide on an action of S3: the role must allow it, and the bucket must not deny it."""
        name = self._names[role]
        resource = f"arn:aws:s3:::{self._names_of_buckets[bucket]}" + (f"/{key}" if key else "")
        keys = _THROUGH_S3 | {name.replace("_", ":"): value for name, value in context.items()}
        request = Request(self._arns[name], action, resource, keys)
        return decide([self._own[name], self._buckets[bucket]], request) is True

    def may_use_key(self, role: str, action: str, bucket: str, via: str = "s3.eu-central-1.amazonaws.com") -> bool:
        """Decide on an action of KMS: role and key must both allow it."""
        name, key = self._names[role], self._keys[bucket]
        request = Request(self._arns[name], action, key["arn"], {"kms:ViaService": via})
        return decide([self._own[name]], request) is True and decide([key["policy"]], request) is True

    def reads(self, role: str, bucket: str, key: str) -> bool:
        return self.may(role, "s3:GetObject", bucket, key) and self.may_use_key(role, "kms:Decrypt", bucket)

    def writes(self, role: str, bucket: str, key: str) -> bool:
        return self.may(role, "s3:PutObject", bucket, key) and self.may_use_key(role, "kms:GenerateDataKey", bucket)

    def deletes(self, role: str, bucket: str, key: str) -> bool:
        return self.may(role, "s3:DeleteObject", bucket, key)

    def lists(self, role: str, bucket: str, prefix: str) -> bool:
        return self.may(role, "s3:ListBucket", bucket, s3_prefix=prefix)


Question = Callable[[Account, str, str, str], bool]
READ, WRITE, DELETE, LIST = Account.reads, Account.writes, Account.deletes, Account.lists

# Who may, besides the demo: everyone who is not named may not. `typing`: the dashboard where it may land what is typed.
TABLE: list[tuple[Question, str, str, set[str]]] = [
    (READ, "landing", "voc_volume/2026/a.json", {"bronze"}),
    (READ, "landing", "elsewhere/a.json", set()),
    (LIST, "landing", "voc_volume/", {"bronze"}),
    (WRITE, "landing", "voc_volume/a.json", {"demo", "typing"}),
    (WRITE, "landing", "elsewhere/a.json", set()),
    (DELETE, "landing", "voc_volume/a.json", set()),
    (READ, "lake", "lake/bronze/tweets/ingest_date=2026-11-01/part-0.parquet", {"bronze", "silver"}),
    (
        READ,
        "lake",
        "lake/bronze/tweets/_delta_log/00000000000000000001.json",
        {"bronze", "silver", "dashboard", "airflow"},
    ),
    (WRITE, "lake", "lake/bronze/tweets/_delta_log/00000000000000000001.json", {"bronze"}),
    (DELETE, "lake", "lake/bronze/tweets/part-0.parquet", {"bronze"}),
    (READ, "lake", "lake/silver/tweets/part-0.parquet", {"silver", "gold", "dashboard", "model-jobs"}),
    (READ, "lake", "lake/silver/quarantine/part-0.parquet", {"silver", "gold"}),
    (READ, "lake", "lake/silver/quarantine/_delta_log/0.json", {"silver", "gold", "dashboard", "airflow"}),
    (WRITE, "lake", "lake/silver/tweets/part-0.parquet", {"silver"}),
    (WRITE, "lake", "lake/silver/quarantine/part-0.parquet", {"silver"}),
    (READ, "lake", "lake/gold/sentiment/part-0.parquet", {"gold", "dashboard", "model-jobs"}),
    (READ, "lake", "lake/gold/sentiment/_delta_log/0.json", {"gold", "dashboard", "model-jobs", "airflow"}),
    (READ, "lake", "lake/gold/trends/part-0.parquet", {"gold", "dashboard", "airflow"}),
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
    (READ, "lake", "lake", ROLES - {"mlflow"}),
    (READ, "lake", "lake/checkpoints", {"bronze", "silver", "gold"}),
    # Delta asks whether one of them is a table.
    (READ, "lake", "lake/_delta_log", ROLES - {"mlflow"}),
    (LIST, "lake", "_delta_log/", ROLES - {"mlflow"}),
    (READ, "lake", "lake/_delta_log/00000000000000000001.json", set()),
    (LIST, "lake", "lake/", ROLES - {"mlflow"}),
    (LIST, "lake", "lake/checkpoints/", {"bronze", "silver", "gold"}),
    (LIST, "lake", "lake/gold/sentiment/_delta_log/", {"gold", "dashboard", "model-jobs", "airflow"}),
    (LIST, "lake", "lake/gold/sentiment/tweet_date=2026-11-01/", {"gold", "dashboard", "model-jobs"}),
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


def test_airflow_alone_reads_the_queue(examples: dict[str, Applied]) -> None:
    production = examples["production"]
    (queue,) = (
        queue.values["arn"] for queue in production.of("aws_sqs_queue") if queue.values["name"].endswith("-landing")
    )
    own = {policy.values["role"]: policy.values["policy"] for policy in production.of("aws_iam_role_policy")}
    may = {role for role in own if decide([own[role]], Request("x", "sqs:ReceiveMessage", queue))}
    assert may == {"tweets-production-airflow"}
    (policy,) = production.of("aws_sqs_queue_policy")
    bucket = production.outputs["landing"]["value"].split("/")[2]
    for source, wanted in ((f"arn:aws:s3:::{bucket}", True), ("arn:aws:s3:::other", None)):
        context = {"aws:SourceArn": source, "aws:SourceAccount": "123456789012", "aws:SecureTransport": "true"}
        request = Request("s3.amazonaws.com", "sqs:SendMessage", queue, context)
        assert decide([policy.values["policy"]], request) is wanted


def test_each_pod_gets_the_role_meant_for_it_with_pod_identity(examples: dict[str, Applied]) -> None:
    production = examples["production"]
    found = {
        (one.values["namespace"], one.values["service_account"]): one.values["role_arn"].rpartition("/")[2]
        for one in production.of("aws_eks_pod_identity_association")
    }
    wanted = {
        ("tweet-sentiment" if role in PLATFORM else "tweet-sentiment-streams", role): f"tweets-production-{role}"
        for role in ROLES
    }
    assert found == wanted | {("kube-system", "cluster-autoscaler"): "tweets-production-cluster-autoscaler"}
    account = Account(production)
    (cluster,) = production.of("aws_eks_cluster")
    for (namespace, name), role in found.items():
        for asking, wanted_answer in ((name, True), ("default", None)):
            context = {
                "aws:SourceArn": cluster.values["arn"],
                "aws:SourceAccount": "123456789012",
                "aws:RequestTag/kubernetes-namespace": namespace,
                "aws:RequestTag/kubernetes-service-account": asking,
            }
            request = Request("pods.eks.amazonaws.com", "sts:AssumeRole", "", context)
            assert decide([account.trust[role]], request) is wanted_answer, role


def test_each_pod_gets_the_role_meant_for_it_with_irsa(examples: dict[str, Applied]) -> None:
    minimal = examples["minimal"]
    account = Account(minimal)
    (provider,) = minimal.of("aws_iam_openid_connect_provider")
    issuer = provider.values["arn"].split(":oidc-provider/")[1]
    accounts = minimal.outputs["service_accounts"]["value"]
    for role in ROLES | {"demo"}:
        namespace = "tweet-sentiment" if role in PLATFORM else "tweet-sentiment-streams"
        assert accounts[role]["namespace"] == namespace
        assert accounts[role]["annotations"]["eks.amazonaws.com/role-arn"].endswith(f":role/tweets-try-{role}")
        for subject, wanted in ((f"{namespace}:{role}", True), (f"{namespace}:default", None), (f"other:{role}", None)):
            context = {f"{issuer}:sub": f"system:serviceaccount:{subject}", f"{issuer}:aud": "sts.amazonaws.com"}
            request = Request(provider.values["arn"], "sts:AssumeRoleWithWebIdentity", "", context)
            assert decide([account.trust[f"tweets-try-{role}"]], request) is wanted
