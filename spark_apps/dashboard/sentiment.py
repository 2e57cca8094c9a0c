"""The panels that show sentiment: totals, over time, by language, mentions and the latest tweets."""

import html
from datetime import UTC, datetime

import streamlit as st

from spark_apps.dashboard import charts, components, languages, queries, reads, selection
from spark_apps.dashboard.panel import panel
from spark_apps.dashboard.reads import REFRESH_SECONDS
from spark_apps.lake.status_view import ago
from spark_apps.settings import Settings
from spark_apps.tables import GOLD_SENTIMENT

# The dashboard shows the age of the newest label in red if it is above this limit.
_STALE_SECONDS = 120
# The table of languages has at most this number of rows.
_LANGUAGES = 12


@panel(REFRESH_SECONDS)
def headline(settings: Settings) -> None:
    """Show totals, the share of each label, the time from landing to Gold, and the age of the newest label."""
    lake = str(settings.lake)
    status, now = reads.status(lake), datetime.now(UTC)
    counts = queries.totals(lake, selection.filters())
    total = sum(counts.values())
    columns = st.columns(6)
    columns[0].html(components.kpi(f"{total:,}", f"tweets, {selection.span()}"))
    for column, label in zip(columns[1:4], ("positive", "neutral", "negative"), strict=True):
        share = f"{counts[label] / total:.0%}" if total else "–"
        column.html(components.kpi(share, f"{label}, {counts[label]:,} tweets", components.TEXT_COLOURS[label]))
    fresh = queries.freshness(lake, status)
    if fresh:
        columns[4].html(components.kpi(f"{fresh.median:.1f} s", f"landing → gold, 95 %: {fresh.p95:.1f} s"))
    newest = status.tables[GOLD_SENTIMENT.name].newest
    if newest:
        is_stale = (now - newest).total_seconds() > _STALE_SECONDS
        colour = components.TEXT_COLOURS["negative"] if is_stale else "inherit"
        columns[5].html(components.kpi(ago(newest, now), "newest label", colour))


@panel(REFRESH_SECONDS)
def over_time(settings: Settings) -> None:
    """Show the number of tweets by label over time, with its spikes."""
    counts, step = queries.sentiment_over_time(str(settings.lake), selection.filters())
    st.html(components.legend("Sentiment over time"))
    if not len(counts):
        waiting = reads.status(str(settings.lake)).lag["gold"]
        if waiting > 0:
            st.caption(f"No tweet of this time span has a label yet: {waiting:,} tweets wait for Gold.")
        else:
            st.caption("No tweets in this time span. Choose a longer one, or other languages.")
        return
    st.altair_chart(charts.sentiment_over_time(counts, queries.spikes(counts), step), key="over_time")


@panel(REFRESH_SECONDS)
def by_language(settings: Settings) -> None:
    """Show the shares of the labels by language, and the languages on which the model was not trained."""
    lake = str(settings.lake)
    counts = queries.by_language(lake, selection.filters(), _LANGUAGES + 1)
    version = reads.newest_version(lake)
    st.html("<h2>Sentiment by language</h2>")
    if not len(counts) or version is None:
        st.caption("No tweets in this time span.")
        return
    result = reads.descriptions(settings.registry, settings.registry_timeout).get(version)
    st.html(languages.table(counts[:_LANGUAGES], result.description))
    if len(counts) > _LANGUAGES:
        st.caption(f"The {_LANGUAGES} languages with the most tweets. Choose others at the top of the page.")
    if reason := languages.why_unmarked(version, result):
        st.caption(reason)


@panel(REFRESH_SECONDS)
def mentions(settings: Settings) -> None:
    """Show the accounts with the most mentions."""
    st.html("<h2>Most mentioned</h2>")
    counts = queries.top_mentions(str(settings.lake), selection.filters())
    if not len(counts):
        st.caption("No mentions in this time span.")
        return
    st.altair_chart(charts.mentions(counts), key="mentions")


@panel(REFRESH_SECONDS)
def latest(settings: Settings) -> None:
    """Show the tweets that were labelled last."""
    st.html("<h2>Latest tweets</h2>")
    lake = str(settings.lake)
    tweets = queries.latest(lake, reads.status(lake), selection.filters())
    if not len(tweets):
        st.caption("No tweets in this time span.")
        return
    # HTML with escaped values, because Markdown would format the text of a tweet.
    rows = [
        f'<div class="tweet">{components.badge(str(row.label))}<span class="dim">{row.score:.0%}</span>'
        f'<span class="text" dir="auto">{html.escape(str(row.full_text)[:500])}</span>'
        f'<span class="dim">{html.escape(str(row.lang))} · {row.timestamp:%H:%M:%S}</span></div>'
        for row in tweets.itertuples()
    ]
    st.html("".join(rows))
