"""The page of the dashboard, a Streamlit script. Each panel is a fragment: Streamlit reruns it on its own."""

import html
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import streamlit as st

from spark_apps.dashboard import charts, components, languages, queries, shadow
from spark_apps.dashboard.descriptions import ModelDescriptions
from spark_apps.dashboard.labelling import labelling
from spark_apps.dashboard.login import log_in
from spark_apps.dashboard.panel import panel
from spark_apps.dashboard.production import ProductionVersion
from spark_apps.dashboard.queries import Filters
from spark_apps.dashboard.startup import MODEL, STEPS, Startup
from spark_apps.dashboard.tweet_form import tweet_form
from spark_apps.lake.commits import LakeError
from spark_apps.lake.status import LakeStatus, read_status
from spark_apps.lake.status_view import ago
from spark_apps.monitoring.stream_reports import read_reports
from spark_apps.monitoring.stream_states import StreamState, explained, stream_states
from spark_apps.quality.shadow import ShadowFigures
from spark_apps.quality.shadow_scores import read_shadow
from spark_apps.settings import MODEL_NAME, PRODUCTION, Settings, load
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, REASONS

_REFRESH_SECONDS = 3.0
_SHADOW_SECONDS = 15.0
_DEFAULT_SPAN = "15 minutes"
_SPANS: dict[str, timedelta | None] = {
    _DEFAULT_SPAN: timedelta(minutes=15),
    "1 hour": timedelta(hours=1),
    "24 hours": timedelta(days=1),
    "7 days": timedelta(days=7),
    "all": None,
}
# The dashboard shows the age of the newest label in red if it is above this limit.
_STALE_SECONDS = 120
# The table of languages has at most this number of rows.
_LANGUAGES = 12
_STYLE = Path(__file__).with_name("style.css")


def _settings() -> Settings:
    settings = load()
    settings.require("lake")
    return settings


@st.cache_data(ttl=1.0, show_spinner=False, max_entries=4)
def _status(lake: str) -> LakeStatus:
    """Read the status of the lake at most once a second, for all panels and browsers."""
    return read_status(lake, missing_ok=True)


@st.cache_resource(show_spinner=False)
def _production(registry: str, timeout: float) -> ProductionVersion:
    """Return one `ProductionVersion` for all browsers."""
    return ProductionVersion(registry, timeout)


@st.cache_resource(show_spinner=False)
def _descriptions(registry: str | None, timeout: float) -> ModelDescriptions:
    """Return one `ModelDescriptions` for all browsers."""
    return ModelDescriptions(registry, timeout)


@st.cache_data(ttl=_REFRESH_SECONDS, show_spinner=False, max_entries=1)
def _newest_version(lake: str) -> str | None:
    """Return the version that scored the newest tweet, for all panels and browsers; None if no tweet is scored."""
    return queries.newest_model_version(lake, _status(lake))


@st.cache_data(ttl=_SHADOW_SECONDS, show_spinner=False, max_entries=2)
def _shadow(lake: str, version: str) -> ShadowFigures | None:
    """Read the figures of the shadow version, for all panels and browsers: this reads all of its tweets."""
    return read_shadow(lake, version)


def _filters() -> Filters:
    """Return the time span and the languages that the visitor has chosen."""
    span = _SPANS[st.session_state["span"]]
    langs = tuple(st.session_state.get("langs", ()))
    return Filters(datetime.now(UTC) - span if span else None, langs)


@panel(_REFRESH_SECONDS)
def headline(settings: Settings) -> None:
    """Show totals, the share of each label, the time from landing to Gold, and the age of the newest label."""
    lake = str(settings.lake)
    status, now = _status(lake), datetime.now(UTC)
    counts = queries.totals(lake, _filters())
    total = sum(counts.values())
    columns = st.columns(6)
    columns[0].html(components.kpi(f"{total:,}", f"tweets, {st.session_state['span']}"))
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


@st.cache_data(ttl=_REFRESH_SECONDS, show_spinner=False, max_entries=1)
def _read_states(lake: str, folder: Path | None, runbook: str) -> list[StreamState]:
    """Read the state of all streams once, for all panels and browsers."""
    return stream_states(_status(lake), read_reports(folder), runbook, datetime.now(UTC))


