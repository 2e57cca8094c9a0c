"""What was measured, as a person reads it."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spark_apps.quality.check import Check
from spark_apps.quality.findings import Finding
from spark_apps.quality.watch import Watched


def render(found: Watched) -> RenderableType:
    """Return the figures beside their limits, and below them the findings that stand; times are in UTC."""
    of = f"version {found.version} is in production" if found.version else "no model to drift from"
    title = Text(f"{found.lake}, written since {found.since:%Y-%m-%d %H:%M} UTC; {of}")
    parts: list[RenderableType] = [title, _checks(found.checks)]
    if found.findings:
        parts += [Text(), render_findings(found.findings)]
    return Group(*parts)


def _checks(checks: Sequence[Check]) -> Table:
    view = _table("measured", "", "figure", "limit", "")
    for column in view.columns[2:4]:
        column.justify = "right"
    for check in checks:
        passed = Text("in order", "green") if check.passed else Text("over", "bold red")
        if not check.passed and check.figure < check.limit:
            passed = Text("under", "bold red")
        view.add_row(check.name, passed, f"{check.figure:.4g}", f"{check.limit:.4g}", Text(check.says))
    return view


def render_findings(findings: Sequence[Finding]) -> Table:
    """Return the findings, and who has acknowledged them."""
    view = _table("finding", "since", "acknowledged")
    for finding in findings:
        note = finding.acknowledged
        by = Text(f"{_time(note.at)} by {note.by}: {note.why}") if note else Text("not yet", "bold red")
        view.add_row(finding.name, _time(finding.since), by)
    return view


def _time(iso: str) -> str:
    return iso[:16].replace("T", " ")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns[:-1]:
        table.add_column(name, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    return table
