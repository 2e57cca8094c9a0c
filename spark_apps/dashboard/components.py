"""Small pieces of the page, as HTML or as words. What comes from outside is escaped here."""

import html
from datetime import datetime

from spark_apps.dashboard.charts import COLOURS

# Under white words, and as words, the grey of the charts would be too light.
INK = COLOURS | {"neutral": "#6c7884"}


def badge(label: str) -> str:
    """Return a label on its colour."""
    colour = INK.get(label, INK["neutral"])
    return f'<span class="mood" style="background:{colour}">{html.escape(label)}</span>'


def kpi(value: str, label: str, colour: str = "inherit") -> str:
    """Return a figure over what it counts."""
    return f'<div class="kpi"><b style="color:{colour}">{html.escape(value)}</b><span>{html.escape(label)}</span></div>'


def key(title: str) -> str:
    """Return a title beside the colours of the labels."""
    labels = "".join(f'<i style="background:{colour}"></i>{label}' for label, colour in COLOURS.items())
    return f'<h2 style="display:inline-block">{title}</h2><span class="key">{labels}</span>'


def ago(time: datetime, now: datetime) -> str:
    """Return how long ago `time` was, in words."""
    seconds = max(0, round((now - time).total_seconds()))
    if seconds < 90:
        return f"{seconds} s ago"
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= unit * 1.5:
            return f"{round(seconds / unit)} {name} ago"
    return f"{seconds} s ago"
