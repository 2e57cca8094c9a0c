"""The charts of the dashboard, as Altair specifications."""

from typing import Any

import altair as alt
import pandas as pd

from spark_apps.labels import LABELS

COLOURS = {"negative": "#c8553d", "neutral": "#b3bcc6", "positive": "#2a9d8f"}
_SCALE = alt.Scale(domain=list(LABELS), range=[COLOURS[label] for label in LABELS])
_TEXT = "#5b6773"
_GRID = "#e8ecf0"


def _styled(chart: Any, height: int) -> Any:
    """Return the chart with `height` in pixels and the style of the page."""
    return (
        chart.properties(height=height)
        .configure_view(strokeWidth=0)
        .configure_axisY(labelOverlap=False)
        .configure_axis(
            labelColor=_TEXT, titleColor=_TEXT, gridColor=_GRID, domainColor=_GRID, tickColor=_GRID, labelFontSize=12
        )
    )


def sentiment_over_time(counts: pd.DataFrame, spikes: pd.DataFrame, step: int) -> Any:
    """Return an area chart of the tweets by label, with a triangle at each spike.

    Args:
        counts: tweets (`time`, `label`, `tweets`).
        spikes: result of `queries.spikes` for the same counts.
        step: length of a time step in seconds.
    """
    # `rank` is the order of the stacked areas.
    data = counts.assign(rank=counts["label"].map({"neutral": 0, "positive": 1, "negative": 2}))
    title = f"tweets in {_duration(step)}"
    area = (
        alt.Chart(data)
        .mark_area(interpolate="monotone", opacity=0.9)
        .encode(
            x=alt.X("time:T", title=None, axis=alt.Axis(grid=False, labelOverlap=True, format=_time_format(step))),
            y=alt.Y("tweets:Q", title=title, stack="zero", axis=alt.Axis(tickMinStep=1, tickCount=5)),
            color=alt.Color("label:N", scale=_SCALE, sort=list(LABELS), legend=None),
            order=alt.Order("rank:Q"),
            tooltip=[alt.Tooltip("time:T", format="%d %b %H:%M:%S"), "label:N", "tweets:Q"],
        )
    )
    heights = counts.groupby("time")["tweets"].sum()
    marked = spikes.assign(height=spikes["time"].map(heights) if len(spikes) else [])
    marked["caption"] = [f"{row.label} ×{row.times:.1f}" for row in marked.itertuples()]
    marks = alt.Chart(marked).encode(
        x="time:T",
        y="height:Q",
        color=alt.Color("label:N", scale=_SCALE, legend=None),
        tooltip=[alt.Tooltip("caption:N", title="spike"), alt.Tooltip("time:T", format="%d %b %H:%M:%S")],
    )
    shape = marks.mark_point(shape="triangle-down", filled=True, size=130, opacity=1, yOffset=-12)
    captions = marks.encode(text="caption:N")
    style: dict[str, Any] = {"dy": -26, "fontSize": 12, "fontWeight": "bold"}
    # The halo keeps a caption legible in front of a higher neighbouring area.
    halo = captions.mark_text(**style, stroke="white", strokeWidth=4)
    return _styled(area + shape + halo + captions.mark_text(**style), 290)


def mentions(counts: pd.DataFrame) -> Any:
    """Return a bar chart of the tweets that mention each account, by label, in descending order."""
    data = counts.assign(
        account="@" + counts["mention"].astype(str),
        rank=counts["label"].map({"negative": 0, "neutral": 1, "positive": 2}),
    )
    return _styled(
        alt.Chart(data)
        .mark_bar(height={"band": 0.72})
        .encode(
            y=alt.Y("account:N", sort=alt.SortField("total", "descending"), title=None, axis=alt.Axis(labelLimit=150)),
            x=alt.X("tweets:Q", title=None, axis=alt.Axis(tickCount=4, tickMinStep=1)),
            color=alt.Color("label:N", scale=_SCALE, legend=None),
            order=alt.Order("rank:Q"),
            tooltip=["account:N", "label:N", alt.Tooltip("tweets:Q", format=","), alt.Tooltip("total:Q", format=",")],
        ),
        max(60, 27 * counts["mention"].nunique()),
    )


def quarantine(counts: dict[str, int]) -> Any:
    """Return a bar chart of the rejected records by reason, in descending order."""
    data = pd.DataFrame({"reason": list(counts), "records": list(counts.values())})
    bars = alt.Chart(data).encode(
        y=alt.Y("reason:N", sort="-x", title=None, axis=alt.Axis(labelLimit=130)),
        x=alt.X("records:Q", title=None, axis=None),
        tooltip=["reason:N", alt.Tooltip("records:Q", format=",")],
    )
    labels = bars.mark_text(align="left", dx=4, color=_TEXT).encode(text=alt.Text("records:Q", format=","))
    return _styled(bars.mark_bar(color="#7a8794", height={"band": 0.62}) + labels, max(60, 21 * len(counts)))


def _duration(step: int) -> str:
    """Return `step`, in seconds, as text, such as "a minute" or "15 minutes"."""
    for seconds, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if step >= seconds:
            return f"{'an' if name == 'hour' else 'a'} {name}" if step == seconds else f"{step // seconds} {name}s"
    return f"{step} seconds"


def _time_format(step: int) -> str:
    """Return the d3 format of the labels of the time axis; `step` is in seconds."""
    for least, format_ in ((21600, "%d %b"), (1800, "%d %b %H:%M"), (30, "%H:%M")):
        if step >= least:
            return format_
    return "%H:%M:%S"
