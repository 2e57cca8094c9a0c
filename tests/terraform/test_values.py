"""From outputs to the chart's values: the keys are the chart's, the names those that chart and DAGs use."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.terraform.conftest import Applied

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(600)]

PROJECT = Path(__file__).parents[2]


def make(outputs: dict[str, Any], *arguments: str) -> dict[str, Any]:
    script = [sys.executable, str(PROJECT / "terraform" / "values.py"), *arguments]
    done = subprocess.run(script, input=json.dumps(outputs), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = yaml.safe_load(done.stdout)
    return made


def test_production(examples: dict[str, Applied]) -> None:
    made = make(examples["production"].outputs, "--tag", "1.2.3")
    assert made["landing"] == "s3a://tweets-production-landing-123456789012/voc_volume/"
    assert made["lake"] == "s3a://tweets-production-lake-123456789012/lake"
    assert made["mlflow"] == {"artifacts": "s3://tweets-production-lake-123456789012/mlflow"}
    assert made["image"]["tag"] == "1.2.3"
    assert made["image"]["registry"].endswith("/tweets-production")
    assert made["storage"] == {"type": "s3", "s3": {"region": "eu-central-1", "webIdentity": False}}
    assert made["postgres"] == {"enabled": False, "existingSecret": "database"}
    assert made["streams"]["namespace"] == "tweet-sentiment-streams"
    assert made["streams"]["sparkConf"] == {
        "spark.kubernetes.driver.node.selector.tweet-sentiment/nodes": "drivers",
        "spark.kubernetes.executor.node.selector.tweet-sentiment/nodes": "executors",
    }
    assert {one["value"] for one in made["streams"]["silver"]["tolerations"]} == {"drivers", "executors"}
    assert made["demo"] == {"enabled": False} and made["dashboard"] == {"typing": False}
    assert all(account == {"annotations": {}} for account in made["serviceAccounts"].values())


def test_minimal(examples: dict[str, Applied]) -> None:
    made = make(examples["minimal"].outputs)
    assert made["postgres"] == {"enabled": True}
    assert made["storage"]["s3"]["webIdentity"] is True
    assert "sparkConf" not in made["streams"] and "gold" not in made["streams"]
    assert made["demo"] == {"enabled": True} and "tag" not in made["image"]
    for name in ("bronze", "silver", "gold", "dashboard", "demo", "airflow", "mlflow", "model-jobs", "quality"):
        role = made["serviceAccounts"][name]["annotations"]["eks.amazonaws.com/role-arn"]
        assert role.endswith(f":role/tweets-try-{name}")


def test_gpus_are_for_the_executors_of_gold(examples: dict[str, Applied]) -> None:
    outputs = json.loads(json.dumps(examples["production"].outputs))
    outputs["node_groups"]["value"]["gpu"] = {"label": "tweet-sentiment/nodes", "value": "gpu", "tainted": True}
    streams = make(outputs)["streams"]
    assert streams["gold"]["gpus"] == 1
    assert streams["gold"]["sparkConf"] == {"spark.kubernetes.executor.node.selector.tweet-sentiment/nodes": "gpu"}
    assert "gpu" in {one["value"] for one in streams["gold"]["tolerations"]}
    assert "gpu" not in {one["value"] for one in streams["bronze"]["tolerations"]}


def test_what_are_no_outputs_of_an_example_is_refused() -> None:
    script = [sys.executable, str(PROJECT / "terraform" / "values.py")]
    for text, says in (("{}", "apply an example first"), ("", "no outputs")):
        done = subprocess.run(script, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and says in done.stderr
