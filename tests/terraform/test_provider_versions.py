"""The configuration is valid for versions 5 and 6 of the AWS provider, without deprecated names.

The tests run the provider that `terraform init` finds: with `TF_PLUGIN_DIR`, the version in this folder. What version 6
removed is deprecated in 5.100, so 5.100 warns about it. The tables below have what version 6 deprecates in addition,
and the types that were compared with its upgrade guide and with the schema of 6.62.0.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terraform.terraform_cli import SOURCE, Workdir

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(900)]

CONSTRAINT = ">= 5.100, < 7.0"
# Names that 5.100 accepts without a warning, and version 6 deprecates or gives another meaning.
AVOIDED = {
    "data.aws_partition": {"id"},
    "data.aws_region": {"id", "name"},
    "data.aws_service": {"id"},
    # In version 6, `region` is an argument of nearly every resource; the region of the bucket is `bucket_region`.
    "aws_s3_bucket": {"region"},
    "aws_s3_bucket_lifecycle_configuration": {"expected_bucket_owner"},
    "aws_s3_bucket_logging": {"expected_bucket_owner"},
    "aws_s3_bucket_server_side_encryption_configuration": {"expected_bucket_owner"},
    "aws_s3_bucket_versioning": {"expected_bucket_owner"},
}
COMPARED = {
    "data.aws_availability_zones", "data.aws_caller_identity", "data.aws_partition", "data.aws_service",
    "aws_budgets_budget", "aws_cloudwatch_log_group", "aws_cloudwatch_metric_alarm", "aws_db_instance",
    "aws_db_parameter_group", "aws_db_subnet_group", "aws_default_security_group", "aws_ecr_lifecycle_policy",
    "aws_ecr_repository", "aws_eip", "aws_eks_access_entry", "aws_eks_access_policy_association", "aws_eks_addon",
    "aws_eks_cluster", "aws_eks_node_group", "aws_eks_pod_identity_association", "aws_flow_log",
    "aws_iam_openid_connect_provider", "aws_iam_role", "aws_iam_role_policy", "aws_iam_role_policy_attachment",
    "aws_internet_gateway", "aws_kms_alias", "aws_kms_key", "aws_launch_template", "aws_nat_gateway", "aws_route",
    "aws_route_table", "aws_route_table_association", "aws_s3_bucket", "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_logging", "aws_s3_bucket_notification", "aws_s3_bucket_ownership_controls",
    "aws_s3_bucket_policy", "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_versioning", "aws_security_group",
    "aws_sns_topic", "aws_sns_topic_policy", "aws_sns_topic_subscription", "aws_sqs_queue", "aws_sqs_queue_policy",
    "aws_subnet", "aws_vpc", "aws_vpc_endpoint", "aws_vpc_security_group_ingress_rule",
}  # fmt: skip

_BLOCK = re.compile(r'^(data|resource) "(aws_\w+)" "\w+" \{(?:\}|\n(.*?)^\})', re.MULTILINE | re.DOTALL)
_ARGUMENT = re.compile(r"^ +(\w+) +=", re.MULTILINE)
_REFERENCE = re.compile(r"\b((?:data\.)?aws_\w+)\.\w+(?:\[[^]]*\])?\.(\w+)")


def _files() -> list[Path]:
    return [file for file in sorted(SOURCE.rglob("*.tf")) if ".terraform" not in file.parts]


def _types(text: str) -> set[str]:
    return {f"data.{kind}" if block == "data" else kind for block, kind, _ in _BLOCK.findall(text)}


def _names(text: str) -> Iterator[tuple[str, str]]:
    """Yield each type with each argument that its blocks set, and with each attribute that an expression refers to."""
    for block, kind, body in _BLOCK.findall(text):
        for name in _ARGUMENT.findall(body):
            yield f"data.{kind}" if block == "data" else kind, name
    yield from _REFERENCE.findall(text)


def _avoided(text: str) -> list[str]:
    return [f"{kind}.{name}" for kind, name in _names(text) if name in AVOIDED.get(kind, ())]


def test_all_modules_and_examples_accept_both_versions() -> None:
    folders = {file.parent for file in _files()}
    constraints = {
        folder: re.findall(r'source  = "hashicorp/aws"\n +version = "(.*)"', (folder / "versions.tf").read_text())
        for folder in folders
    }
    assert len(folders) == 9
    assert constraints == {folder: [CONSTRAINT] for folder in folders}


@pytest.mark.parametrize("example", ["minimal", "production"])
def test_the_provider_reports_no_deprecated_name(example: str, tmp_path: Path) -> None:
    workdir = Workdir(tmp_path, f"examples/{example}")
    workdir.init("-backend=false")
    result = workdir.json("validate", "-json")
    assert result["diagnostics"] == []


def test_a_name_that_version_6_removed_is_reported(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path, "modules/network")
    main = workdir.folder / "main.tf"
    text = main.read_text()
    assert text.count('domain = "vpc"') == 1
    main.write_text(text.replace('domain = "vpc"', "vpc    = true"))
    workdir.init()
    done = workdir.run("validate", "-json", codes=(0, 1))
    assert "vpc" in done.stdout and ("deprecated" in done.stdout or "Unsupported argument" in done.stdout)


def test_no_name_that_version_6_deprecates_is_used() -> None:
    assert {file.name: found for file in _files() if (found := _avoided(file.read_text()))} == {}


def test_arguments_and_references_to_avoid_are_found() -> None:
    text = """
resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this

  bucket                = aws_s3_bucket.this[each.key].region
  expected_bucket_owner = data.aws_partition.current.partition
}

locals {
  region = "${data.aws_region.current.name}.amazonaws.com"
}
"""
    assert sorted(_avoided(text)) == [
        "aws_s3_bucket.region", "aws_s3_bucket_versioning.expected_bucket_owner", "data.aws_region.name",
    ]  # fmt: skip


def test_every_type_was_compared_with_version_6() -> None:
    """Compare a new type with version 6 before you add it: the upgrade guide, its schema, and what it deprecates."""
    assert set().union(*(_types(file.read_text()) for file in _files())) == COMPARED
