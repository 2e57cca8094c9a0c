"""A small evaluator of IAM's policies: what this project's policies use, and an error for all else.

The rules are those of IAM's reference: an explicit deny wins, without an allow nothing is allowed, a condition holds
when each of its operators holds for each of its keys, and a key for any of its values.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_FIELDS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}


class UnknownPolicyError(Exception):
    """A policy with something that this evaluator does not know: it would have to guess."""


@dataclass(frozen=True)
class Request:
    """Someone wants to do something: `principal` is an ARN or a service's name, `context` has IAM's keys."""

    principal: str
    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def like(pattern: str, value: str, ignore_case: bool = False) -> bool:
    """Match `*` (any characters) and `?` (one of them)."""
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _positive(match: Callable[[str, str], bool]) -> Callable[[list[str], str | None], bool]:
    return lambda wanted, found: found is not None and any(match(value, found) for value in wanted)


# A key that a request lacks: positive operators fail on it, negated ones hold.
_OPERATORS: dict[str, Callable[[list[str], str | None], bool]] = {
    "StringEquals": _positive(lambda wanted, found: wanted == found),
    "StringLike": _positive(like),
    "ArnEquals": _positive(like),
    "Bool": _positive(lambda wanted, found: wanted.lower() == found.lower()),
    "StringNotEquals": lambda wanted, found: found is None or found not in wanted,
    "Null": lambda wanted, found: (found is None) == (wanted == ["true"]),
}


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    found = {key.lower(): value for key, value in context.items()}
    holds = True
    for operator, keys in condition.items():
        if operator not in _OPERATORS:
            raise UnknownPolicyError(f"condition operator {operator}")
        for key, wanted in keys.items():
            values = [str(value).lower() if isinstance(value, bool) else value for value in _list(wanted)]
            if any("${" in value for value in values):
                raise UnknownPolicyError(f"policy variable in {values}")
            holds = _OPERATORS[operator](values, found.get(key.lower())) and holds
    return holds


def _is_principal(statement: Mapping[str, Any], principal: str) -> bool:
    if "Principal" not in statement:
        return True  # a policy of the principal itself
    named = statement["Principal"]
    if named == "*":
        return True
    if not isinstance(named, dict) or set(named) - {"AWS", "Service", "Federated"}:
        raise UnknownPolicyError(f"principal {named}")
    for value in (value for values in named.values() for value in _list(values)):
        account = re.fullmatch(r"arn:aws:iam::(\d{12}):root", value)
        # The root of an account stands for all that its own policies allow.
        if value in ("*", principal) or (account and principal.startswith(f"arn:aws:iam::{account[1]}:")):
            return True
    return False


def statements(policy: str) -> list[dict[str, Any]]:
    """Return the statements of a policy; refuse what this evaluator does not know."""
    document = json.loads(policy)
    if set(document) - {"Version", "Statement", "Id"} or document.get("Version") != "2012-10-17":
        raise UnknownPolicyError(f"document with {sorted(document)}, version {document.get('Version')}")
    found: list[dict[str, Any]] = _list(document["Statement"])
    for statement in found:
        if unknown := set(statement) - _FIELDS:
            raise UnknownPolicyError(f"fields {sorted(unknown)}")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise UnknownPolicyError(f"effect {statement['Effect']}")
        _holds(statement.get("Condition", {}), {})
    return found


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
        resource = True  # a trust policy: its role is the resource
    return (
        action
        and resource
        and _is_principal(statement, request.principal)
        and _holds(statement.get("Condition", {}), request.context)
    )


def decide(policies: Iterable[str], request: Request) -> bool | None:
    """Return True for an allow, False for an explicit deny, None where no statement applies."""
    effects = {s["Effect"] for policy in policies for s in statements(policy) if _applies(s, request)}
    return False if "Deny" in effects else True if effects else None
