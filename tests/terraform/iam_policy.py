"""Evaluate IAM policies, for the policy elements that this project uses. Other elements raise an error.

The rules follow the IAM reference: an explicit deny wins, and access needs an allow. A condition holds when every
operator holds for every key. An operator holds for a key when one of its values matches.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_FIELDS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}


class UnknownPolicyError(Exception):
    """The policy has an element that this evaluator does not support."""


@dataclass(frozen=True)
class Request:
    """An AWS request: `principal` is an ARN or a service name, `context` maps IAM condition keys to values."""

    principal: str
    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def like(pattern: str, value: str, ignore_case: bool = False) -> bool:
    """Match a pattern in which `*` stands for any characters and `?` for one character."""
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _positive(match: Callable[[str, str], bool]) -> Callable[[list[str], str | None], bool]:
    return lambda expected, actual: actual is not None and any(match(value, actual) for value in expected)


# `actual` is None if the request lacks the key: positive operators then fail, negated operators hold.
_OPERATORS: dict[str, Callable[[list[str], str | None], bool]] = {
    "StringEquals": _positive(lambda expected, actual: expected == actual),
    "StringLike": _positive(like),
    "ArnEquals": _positive(like),
    "Bool": _positive(lambda expected, actual: expected.lower() == actual.lower()),
    "StringNotEquals": lambda expected, actual: actual is None or actual not in expected,
    "Null": lambda expected, actual: (actual is None) == (expected == ["true"]),
}


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    actual = {key.lower(): value for key, value in context.items()}
    holds = True
    for operator, keys in condition.items():
        if operator not in _OPERATORS:
            raise UnknownPolicyError(f"condition operator {operator}")
        for key, expected in keys.items():
            values = [str(value).lower() if isinstance(value, bool) else value for value in _list(expected)]
            if any("${" in value for value in values):
                raise UnknownPolicyError(f"policy variable in {values}")
            holds = _OPERATORS[operator](values, actual.get(key.lower())) and holds
    return holds


def _is_principal(statement: Mapping[str, Any], principal: str) -> bool:
    if "Principal" not in statement:
        return True  # an identity-based policy
    principals = statement["Principal"]
    if principals == "*":
        return True
    if not isinstance(principals, dict) or set(principals) - {"AWS", "Service", "Federated"}:
        raise UnknownPolicyError(f"principal {principals}")
    for value in (value for values in principals.values() for value in _list(values)):
        account = re.fullmatch(r"arn:aws:iam::(\d{12}):root", value)
        # The account root as principal delegates access to the IAM policies of the account.
        if value in ("*", principal) or (account and principal.startswith(f"arn:aws:iam::{account[1]}:")):
            return True
    return False


def statements(policy: str) -> list[dict[str, Any]]:
    """Parse a policy and return its statements.

    Raises:
        UnknownPolicyError: The policy has an element that this evaluator does not support.
    """
    document = json.loads(policy)
    if set(document) - {"Version", "Statement", "Id"} or document.get("Version") != "2012-10-17":
        raise UnknownPolicyError(f"document with {sorted(document)}, version {document.get('Version')}")
    parsed: list[dict[str, Any]] = _list(document["Statement"])
    for statement in parsed:
        if unknown := set(statement) - _FIELDS:
            raise UnknownPolicyError(f"fields {sorted(unknown)}")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise UnknownPolicyError(f"effect {statement['Effect']}")
        _holds(statement.get("Condition", {}), {})  # raises on unsupported operators
    return parsed


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    if "Action" in statement:
        action = any(like(pattern, request.action, ignore_case=True) for pattern in _list(statement["Action"]))
    else:
        action = not any(like(pattern, request.action, ignore_case=True) for pattern in _list(statement["NotAction"]))
    if "Resource" in statement:
        resource = any(like(pattern, request.resource) for pattern in _list(statement["Resource"]))
    elif "NotResource" in statement:
        resource = not any(like(pattern, request.resource) for pattern in _list(statement["NotResource"]))
    else:
        resource = True  # a trust policy applies to its role
    return (
        action
        and resource
        and _is_principal(statement, request.principal)
        and _holds(statement.get("Condition", {}), request.context)
    )


def decide(policies: Iterable[str], request: Request) -> bool | None:
    """Return True for an allow, False for an explicit deny, and None if no statement applies."""
    effects = {s["Effect"] for policy in policies for s in statements(policy) if _applies(s, request)}
    return False if "Deny" in effects else True if effects else None
