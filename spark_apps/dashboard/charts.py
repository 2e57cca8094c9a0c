"""The charts, as altair describes them."""

from typing import Any

import altair as alt
import pandas as pd

from spark_apps.labels import LABELS

COLOURS = {"negative": "#c8553d", "neutral": "#b3bcc6", "positive": "#2a9d8f"}
_SCALE = alt.Scale(domain=list(LABELS), range=[COLOURS[label] for label in LABELS])
_INK = "#5b6773"
_GRID = "#e8ecf0"


def _styled(chart: Any, height: int) -> Any:
    return (
        chart.properties(height=height)
        .configure_view(strokeWidth=0)
        .configure_axisY(labelOverlap=False)
        .configure_axis(
            labelColor=_INK, titleColor=_INK, gridColor=_GRID, domainColor=_GRID, tickColor=_GRID, labelFontSize=12
        )
    )


def sentiment_over_time(found: pd.DataFrame, spikes: pd.DataFrame, step: int) -> Any:
    """Stack the tweets of each step by label; a triangle marks a spike of one mood."""
    order = alt.Order("rank:Q")
    data = found.assign(rank=found["label"].map({"neutral": 0, "positive": 1, "negative": 2}))
    title = f"tweets in {_span(step)}"
    area = (
        alt.Chart(data)
        .mark_area(interpolate="monotone", opacity=0.9)
        .encode(
            x=alt.X("time:T", title=None, axis=alt.Axis(grid=False, labelOverlap=True, format=_format(step))),
            y=alt.Y("tweets:Q", title=title, stack="zero", axis=alt.Axis(tickMinStep=1, tickCount=5)),
            color=alt.Color("label:N", scale=_SCALE, sort=list(LABELS), legend=None),
            order=order,
            tooltip=[alt.Tooltip("time:T", format="%d %b %H:%M:%S"), "label:N", "tweets:Q"],
        )
    )
    heights = found.groupby("time")["tweets"].sum()
    at = spikes.assign(height=spikes["time"].map(heights) if len(spikes) else [])
    at["says"] = [f"{row.label} ×{row.times:.1f}" for row in at.itertuples()]
    marks = alt.Chart(at).encode(
        x="time:T",
        y="height:Q",
        color=alt.Color("label:N", scale=_SCALE, legend=None),
        tooltip=[alt.Tooltip("says:N", title="spike"), alt.Tooltip("time:T", format="%d %b %H:%M:%S")],
    )
    shape = marks.mark_point(shape="triangle-down", filled=True, size=130, opacity=1, yOffset=-12)
    says = marks.encode(text="says:N")
    style: dict[str, Any] = {"dy": -26, "fontSize": 12, "fontWeight": "bold"}
    # A spike stands beside a higher one at times: its words are read on that one's area too.
    halo = says.mark_text(**style, stroke="white", strokeWidth=4)
    return _styled(area + shape + halo + says.mark_text(**style), 290)


def mentions(found: pd.DataFrame) -> Any:
    """Stack the tweets that mention each account by label, the most mentioned first."""
    data = found.assign(
        account="@" + found["mention"].astype(str),
        rank=found["label"].map({"negative": 0, "neutral": 1, "positive": 2}),
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
        max(60, 27 * found["mention"].nunique()),
    )


def quarantine(found: dict[str, int]) -> Any:
    """A bar a reason, the most frequent first."""
    data = pd.DataFrame({"reason": list(found), "records": list(found.values())})
    bars = alt.Chart(data).encode(
        y=alt.Y("reason:N", sort="-x", title=None, axis=alt.Axis(labelLimit=130)),
        x=alt.X("records:Q", title=None, axis=None),
        tooltip=["reason:N", alt.Tooltip("records:Q", format=",")],
    )
    words = bars.mark_text(align="left", dx=4, color=_INK).encode(text=alt.Text("records:Q", format=","))
    return _styled(bars.mark_bar(color="#7a8794", height={"band": 0.62}) + words, max(60, 21 * len(found)))


def _span(step: int) -> str:
    for seconds, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if step >= seconds:
            return f"a {name}" if step == seconds else f"{step // seconds} {name}s"
    return f"{step} seconds"


def _format(step: int) -> str:
    for least, format_ in ((21600, "%d %b"), (1800, "%d %b %H:%M"), (30, "%H:%M")):
        if step >= least:
            return format_
    return "%H:%M:%S"
