"""What was measured, as a person reads it."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spark_apps.quality.checks import Check
from spark_apps.quality.findings import Finding
from spark_apps.quality.watch import Watched


def render(found: Watched) -> RenderableType:
    """Return the figures beside their limits, drift by language, and the findings that stand; times are in UTC."""
    of = f"version {found.version} is in production" if found.version else "no model to drift from"
    parts: list[RenderableType] = [
        Text(f"{found.lake}, written since {found.since:%Y-%m-%d %H:%M} UTC; {of}"),
        _checks([check for check in found.checks if check.lang is None]),
    ]
    if by_language := [check for check in found.checks if check.lang is not None]:
        title = f"population stability index against the baseline; the limit is {by_language[0].limit:g}"
        parts += [Text(), Text(title), _languages(by_language)]
    if found.findings:
        parts += [Text(), _findings(found.findings)]
    return Group(*parts)


def _checks(checks: Sequence[Check]) -> Table:
    view = _table("measured", "figure", "limit", "")
    for check in checks:
        view.add_row(check.name, _figure(check), f"{check.limit:.4g}", Text(check.says, overflow="fold"))
    view.columns[-1].justify = "left"
    return view


def _languages(checks: Sequence[Check]) -> Table:
    """Return one row a language, one column a figure."""
    found = {(check.lang, check.name.removesuffix(f" in {check.lang}")): check for check in checks}
    columns = list(dict.fromkeys(column for _, column in found))
    view = _table("language", *(column.replace("_", " ") for column in columns))
    for lang in dict.fromkeys(lang for lang, _ in found):
        cells = (found.get((lang, column)) for column in columns)
        view.add_row(lang, *(_figure(check, ".2f") if check else "" for check in cells))
    return view


def _findings(findings: Sequence[Finding]) -> Table:
    """Return the findings, and who has acknowledged them."""
    view = _table("finding", "since", "acknowledged", "")
    for column in view.columns:
        column.justify = "left"
    view.columns[2].no_wrap = False
    for finding in findings:
        note = finding.acknowledged
        by = Text(f"{_time(note.at)} by {note.by}: {note.why}") if note else Text("not yet", "bold red")
        view.add_row(finding.name, _time(finding.since), by, Text(finding.says))
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
