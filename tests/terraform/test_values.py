"""values.py converts the outputs of both examples to values of the chart."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.terraform.conftest import Applied

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(900)]

PROJECT = Path(__file__).parents[2]


def run_values(outputs: dict[str, Any], *arguments: str) -> dict[str, Any]:
    script = [sys.executable, str(PROJECT / "terraform" / "values.py"), *arguments]
    done = subprocess.run(script, input=json.dumps(outputs), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    chart_values: dict[str, Any] = yaml.safe_load(done.stdout)
    return chart_values


def test_values_of_production(examples: dict[str, Applied]) -> None:
    values = run_values(examples["production"].outputs, "--tag", "1.2.3")
    assert values["landing"] == "s3a://tweets-production-landing-123456789012/voc_volume/"
    assert values["lake"] == "s3a://tweets-production-lake-123456789012/lake"
    assert values["mlflow"] == {"artifacts": "s3://tweets-production-lake-123456789012/mlflow"}
    assert values["image"]["tag"] == "1.2.3"
    assert values["image"]["registry"].endswith("/tweets-production")
    assert values["storage"] == {"type": "s3", "s3": {"region": "eu-central-1", "webIdentity": False}}
    assert values["postgres"] == {"enabled": False, "existingSecret": "database"}
    assert values["streams"]["namespace"] == "tweet-sentiment-streams"
    assert values["streams"]["sparkConf"] == {
        "spark.kubernetes.driver.node.selector.tweet-sentiment/nodes": "drivers",
        "spark.kubernetes.executor.node.selector.tweet-sentiment/nodes": "executors",
    }
    assert {toleration["value"] for toleration in values["streams"]["silver"]["tolerations"]} == {
        "drivers",
        "executors",
    }
    queue = values["streams"]["bronze"]["queueUrl"]
    assert queue == examples["production"].outputs["landing_queue"]["value"]["url"]
    assert queue.endswith("/tweets-production-landing")
    assert values["demo"] == {"enabled": False} and values["dashboard"] == {"typing": False, "labelling": False}
    assert all(account == {"annotations": {}} for account in values["serviceAccounts"].values())


def test_values_of_minimal(examples: dict[str, Applied]) -> None:
    values = run_values(examples["minimal"].outputs)
    assert values["postgres"] == {"enabled": True}
    assert values["storage"]["s3"]["webIdentity"] is True
    assert "sparkConf" not in values["streams"] and "gold" not in values["streams"]
    assert values["dashboard"] == {"typing": True, "labelling": True}
    assert values["demo"] == {"enabled": True} and "tag" not in values["image"]
    for name in ("bronze", "silver", "gold", "dashboard", "demo", "airflow", "mlflow", "model-jobs", "quality"):
        role = values["serviceAccounts"][name]["annotations"]["eks.amazonaws.com/role-arn"]
        assert role.endswith(f":role/tweets-try-{name}")


def test_a_gpu_group_is_for_the_executors_of_gold(examples: dict[str, Applied]) -> None:
    outputs = json.loads(json.dumps(examples["production"].outputs))
    outputs["node_groups"]["value"]["gpu"] = {"label": "tweet-sentiment/nodes", "value": "gpu", "tainted": True}
    streams = run_values(outputs)["streams"]
    assert streams["gold"]["gpus"] == 1
    assert streams["gold"]["sparkConf"] == {"spark.kubernetes.executor.node.selector.tweet-sentiment/nodes": "gpu"}
    assert "gpu" in {toleration["value"] for toleration in streams["gold"]["tolerations"]}
    assert "gpu" not in {toleration["value"] for toleration in streams["bronze"]["tolerations"]}


def test_input_without_the_outputs_of_an_example_is_refused() -> None:
    script = [sys.executable, str(PROJECT / "terraform" / "values.py")]
    for text, message in (("{}", "apply an example first"), ("", "standard input is not JSON")):
        done = subprocess.run(script, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and message in done.stderr
