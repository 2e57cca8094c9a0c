"""How the labels of the shadow version differ from those of production, as HTML."""

import html

from spark_apps.dashboard.components import TEXT_COLOURS
from spark_apps.dashboard.languages import name
from spark_apps.labels import LABELS
from spark_apps.quality.shadow import LabelFigures, ShadowFigures

# Rows of the table.
_LANGUAGES = 8


def view(figures: ShadowFigures | None) -> str:
    """Return agreement, label shares and time of the shadow version; None if it has scored no tweet."""
    if figures is None:
        return "<p>No tweet is scored yet: see the log of Gold if this stays so.</p>"
    headings = "".join(f'<th style="color:{TEXT_COLOURS[label]}">{label}</th>' for label in LABELS)
    rows = _row("all", figures.total)
    for lang, group in list(figures.languages.items())[:_LANGUAGES]:
        rows += _row(name(lang), group)
    speed = "" if figures.milliseconds is None else f" · {figures.milliseconds:.1f} ms a tweet"
    return (
        f'<table class="languages"><thead><tr><th>language</th><th>tweets</th><th>agreement</th>{headings}</tr></thead>'
        f"<tbody>{rows}</tbody></table><p>share of each label by this version, and its difference from production in "
        f"points{speed}</p>"
    )


def _row(title: str, group: LabelFigures) -> str:
    shares = "".join(
        f'<td class="share">{group.shadow[label]:.0%} '
        f"<small>{(group.shadow[label] - group.production[label]) * 100:+.1f}</small></td>"
        for label in LABELS
    )
    return (
        f'<tr><th scope="row">{html.escape(title)}</th><td>{group.tweets:,}</td><td>{group.agreement:.1%}</td>'
        f"{shares}</tr>"
    )
