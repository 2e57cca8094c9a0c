"""The figures of a shadow version: read from the lake, recorded in the registry, shown by `model list`."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from spark_apps.cli.main import app
from spark_apps.model.release.gates import GateLimits, shadow_gate
from spark_apps.quality.shadow import shadow_figures
from spark_apps.quality.shadow_scores import read_shadow
from spark_apps.registry.client import Registry
from spark_apps.registry.shadow import clear_shadow, set_shadow
from spark_apps.tables import GOLD_SHADOW
from tests.lakes import put
from tests.quality.streams import Lake, check, release


def add_scores(lake: Path, lang: str, tweets: int, labels: tuple[str, str], version: str = "2", **more: object) -> None:
    """Add `tweets` tweets with the labels of production and of the shadow version."""
    row = {"id": "1", "lang": lang, "production_label": labels[0], "label": labels[1], "model_version": version}
    times = {"scored_at": pd.Timestamp("2026-01-01T00:00:00Z"), "milliseconds": 2.0}
    put(lake, GOLD_SHADOW, pd.DataFrame([{**row, **times, **more}] * tweets), rows=tweets)


def test_the_figures_compare_the_labels_in_total_and_by_language(tmp_path: Path) -> None:
    lake = str(tmp_path)
    assert read_shadow(lake, "2") is None
    add_scores(tmp_path, "en", 60, ("positive", "positive"))
    add_scores(tmp_path, "en", 40, ("positive", "negative"), milliseconds=6.0)
    add_scores(tmp_path, "de", 50, ("neutral", "neutral"), milliseconds=None)
    add_scores(tmp_path, "fr", 49, ("neutral", "negative"), milliseconds=None)
    add_scores(tmp_path, "en", 500, ("neutral", "negative"), "1")
    add_scores(tmp_path, "<b>", 1, ("neutral", "neutral"), milliseconds=None)
    figures = read_shadow(lake, "2")
    assert figures is not None
    assert (figures.total.tweets, figures.total.agreement) == (200, 0.555)
    assert figures.total.production == {"negative": 0.0, "neutral": 0.5, "positive": 0.5}
    assert figures.total.shadow == {"negative": 0.445, "neutral": 0.255, "positive": 0.3}
    # French has too few tweets, but counts in the total.
    assert [(lang, group.tweets, group.agreement) for lang, group in figures.languages.items()] == [
        ("en", 100, 0.6),
        ("de", 50, 1.0),
    ]
    assert figures.milliseconds == 3.6 and figures.since == "2026-01-01T00:00:00+00:00"
    assert read_shadow(lake, "3") is None
    gate = shadow_gate(figures, GateLimits(shadow_tweets=200))
    assert gate.passed and gate.figure == 200 and "agree with production on 55.5%" in gate.says
    assert not shadow_gate(figures, GateLimits(shadow_tweets=201)).passed
    assert not shadow_gate(None, GateLimits(shadow_tweets=1)).passed


@pytest.mark.slow
def test_the_quality_check_records_the_figures_in_the_registry(lake: Lake, registry: str) -> None:
    client = Registry(registry, 60)
    assert release(registry) == "2"  # in production: version 1 becomes the shadow version
    assert set_shadow(client, "1") == "1"
    lake.add_tweets()
    check(lake, registry)
    assert shadow_figures(client.version("1")) is None
    add_scores(lake.path, "en", 60, ("positive", "negative"), "1")
    check(lake, registry)
    figures = shadow_figures(client.version("1"))
    assert figures is not None and (figures.total.tweets, figures.total.agreement) == (60, 0.0)
    add_scores(lake.path, "en", 60, ("positive", "positive"), "1")
    newer = shadow_figures(client.version("1"), str(lake.path))
    assert newer is not None and newer.total.agreement == 0.5

    def listed(*options: str) -> str:
        words = ["model", "list", "--registry", registry, *options]
        return CliRunner().invoke(app, words, env={"COLUMNS": "200", "TWEETS_REGISTRY_TIMEOUT": "60"}).stdout

    shown = listed()
    for words in ("shadow version 1: since 2026-01-01 00:00, 2.0 ms a tweet", "100.0% → 0.0%", "en", "60"):
        assert words in shown, shown
    assert "100.0% → 50.0%" in listed("--lake", str(lake.path))
    shadow = {version["version"]: version["shadow"] for version in json.loads(listed("--json"))}
    assert shadow["2"] is None and shadow["1"]["total"]["tweets"] == 60
    clear_shadow(client, "2")
    assert "shadow" in client.version("1").aliases
    clear_shadow(client)
    assert "shadow version" not in listed()
