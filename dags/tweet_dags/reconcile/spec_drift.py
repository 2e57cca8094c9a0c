"""Spec drift: find where an application differs from the manifest that the chart has rendered."""

from collections.abc import Mapping
from typing import Any

from tweet_dags.kubernetes.objects import Object, get
from tweet_dags.reconcile.observed import spec_hash

# The field manager of the reconciler's writes, and the owner of its holds.
FIELD_MANAGER = "keep-streams-running"
# The owner of the holds that a person sets with the DAG operate_stream.
OPERATE_STREAM = "operate-stream"


def find_spec_drift(desired: Object, application: Object) -> str:
    """Describe the first difference between the live spec and the applied spec; return '' if they are equal.

    A field that another client has added is found by its field manager; defaults that the operator adds do not count.
    The field `suspend` belongs to a hold, and the plan handles it with the hold.
    """
    if spec_hash(desired) == spec_hash(application) and (
        difference := _first_difference(desired["spec"], application["spec"], "spec")
    ):
        return difference
    for entry in get(application, "metadata", "managedFields") or []:
        foreign = set(get(entry, "fieldsV1", "f:spec") or {}) - {"f:suspend"}
        if entry.get("manager") != FIELD_MANAGER and entry.get("subresource") != "status" and foreign:
            return f"{entry.get('manager')} owns " + ", ".join(sorted(key.removeprefix("f:") for key in foreign))
    return ""


def _first_difference(desired: Any, live: Any, path: str) -> str:
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        for key, value in desired.items():
            if key not in live:
                return f"{path}.{key} is missing"
            if difference := _first_difference(value, live[key], f"{path}.{key}"):
                return difference
        return ""
    if isinstance(desired, list) and isinstance(live, list) and len(desired) == len(live):
        for index, (left, right) in enumerate(zip(desired, live, strict=True)):
            if difference := _first_difference(left, right, f"{path}[{index}]"):
                return difference
        return ""
    return "" if desired == live else f"{path} is {live!r}"
