"""What the chart brings for Prometheus and Grafana, and the page to which its alerts lead."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendering import helm, render
from tests.monitoring.questions import alerts, dashboards, questions

pytestmark = pytest.mark.chart

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
KINDS = {"PodMonitor", "PrometheusRule"}


def kinds(*settings: str, monitoring: bool = True) -> set[str]:
    return {document["kind"] for document in render(*settings, monitoring=monitoring)} & KINDS


def test_kinds_of_prometheus_only_where_the_cluster_knows_them() -> None:
    assert kinds() == KINDS
    assert kinds(monitoring=False) == set()
    assert kinds("monitoring.enabled=false") == set()
    assert kinds("monitoring.alerts.enabled=false") == {"PodMonitor"}


def test_prometheus_selects_both_by_labels_of_ones_own() -> None:
    found = [d for d in render("monitoring.labels.release=prometheus", monitoring=True) if d["kind"] in KINDS]
    assert [d["metadata"]["labels"]["release"] for d in found] == ["prometheus"] * 2


def test_dashboards_can_be_left_out() -> None:
    def names(*settings: str) -> list[str]:
        return [d["metadata"]["name"] for d in render(*settings) if "grafana_dashboard" in d["metadata"]["labels"]]

    assert names() == ["tweet-sentiment-dashboards"]
    assert names("monitoring.dashboards=false") == []


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("standstillSeconds=77", "> 77"),
        ("lagSeconds=77", "> 77"),
        ("quarantineShare=1", "> 1"),
        ("restartsPerHour=77", "> 77"),
        ("waitMinutes=77", "> 4620"),
        ("downMinutes=77", "for: 77m"),
        ("runbook=https://example.com/run", "runbook_url: https://example.com/run#tweetslate"),
    ],
)
def test_limits_are_those_of_the_values(setting: str, text: str) -> None:
    found = helm(f"monitoring.alerts.{setting}", monitoring=True, only=["templates/alerts.yaml"])
    assert text in found.stdout, found.stderr


@pytest.mark.parametrize("setting", ["quarantineShare=2", "lagSeconds=0", "downMinutes=soon", "runbook=here"])
def test_limits_that_cannot_be_are_refused(setting: str) -> None:
    done = helm(f"monitoring.alerts.{setting}")
    assert done.returncode != 0 and f"/monitoring/alerts/{setting.partition('=')[0]}" in done.stderr


def test_all_questions_are_promql_about_the_streams_of_this_release() -> None:
    for question in questions():
        asked = question.asks()
        assert asked and all(name.startswith(("tweet_sentiment_", "metrics_executor_")) for name in asked), question
        assert all("namespace" in labels for labels in asked.values()), question


def _sections() -> dict[str, str]:
    parts = re.split(r"^#+ (.*)\n", OPERATIONS.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_each_alert_leads_to_what_it_means_how_to_check_and_what_to_do() -> None:
    sections = _sections()
    rules: list[dict[str, Any]] = alerts()
    for rule in rules:
        name = rule["alert"]
        assert rule["annotations"]["runbook_url"].endswith(f"docs/operations.md#{name.lower()}")
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        for word in ("Meaning", "Check", "Remedy"):
            assert f"**{word}.**" in sections[name], f"{name} has no {word}"
    assert {name for name in sections if name.startswith("Tweets")} == {rule["alert"] for rule in rules}


def test_each_metric_is_explained() -> None:
    page = OPERATIONS.read_text()
    for question in questions():
        for name in question.asks():
            assert re.sub("_(bucket|sum|count)$", "", name) in page, f"docs/operations.md does not know {name}"


def test_the_panels_of_a_dashboard_have_ids_and_places_of_their_own() -> None:
    for dashboard in dashboards().values():
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
            taken |= cells
