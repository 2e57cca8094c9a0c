"""PodMonitor, alerts and Grafana dashboards of the chart, and the documentation that the alerts link to."""

import re
from typing import Any

import pytest

from tests.chart.rendering import LAYERS, ROOT, helm, objects, render
from tests.monitoring.promql_queries import alerts, dashboards, queries
from tweet_dags.reconcile.spec_drift import FIELD_MANAGER

pytestmark = pytest.mark.chart

OPERATIONS = ROOT / "docs" / "operations.md"
KINDS = {"PodMonitor", "PrometheusRule"}


def kinds(*settings: str, monitoring: bool = True) -> set[str]:
    return {document["kind"] for document in render(*settings, monitoring=monitoring)} & KINDS


def test_prometheus_objects_exist_only_with_the_prometheus_operator() -> None:
    assert kinds() == KINDS
    assert kinds(monitoring=False) == set()
    assert kinds("monitoring.enabled=false") == set()
    assert kinds("monitoring.alerts.enabled=false") == {"PodMonitor"}


def test_prometheus_objects_get_the_labels_of_the_values() -> None:
    documents = render("monitoring.labels.release=prometheus", monitoring=True)
    labels = [document["metadata"]["labels"] for document in documents if document["kind"] in KINDS]
    assert [label["release"] for label in labels] == ["prometheus"] * 2


def test_dashboards_can_be_disabled() -> None:
    def names(*settings: str) -> list[str]:
        config_maps = objects(render(*settings), "ConfigMap").values()
        return [d["metadata"]["name"] for d in config_maps if "grafana_dashboard" in d["metadata"]["labels"]]

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
        ("heldMinutes=77", "> 4620"),
        ("downMinutes=77", "for: 77m"),
        ("downMinutes=77", "> 4620"),
        ("runbook=https://example.com/run", "runbook_url: https://example.com/run#tweetslate"),
    ],
)
def test_alerts_use_the_limits_of_the_values(setting: str, text: str) -> None:
    process = helm(f"monitoring.alerts.{setting}", monitoring=True, only=["templates/alerts.yaml"])
    assert text in process.stdout, process.stderr


@pytest.mark.parametrize("setting", ["quarantineShare=2", "lagSeconds=0", "downMinutes=soon", "runbook=here"])
def test_invalid_limits_are_refused(setting: str) -> None:
    process = helm(f"monitoring.alerts.{setting}")
    assert process.returncode != 0 and f"/monitoring/alerts/{setting.partition('=')[0]}" in process.stderr


def test_queries_are_valid_promql_and_select_the_streams_namespace() -> None:
    for query in queries():
        metrics = query.selectors()
        prefixes = (
            "tweet_sentiment_",
            "metrics_executor_",
            "kubelet_volume_stats_",
            "kube_statefulset_",
            "kube_cronjob_",
        )
        assert metrics and all(name.startswith(prefixes) for name in metrics), query
        assert all("namespace" in labels for labels in metrics.values()), query


def test_a_held_layer_alerts_unless_it_is_acknowledged_and_is_not_also_called_down() -> None:
    rules = {rule["alert"]: rule["expr"] for rule in alerts() if rule["alert"] != "TweetsDriverDown"}
    for alert, operator in (("TweetsStreamGivenUp", "="), ("TweetsStreamHeld", "!=")):
        assert 'acknowledged="false"' in rules[alert] and f'owner{operator}"{FIELD_MANAGER}"' in rules[alert]
    down = [rule["expr"] for rule in alerts() if rule["alert"] == "TweetsDriverDown"]
    for layer, expr in zip(LAYERS, down, strict=True):
        absent, _, held = expr.partition(" unless on () ")
        assert absent.startswith("absent(tweet_sentiment_started") and f'layer="{layer}"' in absent
        assert "tweet_sentiment_held_seconds" in held and f'layer="{layer}"' in held and "acknowledged" not in held


def test_without_the_airflow_of_the_chart_only_its_watch_has_an_alert() -> None:
    text = helm("airflow.enabled=false", monitoring=True, only=["templates/alerts.yaml"]).stdout
    assert "TweetsUnwatched" in text and "TweetsAirflowDown" not in text


def test_an_old_backup_has_an_alert_if_the_chart_makes_backups() -> None:
    def rendered(*settings: str) -> str:
        return helm(*settings, monitoring=True, only=["templates/alerts.yaml"]).stdout

    assert "TweetsBackupOld" not in rendered()
    expression = rendered("backup.enabled=true", "monitoring.alerts.backupHours=2")
    assert 'namespace=~"tweets|tweets-streams", cronjob="backup"' in expression and "> 7200" in expression


def _sections() -> dict[str, str]:
    parts = re.split(r"^#+ (.*)\n", OPERATIONS.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_each_alert_links_to_meaning_check_and_remedy() -> None:
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
    for query in queries():
        for name in query.selectors():
            assert re.sub("_(bucket|sum|count)$", "", name) in page, f"docs/operations.md does not explain {name}"


def test_panels_have_unique_ids_and_do_not_overlap() -> None:
    for dashboard in dashboards().values():
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
            taken |= cells


def test_each_panel_has_a_description() -> None:
    for dashboard in dashboards().values():
        for panel in dashboard["panels"]:
            assert panel["description"].endswith("."), panel["title"]
