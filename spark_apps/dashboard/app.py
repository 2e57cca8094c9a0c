"""The live dashboard: a Streamlit script over the Gold tables. Each panel reads and redraws by itself."""

import html
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from spark_apps import landing as landings
from spark_apps.commits import LakeError
from spark_apps.dashboard import charts, data
from spark_apps.dashboard.data import Filters
from spark_apps.settings import MODEL_NAME, PRODUCTION, Settings, load
from spark_apps.status import LakeStatus, status
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
_STYLE = """<style>
  .block-container { padding: 2.2rem 2.5rem 2rem; max-width: 1500px; }
  header[data-testid="stHeader"] { background: transparent; }
  h1 { font-size: 1.7rem !important; padding: 0 !important; }
  h2 { font-size: 1.02rem !important; font-weight: 600 !important; padding: 0.2rem 0 0.4rem !important; }
  [data-testid="stVerticalBlock"] { gap: 0.55rem; }
  [data-testid="stHtml"] h2 { margin: 0.6rem 0 0; }
  [data-testid="stHtml"] h2 + .key { margin-left: 0.4rem; }
  [data-stale="true"] { opacity: 1 !important; }
  .kpi { background: #f4f6f8; border-radius: 8px; padding: 0.75rem 1rem; min-height: 5.6rem; }
  .kpi b { display: block; font-size: 1.55rem; font-weight: 650; line-height: 1.25; }
  .kpi span { color: #5b6773; font-size: 0.85rem; }
  .tweet { display: grid; grid-template-columns: 6.2rem 3.2rem 1fr 5.4rem; gap: 0.7rem; align-items: baseline;
           border-bottom: 1px solid #eef1f4; padding: 0.36rem 0; font-size: 0.93rem; }
  .tweet .text { overflow-wrap: anywhere; white-space: pre-wrap; }
  .tweet .dim { color: #5b6773; font-size: 0.82rem; }
  .mood { border-radius: 4px; color: white; font-size: 0.78rem; padding: 0.12rem 0.45rem; text-align: center; }
  .key i { display: inline-block; width: 0.8rem; height: 0.8rem; border-radius: 3px; margin: 0 0.35rem -0.08rem 1rem; }
  .key { color: #5b6773; font-size: 0.88rem; }
  .step { display: inline-block; margin-right: 1.4rem; font-size: 0.95rem; }
</style>"""


def _settings() -> Settings:
    found = load()
    found.require("lake")
    return found


@st.cache_data(ttl=1.0, show_spinner=False, max_entries=4)
def _status(lake: str) -> LakeStatus:
    """Look at the lake once a second for all panels and all browsers."""
    return status(lake)


@st.cache_data(ttl=20.0, show_spinner=False)
def _production(registry: str, timeout: float) -> str | None:
    """Return the version that the registry says is in production; None while it does not answer."""
    from spark_apps.model.registry import Registry, RegistryError

    try:
        return Registry(registry, timeout).production()
    except RegistryError:
        return None


def _filters() -> Filters:
    span = _SPANS[st.session_state["span"]]
    langs = tuple(st.session_state.get("langs", ()))
    return Filters(datetime.now(UTC) - span if span else None, langs)


def _kpi(column: Any, value: str, label: str, colour: str = "inherit") -> None:
    number, words = html.escape(value), html.escape(label)
    column.html(f'<div class="kpi"><b style="color:{colour}">{number}</b><span>{words}</span></div>')


@st.fragment(run_every=_EVERY)
def headline(settings: Settings) -> None:
    """Totals and share, freshness, age of the data, and what is waiting."""
    lake = str(settings.lake)
    found, now = _status(lake), datetime.now(UTC)
    counts = data.totals(lake, _filters())
    total = sum(counts.values())
    gold = found.tables[GOLD_SENTIMENT.name]
    if not gold.rows:
        _empty(found, settings)
        return
    columns = st.columns(6)
    _kpi(columns[0], f"{total:,}", f"tweets, {st.session_state['span']}")
    for column, label in zip(columns[1:4:2], ("positive", "negative"), strict=False):
        share = f"{counts[label] / total:.0%}" if total else "–"
        _kpi(column, share, f"{label}, {counts[label]:,} tweets", charts.COLOURS[label])
    neutral = f"{counts['neutral'] / total:.0%}" if total else "–"
    _kpi(columns[2], neutral, f"neutral, {counts['neutral']:,} tweets", "#6c7884")
    fresh = data.freshness(lake, found)
    if fresh:
        _kpi(columns[4], f"{fresh.median:.1f} s", f"landing → gold, 95 %: {fresh.p95:.1f} s")
    if gold.newest:
        old = (now - gold.newest).total_seconds() > _OLD_SECONDS
        _kpi(columns[5], charts.ago(gold.newest, now), "newest label", "#c8553d" if old else "inherit")


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
    found, step = data.sentiment_over_time(str(settings.lake), _filters())
    _key("Sentiment over time")
    if not len(found):
        st.caption("No tweets in this span. Choose a longer one, or other languages.")
        return
    st.altair_chart(charts.sentiment_over_time(found, data.spikes(found), step), key="over_time")


