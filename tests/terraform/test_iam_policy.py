"""The policy evaluator follows IAM's rules, tested on constructed policies."""

import json
from typing import Any

import pytest

from tests.terraform.iam_policy import Request, UnknownPolicyError, decide, like

pytestmark = pytest.mark.terraform

ROLE = "arn:aws:iam::123456789012:role/a"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(**fields: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"} | fields


def ask(
    *policies: str, action: str = "s3:GetObject", resource: str = "arn:aws:s3:::b/k", **context: str
) -> bool | None:
    keys = {key.replace("_", ":", 1): value for key, value in context.items()}
    return decide(policies, Request(ROLE, action, resource, keys))


def test_access_needs_an_allow() -> None:
    assert ask(policy(allow())) is True
    assert ask(policy(allow()), action="s3:PutObject") is None
    assert ask(policy(allow()), resource="arn:aws:s3:::b") is None


def test_an_explicit_deny_wins_in_any_order() -> None:
    deny = policy(allow(Effect="Deny", Action="s3:*", Principal={"AWS": "*"}))
    assert ask(policy(allow()), deny) is False
    assert ask(deny, policy(allow())) is False


def test_not_action_and_not_resource_exclude() -> None:
    statement = {"Effect": "Allow", "NotAction": "s3:Delete*", "NotResource": "arn:aws:s3:::secret/*"}
    assert ask(policy(statement)) is True
    assert ask(policy(statement), action="s3:DeleteObject") is None
    assert ask(policy(statement), resource="arn:aws:s3:::secret/k") is None


def test_actions_ignore_case_and_resources_do_not() -> None:
    assert ask(policy(allow(Action="S3:getobject"))) is True
    assert ask(policy(allow(Resource="arn:aws:s3:::B/*"))) is None


def test_wildcards_are_not_regular_expressions() -> None:
    assert like("a.b*", "a.bcd")
    assert not like("a.b*", "axbcd")
    assert like("a?c", "abc")
    assert not like("a?c", "ac")
    assert not like("[ab]", "a")


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"aws:x": ["1", "2"]}}, {"aws_x": "2"}, True),
        ({"StringEquals": {"aws:x": "1"}}, {}, None),
        ({"StringEquals": {"AWS:X": "1"}}, {"aws_x": "1"}, True),
        ({"StringEquals": {"aws:x": "1", "aws:y": "1"}}, {"aws_x": "1"}, None),
        ({"StringLike": {"s3:prefix": ["lake/", "lake/gold/*"]}}, {"s3_prefix": "lake/gold/trends/"}, True),
        ({"StringLike": {"s3:prefix": ["lake/", "lake/gold/*"]}}, {"s3_prefix": "lake/silver/"}, None),
        ({"StringNotEquals": {"aws:x": "1"}}, {}, True),
        ({"StringNotEquals": {"aws:x": "1"}, "Null": {"aws:x": "false"}}, {}, None),
        ({"StringNotEquals": {"aws:x": "1"}, "Null": {"aws:x": "false"}}, {"aws_x": "2"}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws_SecureTransport": "false"}, True),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws_SecureTransport": "true"}, None),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::b*"}}, {"aws_SourceArn": "arn:aws:s3:::bucket"}, True),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, str], expected: bool | None) -> None:
    assert ask(policy(allow(Condition=condition)), **context) is expected


def test_principals() -> None:
    assert ask(policy(allow(Principal={"AWS": "arn:aws:iam::123456789012:root"}))) is True
    assert ask(policy(allow(Principal={"AWS": "arn:aws:iam::999999999999:root"}))) is None
    assert ask(policy(allow(Principal={"Service": "s3.amazonaws.com"}))) is None


@pytest.mark.parametrize(
    "statement",
    [
        allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        allow(Condition={"StringEqualsIfExists": {"aws:x": "1"}}),
        allow(Condition={"StringEquals": {"aws:x": "${aws:username}"}}),
        allow(Principal={"CanonicalUser": "x"}),
        allow(NotPrincipal="*"),
        allow(Effect="Perhaps"),
    ],
)
def test_unsupported_elements_raise_an_error(statement: dict[str, Any]) -> None:
    with pytest.raises(UnknownPolicyError):
        ask(policy(statement))


def test_an_older_policy_version_raises_an_error() -> None:
    with pytest.raises(UnknownPolicyError, match="version"):
        ask(json.dumps({"Version": "2008-10-17", "Statement": []}))
