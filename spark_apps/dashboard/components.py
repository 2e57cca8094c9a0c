"""HTML components of the page. They escape all values except constants of this program."""

import html
from collections.abc import Mapping

from spark_apps.dashboard.charts import COLOURS

# Colours of the labels as text, and behind white text. The charts' grey is too light for both.
TEXT_COLOURS = COLOURS | {"neutral": "#6c7884"}
# Background of the state of a stream. A hold is somebody's decision; any other state that is not well is a fault.
_WELL_COLOUR, _HELD_COLOUR, _FAULT_COLOUR = "#21867a", "#9a5b00", "#b3261e"


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


def stream(name: str, state: str, is_well: bool, progress: str) -> str:
    """Return the name of a stream and its state, with its progress below."""
    colour = _WELL_COLOUR if is_well else _HELD_COLOUR if state == "held" else _FAULT_COLOUR
    badge = f'<span class="mood" style="background:{colour}">{html.escape(state)}</span>'
    return f'<div class="stream"><b>{html.escape(name)}</b>{badge}<span>{html.escape(progress)}</span></div>'


def problem(title: str, state: str, is_well: bool, details: Mapping[str, str], link: str) -> str:
    """Return what a person needs to know about a stream, as a box with a link to the runbook if that is a URL."""
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in details.items())
    if link.startswith(("https://", "http://")):
        rows += f'<dt></dt><dd><a href="{html.escape(link)}" target="_blank" rel="noopener">Open the runbook</a></dd>'
    elif link:
        rows += f"<dt></dt><dd>See {html.escape(link)}</dd>"
    kind = "note" if is_well else "problem held" if state == "held" else "problem"
    heading = title if is_well else f"{title}: {state}"
    return f'<div class="{kind}"><b>{html.escape(heading)}</b><dl>{rows}</dl></div>'
