"""The live dashboard: a Streamlit script over the Gold tables. Each panel reads and redraws by itself."""

import html
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import streamlit as st

from spark_apps.dashboard import charts, components, queries
from spark_apps.dashboard.queries import Filters
from spark_apps.dashboard.tweet_form import type_a_tweet
from spark_apps.lake.commits import LakeError
from spark_apps.lake.status import LakeStatus, read_status
from spark_apps.settings import MODEL_NAME, PRODUCTION, Settings, load
from spark_apps.tables import GOLD_SENTIMENT, GOLD_TRENDS, REASONS

_EVERY = 3.0
_SPANS: dict[str, timedelta | None] = {
    "15 minutes": timedelta(minutes=15),
    "1 hour": timedelta(hours=1),
    "24 hours": timedelta(days=1),
    "7 days": timedelta(days=7),
    "all": None,
}
_OLD_SECONDS = 120
_STYLE = Path(__file__).with_name("style.css")


def _settings() -> Settings:
    found = load()
    found.require("lake")
    return found


@st.cache_data(ttl=1.0, show_spinner=False, max_entries=4)
def _status(lake: str) -> LakeStatus:
    """Look at the lake once a second for all panels and all browsers."""
    return read_status(lake, missing_ok=True)


@st.cache_data(ttl=20.0, show_spinner=False)
def _production(registry: str, timeout: float) -> str | None:
    """Return the version that the registry says is in production; None while it does not answer."""
    from spark_apps.registry.client import Registry, RegistryError

    try:
        return Registry(registry, timeout).production()
    except RegistryError:
        return None


def _filters() -> Filters:
    span = _SPANS[st.session_state["span"]]
    langs = tuple(st.session_state.get("langs", ()))
    return Filters(datetime.now(UTC) - span if span else None, langs)


@st.fragment(run_every=_EVERY)
def headline(settings: Settings) -> None:
    """Totals and share, freshness, age of the data, and what is waiting."""
    lake = str(settings.lake)
    found, now = _status(lake), datetime.now(UTC)
    counts = queries.totals(lake, _filters())
    total = sum(counts.values())
    gold = found.tables[GOLD_SENTIMENT.name]
    if not gold.rows:
        _empty(found, settings)
        return
    columns = st.columns(6)
    columns[0].html(components.kpi(f"{total:,}", f"tweets, {st.session_state['span']}"))
    for column, label in zip(columns[1:4], ("positive", "neutral", "negative"), strict=True):
        share = f"{counts[label] / total:.0%}" if total else "–"
        column.html(components.kpi(share, f"{label}, {counts[label]:,} tweets", components.INK[label]))
    fresh = queries.freshness(lake, found)
    if fresh:
        columns[4].html(components.kpi(f"{fresh.median:.1f} s", f"landing → gold, 95 %: {fresh.p95:.1f} s"))
    if gold.newest:
        old = (now - gold.newest).total_seconds() > _OLD_SECONDS
        colour = components.INK["negative"] if old else "inherit"
        columns[5].html(components.kpi(components.ago(gold.newest, now), "newest label", colour))


def _empty(found: LakeStatus, settings: Settings) -> None:
    waiting = found.lag["gold"]
    bronze = found.tables["bronze/tweets"]
    if not any(table.exists for table in found.tables.values()):
        st.info(f"No tables in {settings.lake} yet: start the streams with `tweet-sentiment run`.")
    elif waiting:
        st.info(f"{waiting:,} tweets are in Silver and wait to be scored: the first labels are on their way.")
    elif bronze.rows:
        st.info(f"{bronze.rows:,} documents are in Bronze: the first tweets are on their way.")
    else:
        st.info("The streams are up and nothing has landed yet.")


@st.fragment(run_every=_EVERY)
def over_time(settings: Settings) -> None:
    found, step = queries.sentiment_over_time(str(settings.lake), _filters())
    st.html(components.key("Sentiment over time"))
    if not len(found):
        st.caption("No tweets in this span. Choose a longer one, or other languages.")
        return
    st.altair_chart(charts.sentiment_over_time(found, queries.spikes(found), step), key="over_time")


