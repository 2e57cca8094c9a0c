"""A form to type a tweet, and the progress of the tweet to Gold."""

import html
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from spark_apps import snowflake, storage
from spark_apps.dashboard import components
from spark_apps.dashboard.panel import panel
from spark_apps.lake.journey import journey
from spark_apps.settings import Settings

# The clock of the dashboard may be ahead of the clock of the streams by up to this time.
_CLOCK_SKEW = timedelta(minutes=1)


def tweet_form(settings: Settings) -> None:
    """Show the form and, below it, the progress of the last tweet sent."""
    with st.form("type", clear_on_submit=True, border=False):
        box, button = st.columns([6, 1], vertical_alignment="bottom")
        text = box.text_input("Type a tweet and watch it travel to Gold", max_chars=280, placeholder="I love this!")
        if button.form_submit_button("Send", use_container_width=True) and text.strip():
            try:
                st.session_state["typed"] = _send(str(settings.landing), text.strip())
            except Exception as error:
                if not storage.is_storage_error(error):
                    raise
                st.error(f"The tweet was not sent: {error}")
    if "typed" in st.session_state:
        _progress(settings)


def _send(landing: str, text: str) -> dict[str, Any]:
    """Land a tweet; return its id, its text, the time (`at`) and the layers that it has reached, none yet."""
    now = datetime.now(UTC)
    id_ = snowflake.new_id(now)
    tweet = {"id": id_, "full_text": text, "timestamp": now.isoformat(), "lang": "en", "user_id": "1"}
    storage.put(landing, f"typed-{id_}.json", json.dumps(tweet).encode())
    return {"id": id_, "text": text, "at": now, "reached": {}}


@panel(1.0)
def _progress(settings: Settings) -> None:
    """Show the layers that the tweet has reached, and its label."""
    typed = st.session_state["typed"]
    if "gold" not in typed["reached"]:
        typed["reached"] = journey(str(settings.lake), typed["id"], typed["at"] - _CLOCK_SKEW)
    reached = typed["reached"]

    def step(name: str, key: str) -> str:
        return f'<span class="step">{"✅" if key in reached else "⏳"} {name}</span>'

    result = ""
    if label := reached.get("label"):
        seconds = (reached["gold"] - typed["at"]).total_seconds()
        result = f"{components.badge(str(label))} {reached['score']:.0%}, after {seconds:.1f} s"
    st.html(
        f'<div><span class="step">✅ landed</span>{step("Bronze and Silver", "silver")}{step("Gold", "gold")}{result}'
        f'<div class="dim" style="color:#5b6773">{html.escape(typed["text"])}</div></div>'
    )