def _key(title: str) -> None:
    labels = "".join(f'<i style="background:{colour}"></i>{label}' for label, colour in charts.COLOURS.items())
    st.html(f'<h2 style="display:inline-block">{title}</h2><span class="key">{labels}</span>')


@st.fragment(run_every=_EVERY)
def mentions(settings: Settings) -> None:
    st.html("<h2>Mentioned most</h2>")
    found = data.top_mentions(str(settings.lake), _filters())
    if not len(found):
        st.caption("No accounts were mentioned.")
        return
    st.altair_chart(charts.mentions(found), key="mentions")


@st.fragment(run_every=_EVERY)
def latest(settings: Settings) -> None:
    st.html("<h2>Latest tweets</h2>")
    lake = str(settings.lake)
    found = data.latest(lake, _status(lake), _filters())
    if not len(found):
        st.caption("No tweets in this span.")
        return
    # Escaped, so that a tweet is text whatever it holds; no Markdown is read into it either.
    rows = [
        f'<div class="tweet"><span class="mood" style="background:{_badge(str(row.label))}">'
        f"{html.escape(str(row.label))}</span>"
        f'<span class="dim">{row.score:.0%}</span><span class="text">{html.escape(str(row.full_text)[:500])}</span>'
        f'<span class="dim">{html.escape(str(row.lang))} · {row.timestamp:%H:%M:%S}</span></div>'
        for row in found.itertuples()
    ]
    st.html("".join(rows))


def _badge(label: str) -> str:
    return "#6c7884" if label == "neutral" else charts.COLOURS.get(label, "#6c7884")


@st.fragment(run_every=_EVERY)
def operations(settings: Settings) -> None:
    """The model in production, backlog and last batch, quarantine."""
    lake = str(settings.lake)
    found, now = _status(lake), datetime.now(UTC)
    st.html("<h2>Model in production</h2>")
    used = data.model_versions(data.latest(lake, found, Filters(), 50))
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
        when = f"last batch {charts.ago(last.at, now)}, {last.counts.get('rows', 0):,} rows" if last else "no batch yet"
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


def type_a_tweet(settings: Settings) -> None:
    """A box in which one types a tweet, and its way to Gold."""
    with st.form("type", clear_on_submit=True, border=False):
        box, button = st.columns([6, 1], vertical_alignment="bottom")
        text = box.text_input("Type a tweet and watch it travel to Gold", max_chars=280, placeholder="I love this!")
        if button.form_submit_button("Send", use_container_width=True) and text.strip():
            st.session_state["typed"] = _send(str(settings.landing), text.strip())
    if "typed" in st.session_state:
        _travel(settings)


def _send(landing: str, text: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    id_ = landings.new_tweet_id(now)
    tweet = {"id": id_, "full_text": text, "timestamp": now.isoformat(), "lang": "en", "user_id": "1"}
    landings.put(landing, f"typed-{id_}.json", json.dumps(tweet).encode())
    return {"id": id_, "text": text, "at": now, "way": {}}


@st.fragment(run_every=1.0)
def _travel(settings: Settings) -> None:
    typed = st.session_state["typed"]
    if "gold" not in typed["way"]:
        typed["way"] = data.journey(str(settings.lake), typed["id"], typed["at"] - timedelta(minutes=1))
    way = typed["way"]

    def step(name: str, key: str) -> str:
        return f'<span class="step">{"✅" if key in way else "⏳"} {name}</span>'

    label = way.get("label")
    done = ""
    if label:
        seconds = (way["gold"] - typed["at"]).total_seconds()
        done = (
            f'<span class="mood" style="background:{_badge(str(label))}">{html.escape(str(label))}</span>'
            f" {way['score']:.0%}, after {seconds:.1f} s"
        )
    st.html(
        f'<div><span class="step">✅ landed</span>{step("Bronze and Silver", "silver")}{step("Gold", "gold")}{done}'
        f'<div class="dim" style="color:#5b6773">{html.escape(typed["text"])}</div></div>'
    )


def main() -> None:
    st.set_page_config("Tweet sentiment", "💬", layout="wide")
    st.html(_STYLE)
    settings = _settings()
    title, span, lang = st.columns([3, 3, 2], vertical_alignment="center")
    title.title("Live tweet sentiment", anchor=False)
    try:
        languages = data.languages(str(settings.lake))
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
