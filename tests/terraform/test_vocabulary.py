"""Outputs, chart values, environment variables, DAGs and settings use the same word for the same thing."""

import json
import re
from pathlib import Path

import pytest
import yaml

from spark_apps.settings import LAYERS, PRODUCTION, Settings
from spark_apps.tables import QUARANTINE, TABLES
from tests.terraform.conftest import Applied
from tests.terraform.permissions import Permissions
from tests.terraform.rendered_chart import CHART, PROJECT, RenderedChart

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(900)]

# The files `checkpoints/<name>.json`, which exist while a job is unfinished.
UNFINISHED = {"rescore", "rebuild-silver", "replay"}


@pytest.fixture(scope="module")
def chart(examples: dict[str, Applied], tmp_path_factory: pytest.TempPathFactory) -> RenderedChart:
    return RenderedChart("minimal", examples["minimal"].outputs, tmp_path_factory.mktemp("words"))


@pytest.mark.parametrize("word", ["landing", "lake"])
def test_landing_and_lake_have_the_same_name_everywhere(
    examples: dict[str, Applied], chart: RenderedChart, word: str
) -> None:
    uri = examples["minimal"].outputs[word]["value"]
    assert word in yaml.safe_load((CHART / "values.yaml").read_text())
    assert chart.values[word] == uri
    rendered = {pod.env[name] for pod in chart.pods for name in pod.env if name == f"TWEETS_{word.upper()}"}
    # The dashboard lands in a folder of the landing zone.
    assert rendered - {f"{uri.rstrip('/')}/typed"} == {uri}
    assert word in Settings.model_fields
    assert getattr(Settings(**{word: uri}), word) == uri.rstrip("/")
    assert f"-{word}-" in uri.split("/")[2], "the bucket name contains the word"


def test_the_layers_have_the_same_names_everywhere(
    examples: dict[str, Applied], chart: RenderedChart, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tweet_dags import settings
    from tweet_dags.table_jobs.definitions import JOBS

    accounts = examples["minimal"].outputs["service_accounts"]["value"]
    assert LAYERS == ("bronze", "silver", "gold")
    assert {table.name.split("/")[0] for table in TABLES} == set(LAYERS)
    assert {name for name, value in yaml.safe_load((CHART / "values.yaml").read_text())["streams"].items()
            if isinstance(value, dict) and "driver" in value} == set(LAYERS)  # fmt: skip
    assert chart.applications.keys() == {*LAYERS, *(job.application for job in JOBS)}
    assert set(LAYERS) <= accounts.keys()
    for job in JOBS:
        assert chart.applications[job.application]["spec"]["driver"]["serviceAccount"] == job.stream
    for layer in LAYERS:
        application = chart.applications[layer]
        assert application["spec"]["arguments"] == ["run", layer]
        assert application["spec"]["driver"]["serviceAccount"] == layer
    assert tuple(chart.of("ConfigMap")["tweet-sentiment/airflow"]["data"]["TWEETS_STREAMS"].split(",")) == LAYERS
    monkeypatch.delenv("TWEETS_STREAMS", raising=False)
    assert tuple(settings.streams()) == LAYERS


def test_policies_use_the_names_of_quarantine_and_checkpoints(examples: dict[str, Applied]) -> None:
    assert QUARANTINE.name == "silver/quarantine"
    permissions = Permissions(examples["minimal"])
    streams = set(
        re.findall(
            r'(?:Stream\(\s*|_STREAM = )"([a-z-]+)"', "".join(_source(f"spark_apps/{layer}/app.py") for layer in LAYERS)
        )
    )
    assert {name.split("-")[0] for name in streams} == set(LAYERS)
    assert 'return f"{lake}/checkpoints/{stream}"' in _source("spark_apps/streaming/checkpoint.py")
    assert permissions.reads("dashboard", "lake", f"lake/{QUARANTINE.name}/_delta_log/0.json")
    for name in streams:
        for key in (f"lake/checkpoints/{name}/offsets/0", f"lake/checkpoints/{name}.error.json"):
            assert [layer for layer in LAYERS if permissions.writes(layer, "lake", key)] == [name.split("-")[0]], key
    # No role may use a checkpoint that does not belong to a stream. The files of unfinished jobs are beside them.
    source = "".join(file.read_text() for file in sorted((PROJECT / "spark_apps").rglob("*.py")))
    unfinished = set(re.findall(r"/checkpoints/([a-z-]+)\.json", source))
    assert unfinished == UNFINISHED
    all_statements = json.dumps([permissions.statements(role) for role in permissions.roles])
    assert set(re.findall(r"lake/checkpoints/([a-z-]+)", all_statements)) == {*streams, *UNFINISHED}


def test_production_is_never_abbreviated() -> None:
    """`production` is the alias of the released model and the name of an environment."""
    assert PRODUCTION == "production"
    assert (PROJECT / "terraform" / "examples" / PRODUCTION / f"{PRODUCTION}.tfvars").exists()
    for folder in ("terraform", "helm", "dags", "spark_apps"):
        for file in sorted((PROJECT / folder).rglob("*")):
            if file.suffix in {".py", ".tf", ".tfvars", ".yaml", ".tpl", ".sh"} and ".terraform" not in file.parts:
                assert not re.search(r"\bprod\b", file.read_text()), file


def _source(path: str) -> str:
    return Path(PROJECT / path).read_text()
