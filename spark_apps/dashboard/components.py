"""HTML components of the page. They escape the values that come from outside."""

import html
from datetime import datetime

from spark_apps.dashboard.charts import COLOURS

# The grey of the charts is too light for text, and as a background of white text.
INK = COLOURS | {"neutral": "#6c7884"}


def badge(label: str) -> str:
    """Return a label in white on its colour."""
    colour = INK.get(label, INK["neutral"])
    return f'<span class="mood" style="background:{colour}">{html.escape(label)}</span>'


def kpi(value: str, label: str, colour: str = "inherit") -> str:
    """Return a figure with its caption below."""
    return f'<div class="kpi"><b style="color:{colour}">{html.escape(value)}</b><span>{html.escape(label)}</span></div>'


def legend(title: str) -> str:
    """Return a title and the colours of the labels."""
    labels = "".join(f'<i style="background:{colour}"></i>{label}' for label, colour in COLOURS.items())
    return f'<h2 style="display:inline-block">{title}</h2><span class="key">{labels}</span>'


def ago(time: datetime, now: datetime) -> str:
    """Return the time since `time`, such as `5 min ago`."""
    seconds = max(0, round((now - time).total_seconds()))
    if seconds < 90:
        return f"{seconds} s ago"
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= unit * 1.5:
            return f"{round(seconds / unit)} {name} ago"
    return f"{seconds} s ago"