def _states(settings: Settings) -> list[StreamState]:
    return _read_states(str(settings.lake), settings.stream_status, settings.runbook)


@panel(_REFRESH_SECONDS)
def problems(settings: Settings) -> None:
    """Show the streams that somebody has to look at: state, hold, last error, what Airflow did, and what to do."""
    for names, state in explained(_states(settings)).items():
        if not state.is_well:
            st.html(components.problem(names, state.state, False, state.details(), state.link))


@panel(1.0)
def waiting_for_labels(settings: Settings) -> None:
    """Show the progress until the first tweet is labelled, then rerun the page, which shows all panels."""
    status = _status(str(settings.lake))
    if status.tables[GOLD_SENTIMENT.name].rows:
        st.rerun()
    startup = Startup.from_environment()
    if startup is not None and not startup.is_complete:
        st.info(f"Starting: first tweets in about {startup.remaining(time.time())} s")
        st.html("".join(_step(startup, step.key, step.title) for step in (*STEPS, MODEL)))
    else:
        st.info(_progress(status))


def _step(startup: Startup, key: str, title: str) -> str:
    is_done = key in startup.done
    is_current = key in (startup.current.key, MODEL.key)
    mark = "✅" if is_done else "⏳" if is_current else "▫️"
    return f'<div class="start">{mark} {html.escape(title[0].upper() + title[1:])}</div>'


def _progress(status: LakeStatus) -> str:
    """Return how far the first tweets have come in a lake without labels."""
    if not any(table.exists for table in status.tables.values()):
        return f"There are no tables in {status.lake}. Check the path, or start the streams with `tweet-sentiment run`."
    if waiting := status.lag["gold"]:
        return f"Gold is labelling the first {waiting:,} tweets."
    if documents := status.tables[BRONZE_TWEETS.name].rows:
        return f"Silver is parsing the first {documents:,} documents."
    return "The streams are running. No file has landed yet."


@panel(_REFRESH_SECONDS)
def over_time(settings: Settings) -> None:
    """Show the number of tweets by label over time, with its spikes."""
    counts, step = queries.sentiment_over_time(str(settings.lake), _filters())
    st.html(components.legend("Sentiment over time"))
    if not len(counts):
        waiting = _status(str(settings.lake)).lag["gold"]
        if waiting > 0:
            st.caption(f"No tweet of this time span has a label yet: {waiting:,} tweets wait for Gold.")
        else:
            st.caption("No tweets in this time span. Choose a longer one, or other languages.")
        return
    st.altair_chart(charts.sentiment_over_time(counts, queries.spikes(counts), step), key="over_time")


@panel(_REFRESH_SECONDS)
def by_language(settings: Settings) -> None:
    """Show the shares of the labels by language, and the languages on which the model was not trained."""
    lake = str(settings.lake)
    counts = queries.by_language(lake, _filters(), _LANGUAGES + 1)
    version = _newest_version(lake)
    st.html("<h2>Sentiment by language</h2>")
    if not len(counts) or version is None:
        st.caption("No tweets in this time span.")
        return
    result = _descriptions(settings.registry, settings.registry_timeout).get(version)
    st.html(languages.table(counts[:_LANGUAGES], result.description))
    if len(counts) > _LANGUAGES:
        st.caption(f"The {_LANGUAGES} languages with the most tweets. Choose others at the top of the page.")
    if reason := languages.why_unmarked(version, result):
        st.caption(reason)


@panel(_REFRESH_SECONDS)
def mentions(settings: Settings) -> None:
    """Show the accounts with the most mentions."""
    st.html("<h2>Most mentioned</h2>")
    counts = queries.top_mentions(str(settings.lake), _filters())
    if not len(counts):
        st.caption("No mentions in this time span.")
        return
    st.altair_chart(charts.mentions(counts), key="mentions")


@panel(_REFRESH_SECONDS)
def latest(settings: Settings) -> None:
    """Show the tweets that were labelled last."""
    st.html("<h2>Latest tweets</h2>")
    lake = str(settings.lake)
    tweets = queries.latest(lake, _status(lake), _filters())
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


