"""A panel in which people confirm or correct labels, starting with the tweets for which the model is least certain."""

import html
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from spark_apps.dashboard import components, queries, reads, selection
from spark_apps.dashboard.login import visitor_name
from spark_apps.dashboard.panel import panel
from spark_apps.dashboard.queries import Filters
from spark_apps.labels import LABELS
from spark_apps.lake.commits import LakeError
from spark_apps.lake.human_labels import HumanLabel, append
from spark_apps.lake.status import LakeStatus
from spark_apps.settings import Settings
from spark_apps.tables import HUMAN_LABELS

# Number of tweets to read at once.
_TWEETS = 20
_CANNOT_TELL = "cannot tell"


@panel(None)
def labelling(settings: Settings) -> None:
    """Show a switch; while it is on, one tweet with a button for each label, and the number of labels of all people."""
    if not st.toggle("Label tweets to improve the model", key="labelling"):
        return
    lake, filters = str(settings.lake), selection.filters()
    status = reads.status(lake)
    st.caption(
        f"{status.tables[HUMAN_LABELS.name].rows:,} labels so far, of all people. The next model learns from them: "
        "`tweet-sentiment model upload --from-lake`."
    )
    words = st.text_input("Only tweets with these words", key="words").strip() or None
    tweet = _next_tweet(lake, status, filters, words)
    if tweet is None:
        st.caption("Every recent tweet of this selection has a label of a person. Choose other languages or words.")
        return
    st.caption("The model's label and its probability. Which label is right?")
    st.html(
        f'<div class="tweet">{components.badge(tweet["label"])}<span class="dim">{tweet["score"]:.0%}</span>'
        f'<span class="text" dir="auto">{html.escape(tweet["full_text"])}</span>'
        f'<span class="dim">{html.escape(tweet["lang"])}</span></div>'
    )
    for column, label in zip(st.columns(4), (*LABELS, _CANNOT_TELL), strict=True):
        column.button(label, key=f"label {label}", on_click=_save, args=(lake, tweet, label), use_container_width=True)
    if problem := st.session_state.pop("labelling problem", None):
        st.error(problem)


def _next_tweet(lake: str, status: LakeStatus, filters: Filters, words: str | None) -> dict[str, Any] | None:
    """Return the tweet to label. Tweets that were read stay in the session, so that no update changes the tweet."""
    state, selection = st.session_state, (filters.langs, words)
    if state.get("labelling selection") != selection or not state["labelling tweets"]:
        frame = queries.uncertain(lake, status, filters, words, _TWEETS)
        state["labelling selection"], state["labelling tweets"] = selection, frame.to_dict("records")
    return state["labelling tweets"][0] if state["labelling tweets"] else None


def _save(lake: str, tweet: dict[str, Any], label: str) -> None:
    given = None if label == _CANNOT_TELL else label
    now = datetime.now(UTC)
    try:
        append(lake, HumanLabel(tweet["id"], given, visitor_name(), now, tweet["label"], tweet["model_version"]))
    except LakeError as error:
        st.session_state["labelling problem"] = f"The label was not saved: {error}"
        return
    reads.status.clear()  # the number of labels
    # A second click may arrive before the page shows the next tweet.
    tweets = st.session_state["labelling tweets"]
    if tweets and tweets[0]["id"] == tweet["id"]:
        tweets.pop(0)
