"""Whether an application is as the chart has it."""

from collections.abc import Mapping
from typing import Any

from tweet_dags.seen import Object, get, spec_hash

MANAGER = "keep-streams-running"


def edited(rendered: Object, live: Object) -> str:
    """Return the first place at which the live spec is not as it was applied, or ''.

    What somebody else has added is told by the fields' owners: the defaults of the operator count as ours. Who
    suspends a stream owns `suspend`; that is told by its hold.
    """
    if spec_hash(rendered) == spec_hash(live) and (place := _differs(rendered["spec"], live["spec"], "spec")):
        return place
    for entry in get(live, "metadata", "managedFields") or []:
        foreign = set(get(entry, "fieldsV1", "f:spec") or {}) - {"f:suspend"}
        if entry.get("manager") != MANAGER and entry.get("subresource") != "status" and foreign:
            return f"{entry.get('manager')} owns " + ", ".join(sorted(key.removeprefix("f:") for key in foreign))
    return ""


def _differs(wanted: Any, found: Any, place: str) -> str:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key, value in wanted.items():
            if key not in found:
                return f"{place}.{key} is missing"
            if inner := _differs(value, found[key], f"{place}.{key}"):
                return inner
        return ""
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return next((inner for at, (a, b) in pairs if (inner := _differs(a, b, f"{place}[{at}]"))), "")
    return "" if wanted == found else f"{place} is {found!r}"
