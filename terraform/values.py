"""Outputs of an example → values of the chart.

    terraform -chdir=terraform/examples/production output -json | python3 terraform/values.py --tag 1.0.0 > values.yaml

Reads the outputs from standard input and writes YAML to standard output; needs nothing but Python 3.11.
"""

import argparse
import json
import sys
from typing import Any, TypeAlias

Value: TypeAlias = "str | int | bool | list[Value] | dict[str, Value]"

# scripts/database.sh makes it.
DATABASE_SECRET = "database"  # noqa: S105 - the name of a Secret, not one
_LAYERS = ("bronze", "silver", "gold")
_WANTED = (
    "region", "namespaces", "landing", "lake", "mlflow_artifacts", "image_registry", "service_accounts", "web_identity",
    "node_groups", "demo", "dashboard_typing", "database",
)  # fmt: skip


class OutputsError(Exception):
    """Outputs that are not those of an example; the text says what to do."""


def values(outputs: dict[str, Any], tag: str | None = None) -> dict[str, Value]:
    """Return the chart's values; `outputs` is what `terraform output -json` prints."""
    # `terraform output -json` leaves out an output that is null: only the database may be.
    missing = [name for name in _WANTED if name not in outputs and name != "database"]
    if missing:
        raise OutputsError(f"no output {', '.join(missing)}: apply an example first, and name its folder")
    got: dict[str, Any] = {name: outputs[name]["value"] if name in outputs else None for name in _WANTED}
    image: dict[str, Value] = {"registry": got["image_registry"]}
    if tag:
        image["tag"] = tag
    return {
        "image": image,
        "landing": got["landing"],
        "lake": got["lake"],
        "storage": {"type": "s3", "s3": {"region": got["region"], "webIdentity": got["web_identity"]}},
        "serviceAccounts": {
            name: {"annotations": account["annotations"]} for name, account in sorted(got["service_accounts"].items())
        },
        "streams": {
            "namespace": got["namespaces"]["streams"],
            # Each micro-batch costs some dozen requests to S3, whether or not tweets came.
            "trigger": "60 seconds",
            **_placement(got["node_groups"]),
        },
        "demo": {"enabled": got["demo"]},
        "dashboard": {"typing": got["dashboard_typing"]},
        "mlflow": {"artifacts": got["mlflow_artifacts"]},
        "postgres": {"enabled": False, "existingSecret": DATABASE_SECRET} if got["database"] else {"enabled": True},
    }


def _placement(groups: dict[str, Any]) -> dict[str, Value]:
    """Send drivers, executors and the GPU's executors to the nodes that are there for them."""
    conf: dict[str, Value] = {}
    for pod, use in (("driver", "drivers"), ("executor", "executors")):
        if use in groups:
            conf[f"spark.kubernetes.{pod}.node.selector.{groups[use]['label']}"] = use
    placed: dict[str, Value] = {"sparkConf": conf} if conf else {}
    for layer in _LAYERS:
        uses: list[str] = [use for use in ("drivers", "executors") if use in groups]
        settings: dict[str, Value] = {}
        if layer == "gold" and "gpu" in groups:
            uses.append("gpu")
            settings["gpus"] = 1
            settings["sparkConf"] = {f"spark.kubernetes.executor.node.selector.{groups['gpu']['label']}": "gpu"}
        tolerations: list[Value] = [
            {"key": groups[use]["label"], "operator": "Equal", "value": use, "effect": "NoSchedule"}
            for use in uses
            if groups[use]["tainted"]
        ]
        if tolerations:
            settings["tolerations"] = tolerations
        if settings:
            placed[layer] = settings
    return placed


def to_yaml(value: Value, indent: int = 0) -> str:
    """Write mappings as blocks and all else as JSON, which is YAML too."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value)
    lines = []
    for key, inner in value.items():
        text = to_yaml(inner, indent + 2)
        text = f"\n{text}" if isinstance(inner, dict) and inner else f" {text}"
        lines.append(f"{' ' * indent}{json.dumps(key) if '/' in key else key}:{text}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="outputs of an example → values of the chart")
    parser.add_argument("--tag", help="tag of the images; the chart's own version, when left out")
    arguments = parser.parse_args()
    try:
        made = values(json.load(sys.stdin), arguments.tag)
    except (json.JSONDecodeError, OutputsError) as error:
        sys.exit(f"error: {error}" if isinstance(error, OutputsError) else "error: standard input holds no outputs")
    print("# Made from Terraform's outputs by `make values`.")
    print(to_yaml(made))


if __name__ == "__main__":
    main()
