"""A box in which one types a tweet, and its way to Gold."""

import html
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from spark_apps import snowflake, storage
from spark_apps.dashboard import components
from spark_apps.lake.journey import journey
from spark_apps.settings import Settings


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
    id_ = snowflake.new_id(now)
    tweet = {"id": id_, "full_text": text, "timestamp": now.isoformat(), "lang": "en", "user_id": "1"}
    storage.put(landing, f"typed-{id_}.json", json.dumps(tweet).encode())
    return {"id": id_, "text": text, "at": now, "way": {}}


@st.fragment(run_every=1.0)
def _travel(settings: Settings) -> None:
    typed = st.session_state["typed"]
    if "gold" not in typed["way"]:
        typed["way"] = journey(str(settings.lake), typed["id"], typed["at"] - timedelta(minutes=1))
    way = typed["way"]

    def step(name: str, key: str) -> str:
        return f'<span class="step">{"✅" if key in way else "⏳"} {name}</span>'

    label = way.get("label")
    done = ""
    if label:
        seconds = (way["gold"] - typed["at"]).total_seconds()
        done = f"{components.badge(str(label))} {way['score']:.0%}, after {seconds:.1f} s"
    st.html(
        f'<div><span class="step">✅ landed</span>{step("Bronze and Silver", "silver")}{step("Gold", "gold")}{done}'
        f'<div class="dim" style="color:#5b6773">{html.escape(typed["text"])}</div></div>'
    )
