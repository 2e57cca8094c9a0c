"""The PromQL queries of the chart's alerts and dashboards, from the golden rendering, so that helm is not needed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

RENDERED = Path(__file__).parents[1] / "chart" / "golden" / "monitoring.yaml"


@dataclass(frozen=True)
class Query:
    """One PromQL expression, and the alert or panel that uses the expression."""

    source: str
    expr: str

    def __str__(self) -> str:
        return self.source

    def selectors(self) -> dict[str, set[str]]:
        """Return the labels in the selectors of each metric; raise `ValueError` for an invalid expression."""
        labels: dict[str, set[str]] = {}
        for part in self._parts():
            if isinstance(part, promql.MatrixSelector):
                part = part.vector_selector
            if isinstance(part, promql.VectorSelector):
                labels.setdefault(str(part.name), set()).update(matcher.name for matcher in part.matchers.matchers)
        return labels

    def groups(self) -> set[str]:
        """Return the labels by which the expression aggregates."""
        return {
            label
            for part in self._parts()
            if isinstance(part, promql.AggregateExpr) and part.modifier
            for label in part.modifier.labels
        }

    def _parts(self) -> list[promql.Expr]:
        parts: list[promql.Expr] = []

        def visit(part: promql.Expr) -> bool:
            parts.append(part)
            return True

        promql.walk(promql.parse(self.expr), visit)
        return parts


def _documents(kind: str) -> Iterator[dict[str, Any]]:
    for document in yaml.safe_load_all(RENDERED.read_text()):
        if document and document["kind"] == kind:
            yield document


def alerts() -> list[dict[str, Any]]:
    """Return the rules of all alerts."""
    return [
        rule
        for document in _documents("PrometheusRule")
        for group in document["spec"]["groups"]
        for rule in group["rules"]
    ]


def dashboards() -> dict[str, dict[str, Any]]:
    """Return each dashboard by the name of its file."""
    return {
        name: json.loads(text)
        for document in _documents("ConfigMap")
        if document["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in document["data"].items()
    }


def queries() -> list[Query]:
    """Return the queries of all alerts and dashboards."""
    collected = [Query(rule["alert"], rule["expr"]) for rule in alerts()]
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            collected += [Query(f"{name}: {panel['title']}", target["expr"]) for target in panel["targets"]]
    return collected
