"""Renders a quality report for the terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spark_apps.quality.checks import Check
from spark_apps.quality.findings import Finding
from spark_apps.quality.watch import QualityReport


def render(report: QualityReport) -> RenderableType:
    """Return the output of `quality check`: figures, data drift by language, and all findings; times are in UTC."""
    model = f"version {report.version} is in production" if report.version else "no version to compare with"
    parts: list[RenderableType] = [
        Text(f"{report.lake}, written since {report.since:%Y-%m-%d %H:%M} UTC; {model}"),
        _checks([check for check in report.checks if check.lang is None]),
    ]
    if by_language := [check for check in report.checks if check.lang is not None]:
        title = f"data drift: population stability index against the baseline; the limit is {by_language[0].limit:g}"
        parts += [Text(), Text(title), _languages(by_language)]
    if report.findings:
        parts += [Text(), _findings(report.findings)]
    return Group(*parts)


def _checks(checks: Sequence[Check]) -> Table:
    view = _table("check", "figure", "limit", "")
    for check in checks:
        view.add_row(check.name, _figure(check), f"{check.limit:.4g}", Text(check.says, overflow="fold"))
    view.columns[-1].justify = "left"
    return view


def _languages(checks: Sequence[Check]) -> Table:
    """Return one row per language and one column per figure."""
    cells = {(check.lang, check.name.removesuffix(f" in {check.lang}")): check for check in checks}
    columns = list(dict.fromkeys(column for _, column in cells))
    view = _table("language", *(column.replace("_", " ") for column in columns))
    for lang in dict.fromkeys(lang for lang, _ in cells):
        row = (cells.get((lang, column)) for column in columns)
        view.add_row(lang, *(_figure(check, ".2f") if check else "" for check in row))
    return view


def _findings(findings: Sequence[Finding]) -> Table:
    """Return the findings with their acknowledgements."""
    view = _table("finding", "since", "acknowledged", "")
    for column in view.columns:
        column.justify = "left"
    view.columns[2].no_wrap = False
    for finding in findings:
        acknowledged = Text("not yet", "bold red")
        if by := finding.acknowledged:
            acknowledged = Text(f"{_time(by.at)} by {by.by}: {by.why}")
        view.add_row(finding.name, _time(finding.since), acknowledged, Text(finding.says))
    return view


def _figure(check: Check, digits: str = ".4g") -> Text:
    return Text(format(check.figure, digits), "green" if check.passed else "bold red")


def _time(iso: str) -> str:
    return iso[:16].replace("T", " ")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=number == 0)
    return table
