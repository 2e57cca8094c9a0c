"""After an apply, the second plan is empty, and no resource is public, unencrypted or untagged."""

import json
from typing import Any

import pytest

from tests.terraform.conftest import Applied
from tests.terraform.iam_policy import Request, decide, statements

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(900)]


# Attributes that moto does not return as they were sent; README.md explains each.
MOTO_DIFFERENCES = {
    "minimal": {},
    "production": {
        "module.database.aws_db_parameter_group.this": {"parameter"},
        'module.database.aws_vpc_security_group_ingress_rule.clients["nodes"]': {"description"},
        "module.storage.aws_sqs_queue.landing[0]": {"redrive_policy"},
    },
}


def test_the_second_plan_is_empty_except_for_known_moto_differences(example: Applied) -> None:
    differences = {}
    for resource in example.second_plan["resource_changes"]:
        change = resource["change"]
        if change["actions"] not in (["no-op"], ["read"]):
            assert change["actions"] == ["update"], resource["address"]
            differences[resource["address"]] = {
                field for field, value in change["after"].items() if change["before"][field] != value
            }
    assert differences == MOTO_DIFFERENCES[example.name]
    assert not any(change["actions"] != ["no-op"] for change in example.second_plan.get("output_changes", {}).values())


def test_every_resource_is_tagged(example: Applied) -> None:
    for resource in example.resources:
        if "tags" in resource.values:
            tags = resource.values["tags"] or {}
            expected = {"project": "tweet-sentiment", "managed-by": "terraform"}
            assert expected.items() <= tags.items(), resource.address
            assert {"environment", "module", "Name"} <= tags.keys(), resource.address


def test_buckets_block_public_access_encrypt_and_require_tls(example: Applied) -> None:
    buckets = {resource.values["id"]: resource.values["arn"] for resource in example.of("aws_s3_bucket")}
    assert len(buckets) == 3
    blocked = {
        resource.values["bucket"]
        for resource in example.of("aws_s3_bucket_public_access_block")
        if all(
            resource.values[field]
            for field in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
        )
    }
    encrypted = {
        resource.values["bucket"]: resource.values["rule"][0]["apply_server_side_encryption_by_default"][0][
            "sse_algorithm"
        ]
        for resource in example.of("aws_s3_bucket_server_side_encryption_configuration")
    }
    assert blocked == buckets.keys()
    assert {name: algorithm for name, algorithm in encrypted.items() if algorithm != "aws:kms"} == {
        name: "AES256" for name in buckets if "-access-logs-" in name
    }
    policies = {resource.values["bucket"]: resource.values["policy"] for resource in example.of("aws_s3_bucket_policy")}
    for name, arn in buckets.items():
        for context, expected in (({"aws:SecureTransport": "false"}, False), ({"aws:SecureTransport": "true"}, None)):
            anyone = Request("arn:aws:iam::999999999999:root", "s3:GetObject", f"{arn}/x", context)
            assert decide([policies[name]], anyone) is expected, name


def test_queues_topics_disks_and_secrets_are_encrypted(example: Applied) -> None:
    assert all(queue.values["sqs_managed_sse_enabled"] for queue in example.of("aws_sqs_queue"))
    assert all(topic.values["kms_master_key_id"] for topic in example.of("aws_sns_topic"))
    for template in example.of("aws_launch_template"):
        assert [device["ebs"][0]["encrypted"] for device in template.values["block_device_mappings"]] == ["true"]
    for cluster in example.of("aws_eks_cluster"):
        assert cluster.values["encryption_config"][0]["resources"] == ["secrets"]


def test_buckets_deny_uploads_with_another_encryption_or_key(example: Applied) -> None:
    for policy in example.of("aws_s3_bucket_policy"):
        if "-access-logs-" in policy.values["bucket"]:
            continue
        resource = f"arn:aws:s3:::{policy.values['bucket']}/x"
        bucket_key = next(
            statement["Condition"]["StringNotEquals"]["s3:x-amz-server-side-encryption-aws-kms-key-id"]
            for statement in statements(policy.values["policy"])
            if statement["Sid"] == "DenyOtherKey"
        )
        key, algorithm = "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-server-side-encryption"
        headers: list[tuple[dict[str, str], bool | None]] = [
            ({}, None),
            ({algorithm: "aws:kms", key: bucket_key}, None),
            ({algorithm: "AES256"}, False),
            ({algorithm: "aws:kms", key: "arn:aws:kms:eu-central-1:999999999999:key/other"}, False),
        ]
        for context, expected in headers:
            put = Request("arn:aws:iam::123456789012:role/a", "s3:PutObject", resource, context)
            assert decide([policy.values["policy"]], put) is expected, (policy.address, context)


