"""HTML components of the page. They escape all values except constants of this program."""

import html
from datetime import datetime

from spark_apps.dashboard.charts import COLOURS

# Colours of the labels as text, and behind white text. The charts' grey is too light for both.
TEXT_COLOURS = COLOURS | {"neutral": "#6c7884"}


def badge(label: str) -> str:
    """Return a sentiment label in white on its colour."""
    colour = TEXT_COLOURS.get(label, TEXT_COLOURS["neutral"])
    return f'<span class="mood" style="background:{colour}">{html.escape(label)}</span>'


def kpi(value: str, label: str, colour: str = "inherit") -> str:
    """Return a figure with its caption below."""
    return f'<div class="kpi"><b style="color:{colour}">{html.escape(value)}</b><span>{html.escape(label)}</span></div>'


def legend(title: str) -> str:
    """Return a heading, followed by the colours of the labels."""
    labels = "".join(f'<i style="background:{colour}"></i>{label}' for label, colour in COLOURS.items())
    return f'<h2 style="display:inline-block">{title}</h2><span class="key">{labels}</span>'


def ago(time: datetime, now: datetime) -> str:
    """Return the time since `time`, such as `5 min ago`."""
    seconds = max(0, round((now - time).total_seconds()))
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= unit * 1.5:
            return f"{round(seconds / unit)} {name} ago"
    return f"{seconds} s ago"
