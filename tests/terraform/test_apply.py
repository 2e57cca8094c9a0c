"""What stands after an apply: a second plan is empty, and nothing is open, bare or untagged."""

import json
from typing import Any

import pytest

from tests.terraform.conftest import Applied
from tests.terraform.policy import Request, decide, statements

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(600)]


# What moto gives back otherwise than it was sent; README.md explains each.
DRIFT = {
    "minimal": {},
    "production": {
        "module.database.aws_db_parameter_group.this": {"parameter"},
        'module.database.aws_vpc_security_group_ingress_rule.clients["nodes"]': {"description"},
        "module.storage.aws_sqs_queue.landing[0]": {"redrive_policy"},
    },
}


def test_a_second_plan_is_empty_but_for_what_moto_forgets(example: Applied) -> None:
    found = {}
    for changed in example.second_plan["resource_changes"]:
        change = changed["change"]
        if change["actions"] not in (["no-op"], ["read"]):
            assert change["actions"] == ["update"], changed["address"]
            found[changed["address"]] = {
                field for field, value in change["after"].items() if change["before"][field] != value
            }
    assert found == DRIFT[example.name]
    assert not any(change["actions"] != ["no-op"] for change in example.second_plan.get("output_changes", {}).values())


def test_every_resource_is_tagged(example: Applied) -> None:
    for resource in example.resources:
        if "tags" in resource.values:
            tags = resource.values["tags"] or {}
            wanted = {"project": "tweet-sentiment", "managed-by": "terraform"}
            assert wanted.items() <= tags.items(), resource.address
            assert {"environment", "module", "Name"} <= tags.keys(), resource.address


def test_no_bucket_is_public_bare_or_without_tls(example: Applied) -> None:
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
        for context, wanted in (({"aws:SecureTransport": "false"}, False), ({"aws:SecureTransport": "true"}, None)):
            anyone = Request("arn:aws:iam::999999999999:root", "s3:GetObject", f"{arn}/x", context)
            assert decide([policies[name]], anyone) is wanted, name


def test_queues_topics_disks_and_secrets_are_encrypted(example: Applied) -> None:
    assert all(queue.values["sqs_managed_sse_enabled"] for queue in example.of("aws_sqs_queue"))
    assert all(topic.values["kms_master_key_id"] for topic in example.of("aws_sns_topic"))
    for template in example.of("aws_launch_template"):
        assert [device["ebs"][0]["encrypted"] for device in template.values["block_device_mappings"]] == ["true"]
    for cluster in example.of("aws_eks_cluster"):
        assert cluster.values["encryption_config"][0]["resources"] == ["secrets"]


def test_other_keys_are_refused_on_the_way_in(example: Applied) -> None:
    for policy in example.of("aws_s3_bucket_policy"):
        if "-access-logs-" in policy.values["bucket"]:
            continue
        resource = f"arn:aws:s3:::{policy.values['bucket']}/x"
        own = next(
            statement["Condition"]["StringNotEquals"]["s3:x-amz-server-side-encryption-aws-kms-key-id"]
            for statement in statements(policy.values["policy"])
            if statement["Sid"] == "NoOtherKey"
        )
        key, algorithm = "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-server-side-encryption"
        headers: list[tuple[dict[str, str], bool | None]] = [
            ({}, None),
            ({algorithm: "aws:kms", key: own}, None),
            ({algorithm: "AES256"}, False),
            ({algorithm: "aws:kms", key: "arn:aws:kms:eu-central-1:999999999999:key/other"}, False),
        ]
        for context, wanted in headers:
            put = Request("arn:aws:iam::123456789012:role/a", "s3:PutObject", resource, context)
            assert decide([policy.values["policy"]], put) is wanted, (policy.address, context)


def test_keys_are_rotated_and_left_to_the_account(example: Applied) -> None:
    for key in example.of("aws_kms_key"):
        assert key.values["enable_key_rotation"], key.address
        for statement in statements(key.values["policy"]):
            # In a key's policy the resource `*` is that key.
            if "*" in statement["Action"]:
                assert statement["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}, key.address


def test_no_wildcard_action_on_a_wildcard_resource(example: Applied) -> None:
    found = 0
    for policy in example.of("aws_iam_role_policy"):
        for statement in statements(policy.values["policy"]):
            found += 1
            assert "NotAction" not in statement and "NotResource" not in statement, policy.address
            actions, where = (_list(statement[field]) for field in ("Action", "Resource"))
            assert not any("*" in action for action in actions), policy.address
            if "*" in where:
                looks = all(action.split(":")[1].startswith(("Describe", "Get")) for action in actions)
                assert looks or statement.get("Condition"), (policy.address, statement)
    assert found > 20


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_nothing_lets_the_internet_in(example: Applied) -> None:
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


def test_only_eks_ec2_and_services_of_this_account_take_roles(example: Applied) -> None:
    """A role that anyone outside could take would make all other policies idle."""
    for role in example.of("aws_iam_role"):
        for statement in statements(role.values["assume_role_policy"]):
            principals = json.dumps(statement["Principal"])
            assert "AWS" not in statement["Principal"] and "*" not in principals, role.address
            if "pods.eks.amazonaws.com" in principals:
                equals = statement["Condition"]["StringEquals"]
                assert "aws:SourceAccount" in equals and "aws:RequestTag/kubernetes-service-account" in equals


def test_policies_fit_into_what_iam_takes(example: Applied) -> None:
    """moto takes any length: IAM takes 10,240 characters within a role, and 2,048 of who may take it."""
    own: dict[str, int] = {}
    for policy in example.of("aws_iam_role_policy"):
        own[policy.values["role"]] = own.get(policy.values["role"], 0) + len(policy.values["policy"])
    assert max(own.values()) <= 10_240
    assert all(len(role.values["assume_role_policy"]) <= 2_048 for role in example.of("aws_iam_role"))
    assert all(len(role.values["id"]) <= 64 for role in example.of("aws_iam_role"))


def test_databases_have_no_password_in_the_state(examples: dict[str, Applied]) -> None:
    (database,) = examples["production"].of("aws_db_instance")
    assert database.values["password"] is None
    assert database.values["manage_master_user_password"] is True
    assert examples["minimal"].of("aws_db_instance") == []