def test_keys_are_rotated_and_controlled_by_the_account(example: Applied) -> None:
    for key in example.of("aws_kms_key"):
        assert key.values["enable_key_rotation"], key.address
        for statement in statements(key.values["policy"]):
            # In a key policy, the resource `*` means the key itself.
            if "*" in statement["Action"]:
                assert statement["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}, key.address


def test_role_policies_have_no_wildcard_actions_and_few_wildcard_resources(example: Applied) -> None:
    count = 0
    for policy in example.of("aws_iam_role_policy"):
        for statement in statements(policy.values["policy"]):
            count += 1
            assert "NotAction" not in statement and "NotResource" not in statement, policy.address
            actions, resources = (_list(statement[field]) for field in ("Action", "Resource"))
            assert not any("*" in action for action in actions), policy.address
            if "*" in resources:
                read_only = all(action.split(":")[1].startswith(("Describe", "Get")) for action in actions)
                assert read_only or statement.get("Condition"), (policy.address, statement)
    assert count > 20


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_no_resource_is_reachable_from_the_internet(example: Applied) -> None:
    for rule in example.of("aws_vpc_security_group_ingress_rule"):
        assert rule.values["cidr_ipv4"] != "0.0.0.0/0" and not rule.values["cidr_ipv6"], rule.address
    for group in [*example.of("aws_security_group"), *example.of("aws_default_security_group")]:
        for rule in group.values["ingress"]:
            assert "0.0.0.0/0" not in rule["cidr_blocks"] and not rule["ipv6_cidr_blocks"], group.address
    assert all(group.values["ingress"] == [] for group in example.of("aws_default_security_group"))
    for cluster in example.of("aws_eks_cluster"):
        network = cluster.values["vpc_config"][0]
        assert network["endpoint_private_access"]
        assert not network["endpoint_public_access"] or network["public_access_cidrs"] == ["203.0.113.7/32"]
    for database in example.of("aws_db_instance"):
        assert not database.values["publicly_accessible"] and database.values["storage_encrypted"]
    assert all(not subnet.values["map_public_ip_on_launch"] for subnet in example.of("aws_subnet"))


def test_only_aws_services_and_service_accounts_of_the_cluster_may_assume_roles(example: Applied) -> None:
    """A role that outsiders could assume would bypass all other policies."""
    for role in example.of("aws_iam_role"):
        for statement in statements(role.values["assume_role_policy"]):
            principals = json.dumps(statement["Principal"])
            assert "AWS" not in statement["Principal"] and "*" not in principals, role.address
            if "pods.eks.amazonaws.com" in principals:
                equals = statement["Condition"]["StringEquals"]
                assert "aws:SourceAccount" in equals and "aws:RequestTag/kubernetes-service-account" in equals


def test_policies_and_names_fit_the_limits_of_iam(example: Applied) -> None:
    """IAM limits inline policies to 10,240 characters per role and trust policies to 2,048; moto accepts any length."""
    sizes: dict[str, int] = {}
    for policy in example.of("aws_iam_role_policy"):
        sizes[policy.values["role"]] = sizes.get(policy.values["role"], 0) + len(policy.values["policy"])
    assert max(sizes.values()) <= 10_240
    assert all(len(role.values["assume_role_policy"]) <= 2_048 for role in example.of("aws_iam_role"))
    assert all(len(role.values["id"]) <= 64 for role in example.of("aws_iam_role"))


def test_the_state_contains_no_database_password(examples: dict[str, Applied]) -> None:
    (database,) = examples["production"].of("aws_db_instance")
    assert database.values["password"] is None
    assert database.values["manage_master_user_password"] is True
    assert examples["minimal"].of("aws_db_instance") == []