@panel(None)
def labels(settings: Settings) -> None:
    """Show a switch, and while it is on, the panel to label tweets."""
    if st.toggle("Label tweets to improve the model", key="labelling"):
        lake = str(settings.lake)
        labelling(lake, _status(lake), _filters())


@panel(_REFRESH_SECONDS)
def operations(settings: Settings) -> None:
    """Show the model in production, the shadow version, the state and progress of each stream, and the quarantine."""
    lake = str(settings.lake)
    status, now = _status(lake), datetime.now(UTC)
    # Before the heading, which would otherwise be above nothing for the time of the query.
    model = _model(_newest_version(lake), settings)
    st.html("<h2>Model in production</h2>")
    st.markdown(model)
    if settings.registry and (version := _production(settings.registry, settings.registry_timeout).shadow):
        st.html(f"<h2>Shadow version {html.escape(version)}</h2>")
        st.html(shadow.view(_shadow(lake, version)))
    st.html("<h2>Streams</h2>")
    states = _states(settings)
    for state in states:
        progress = f"{state.waiting} waiting · {state.progress(now)}" if state.waiting else state.progress(now)
        st.html(components.stream(state.stream, state.state, state.is_well, progress))
    for names, state in explained(states).items():
        # A stream that needs a person is at the top of the page.
        if state.is_well:
            st.html(components.problem(names, state.state, True, state.details(), state.link))
    st.html("<h2>Quarantine by reason</h2>")
    if status.quarantine:
        st.altair_chart(charts.quarantine(status.quarantine), key="quarantine")
        with st.popover("What do the reasons mean?"):
            st.markdown("\n".join(f"- **{name}**: {REASONS[name]}" for name in status.quarantine if name in REASONS))
    else:
        st.caption("No record was rejected.")


def _model(used: str | None, settings: Settings) -> str:
    """Return the version that scored the newest tweets, and the registry's version in production, as Markdown."""
    if used is None:
        # Before the first label, do not ask the registry: importing MLflow takes seconds and would delay the label.
        return "No tweet is labelled yet."
    text = f"**{MODEL_NAME}**, version **{used}** scored the newest tweets"
    if settings.registry is None:
        return text
    production = _production(settings.registry, settings.registry_timeout)
    production.refresh()
    if not production.is_known:
        return f"{text}  \nasking the registry for the version in production …"
    if production.problem:
        # A URI may have characters that Markdown would format.
        problem = production.problem.replace("`", "'")
        return f"{text}  \nthe version in production is unknown, and Gold continues with this version: `{problem}`"
    if production.version is None:
        return f"{text}  \nno version is in production: Gold continues with this version. Release one"
    if production.version != used:
        return (
            f"{text}  \nthe alias `{PRODUCTION}` points to version **{production.version}**: "
            "the next batch will use that version"
        )
    return f"{text}  \nthe alias `{PRODUCTION}` points to this version"


def main() -> None:
    st.set_page_config("Tweet sentiment", "💬", layout="wide")
    st.html(_STYLE)
    roles = log_in()
    settings = _settings()
    title, span, lang = st.columns([3, 3, 2], vertical_alignment="center")
    title.title("Live tweet sentiment", anchor=False)
    try:
        languages = queries.languages(str(settings.lake))
        span.segmented_control("Time", list(_SPANS), default=_DEFAULT_SPAN, key="chosen", label_visibility="collapsed")
        # A click on the chosen span deselects it: the control then returns None.
        st.session_state["span"] = st.session_state.get("chosen") or _DEFAULT_SPAN
        lang.multiselect("Languages", languages, key="langs", placeholder="all languages", label_visibility="collapsed")
        if settings.landing and "operator" in roles:
            tweet_form(settings)
        problems(settings)
        if not _status(str(settings.lake)).tables[GOLD_SENTIMENT.name].rows:
            waiting_for_labels(settings)
            return
        headline(settings)
        left, right = st.columns([2, 1], gap="large")
        with left:
            over_time(settings)
            by_language(settings)
            latest(settings)
            if settings.labelling and "releaser" in roles:
                labels(settings)
        with right:
            mentions(settings)
            operations(settings)
    except LakeError as error:
        st.error(str(error))


main()
