"""Convert the Terraform outputs of an example to values of the Helm chart.

    terraform -chdir=terraform/examples/production output -json | python3 terraform/values.py --tag 1.0.0 > values.yaml

Reads the outputs from standard input and writes YAML to standard output. Needs only Python 3.11, without packages.
"""

import argparse
import json
import sys
from typing import Any, TypeAlias

Value: TypeAlias = "str | int | bool | list[Value] | dict[str, Value]"

# scripts/database.sh creates this Secret.
DATABASE_SECRET = "database"  # noqa: S105 - the name of a Secret, not a password
_LAYERS = ("bronze", "silver", "gold")
# Outputs that may be null, or that an example may lack.
_OPTIONAL = {"database", "landing_queue"}
_OUTPUTS = (
    "region", "namespaces", "landing", "lake", "mlflow_artifacts", "image_registry", "service_accounts", "web_identity",
    "node_groups", "demo", "dashboard_typing", "dashboard_labelling", *_OPTIONAL,
)  # fmt: skip


class OutputsError(Exception):
    """The input lacks outputs that every example has. The message says what to do."""


def values(outputs: dict[str, Any], tag: str | None = None) -> dict[str, Value]:
    """Convert Terraform outputs to chart values.

    Args:
        outputs: Parsed output of `terraform output -json`.
        tag: Tag of the images; None uses the version of the chart.

    Returns:
        The values, as nested mappings.

    Raises:
        OutputsError: An output is missing.
    """
    # `terraform output -json` omits null outputs.
    missing = [name for name in _OUTPUTS if name not in outputs and name not in _OPTIONAL]
    if missing:
        raise OutputsError(
            f"Terraform outputs lack {', '.join(missing)}: apply an example first, and run this script on its outputs"
        )
    output: dict[str, Any] = {name: outputs[name]["value"] if name in outputs else None for name in _OUTPUTS}
    image: dict[str, Value] = {"registry": output["image_registry"]}
    if tag:
        image["tag"] = tag
    return {
        "image": image,
        "landing": output["landing"],
        "lake": output["lake"],
        "storage": {"type": "s3", "s3": {"region": output["region"], "webIdentity": output["web_identity"]}},
        "serviceAccounts": {
            name: {"annotations": account["annotations"]}
            for name, account in sorted(output["service_accounts"].items())
        },
        "streams": {
            "namespace": output["namespaces"]["streams"],
            # Each micro-batch makes about 15 S3 requests, even without new tweets: a longer interval costs less.
            "trigger": "60 seconds",
            **_layers(output["node_groups"], output["landing_queue"]),
        },
        "demo": {"enabled": output["demo"]},
        "dashboard": {"typing": output["dashboard_typing"], "labelling": output["dashboard_labelling"]},
        "mlflow": {"artifacts": output["mlflow_artifacts"]},
        "postgres": {"enabled": False, "existingSecret": DATABASE_SECRET} if output["database"] else {"enabled": True},
    }


def _layers(groups: dict[str, Any], queue: dict[str, str] | None) -> dict[str, Value]:
    """Return the values of the layers: the queue of Bronze, and the node selectors and tolerations of all pods."""
    conf: dict[str, Value] = {}
    for pod, group in (("driver", "drivers"), ("executor", "executors")):
        if group in groups:
            conf[f"spark.kubernetes.{pod}.node.selector.{groups[group]['label']}"] = group
    placement: dict[str, Value] = {"sparkConf": conf} if conf else {}
    for layer in _LAYERS:
        layer_groups: list[str] = [group for group in ("drivers", "executors") if group in groups]
        settings: dict[str, Value] = {}
        if layer == "gold" and "gpu" in groups:
            layer_groups.append("gpu")
            settings["gpus"] = 1
            settings["sparkConf"] = {f"spark.kubernetes.executor.node.selector.{groups['gpu']['label']}": "gpu"}
        tolerations: list[Value] = [
            {"key": groups[group]["label"], "operator": "Equal", "value": group, "effect": "NoSchedule"}
            for group in layer_groups
            if groups[group]["tainted"]
        ]
        if tolerations:
            settings["tolerations"] = tolerations
        if layer == "bronze" and queue:
            settings["queueUrl"] = queue["url"]
        if settings:
            placement[layer] = settings
    return placement


def to_yaml(value: Value, indent: int = 0) -> str:
    """Return `value` as YAML: mappings as blocks, everything else as JSON, which is valid YAML."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value)
    lines = []
    for key, inner in value.items():
        text = to_yaml(inner, indent + 2)
        text = f"\n{text}" if isinstance(inner, dict) and inner else f" {text}"
        lines.append(f"{' ' * indent}{json.dumps(key) if '/' in key else key}:{text}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Convert the Terraform outputs of an example to values of the Helm chart."
    )
    parser.add_argument("--tag", help="tag of the images (default: the version of the chart)")
    arguments = parser.parse_args()
    try:
        chart_values = values(json.load(sys.stdin), arguments.tag)
    except OutputsError as error:
        sys.exit(f"error: {error}")
    except json.JSONDecodeError as error:
        sys.exit(f"error: standard input is not JSON ({error}): pipe in the output of `terraform output -json`")
    print("# Generated from the Terraform outputs by `make values`.")
    print(to_yaml(chart_values))


if __name__ == "__main__":
    main()