@st.fragment(run_every=_EVERY)
def mentions(settings: Settings) -> None:
    st.html("<h2>Mentioned most</h2>")
    found = queries.top_mentions(str(settings.lake), _filters())
    if not len(found):
        st.caption("No accounts were mentioned.")
        return
    st.altair_chart(charts.mentions(found), key="mentions")


@st.fragment(run_every=_EVERY)
def latest(settings: Settings) -> None:
    st.html("<h2>Latest tweets</h2>")
    lake = str(settings.lake)
    found = queries.latest(lake, _status(lake), _filters())
    if not len(found):
        st.caption("No tweets in this span.")
        return
    # Escaped, so that a tweet is text whatever it holds; no Markdown is read into it either.
    rows = [
        f'<div class="tweet">{components.badge(str(row.label))}<span class="dim">{row.score:.0%}</span>'
        f'<span class="text">{html.escape(str(row.full_text)[:500])}</span>'
        f'<span class="dim">{html.escape(str(row.lang))} · {row.timestamp:%H:%M:%S}</span></div>'
        for row in found.itertuples()
    ]
    st.html("".join(rows))


@st.fragment(run_every=_EVERY)
def operations(settings: Settings) -> None:
    """The model in production, backlog and last batch, quarantine."""
    lake = str(settings.lake)
    found, now = _status(lake), datetime.now(UTC)
    st.html("<h2>Model in production</h2>")
    used = queries.model_versions(queries.latest(lake, found, Filters(), 50))
    registered = _production(settings.registry, settings.registry_timeout) if settings.registry else None
    st.markdown(_model(used[0] if used else None, registered, settings.registry is not None))
    st.html("<h2>Streams</h2>")
    lag = found.lag
    rows = [
        ("Silver", lag["silver"], "documents", "silver/tweets"),
        ("Gold", lag["gold"], "tweets", GOLD_SENTIMENT.name),
        ("Trends", lag["aggregates"], "tweets", GOLD_TRENDS.name),
    ]
    lines = []
    for name, waiting, of, table in rows:
        last = found.tables[table].last_batch
        when = (
            f"last batch {components.ago(last.at, now)}, {last.counts.get('rows', 0):,} rows"
            if last
            else "no batch yet"
        )
        lines.append(f"**{name}** · {max(0, waiting):,} {of} waiting · {when}")
    st.markdown("  \n".join(lines))
    st.html("<h2>Quarantine by reason</h2>")
    if found.quarantine:
        st.altair_chart(charts.quarantine(found.quarantine), key="quarantine")
        with st.popover("What do the reasons mean?"):
            st.markdown("\n".join(f"- **{name}**: {REASONS[name]}" for name in found.quarantine if name in REASONS))
    else:
        st.caption("Nothing was rejected.")


def _model(used: str | None, registered: str | None, has_registry: bool) -> str:
    if used is None:
        return "no tweet is scored yet"
    text = f"**{MODEL_NAME}**, version **{used}** scored the newest tweets"
    if not has_registry:
        return text
    if registered is None:
        return f"{text}  \nthe registry does not answer: Gold goes on with this version"
    if registered != used:
        return f"{text}  \nthe alias `{PRODUCTION}` names version **{registered}**: the next batch will use it"
    return f"{text}  \nthe alias `{PRODUCTION}` names it"


def main() -> None:
    st.set_page_config("Tweet sentiment", "💬", layout="wide")
    st.html(_STYLE)
    settings = _settings()
    title, span, lang = st.columns([3, 3, 2], vertical_alignment="center")
    title.title("Live tweet sentiment", anchor=False)
    try:
        languages = queries.languages(str(settings.lake))
        span.segmented_control("Time", list(_SPANS), default="15 minutes", key="chosen", label_visibility="collapsed")
        st.session_state["span"] = st.session_state.get("chosen") or "15 minutes"
        lang.multiselect("Languages", languages, key="langs", placeholder="all languages", label_visibility="collapsed")
        if settings.landing and os.environ.get("TWEETS_LANDING"):
            type_a_tweet(settings)
        headline(settings)
        left, right = st.columns([2, 1], gap="large")
        with left:
            over_time(settings)
            latest(settings)
        with right:
            mentions(settings)
            operations(settings)
    except LakeError as error:
        st.error(str(error))


main()
