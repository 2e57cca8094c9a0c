"""The panels that show how the system does: problems, the start, the model, the streams and the quarantine."""

import html
import time
from datetime import UTC, datetime

import streamlit as st

from spark_apps.dashboard import charts, components, reads, shadow
from spark_apps.dashboard.panel import panel
from spark_apps.dashboard.reads import REFRESH_SECONDS
from spark_apps.dashboard.startup import MODEL, STEPS, Startup
from spark_apps.lake.status import LakeStatus
from spark_apps.monitoring.stream_states import explained
from spark_apps.settings import MODEL_NAME, PRODUCTION, Settings
from spark_apps.tables import BRONZE_TWEETS, GOLD_SENTIMENT, REASONS


@panel(REFRESH_SECONDS)
def problems(settings: Settings) -> None:
    """Show the streams that somebody has to look at: state, hold, last error, what Airflow did, and what to do."""
    for names, state in explained(reads.states(settings)).items():
        if not state.is_well:
            st.html(components.problem(names, state.state, False, state.details(), state.link))


@panel(1.0)
def waiting_for_labels(settings: Settings) -> None:
    """Show the progress until the first tweet is labelled, then rerun the page, which shows all panels."""
    status = reads.status(str(settings.lake))
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


@panel(REFRESH_SECONDS)
def operations(settings: Settings) -> None:
    """Show the model in production, the shadow version, the state and progress of each stream, and the quarantine."""
    lake = str(settings.lake)
    status, now = reads.status(lake), datetime.now(UTC)
    # Before the heading, which would otherwise be above nothing for the time of the query.
    model = _model(reads.newest_version(lake), settings)
    st.html("<h2>Model in production</h2>")
    st.markdown(model)
    if settings.registry and (version := reads.production(settings.registry, settings.registry_timeout).shadow):
        st.html(f"<h2>Shadow version {html.escape(version)}</h2>")
        st.html(shadow.view(reads.shadow_figures(lake, version)))
    st.html("<h2>Streams</h2>")
    states = reads.states(settings)
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
    production = reads.production(settings.registry, settings.registry_timeout)
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
