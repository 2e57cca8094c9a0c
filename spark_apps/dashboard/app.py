"""The page of the dashboard, a Streamlit script. Each panel is a fragment: Streamlit reruns it on its own."""

from pathlib import Path

import streamlit as st

from spark_apps.dashboard import labelling, operations, reads, selection, sentiment
from spark_apps.dashboard.login import log_in
from spark_apps.dashboard.tweet_form import tweet_form
from spark_apps.lake.commits import LakeError
from spark_apps.settings import load
from spark_apps.tables import GOLD_SENTIMENT

_STYLE = Path(__file__).with_name("style.css")


def main() -> None:
    st.set_page_config("Tweet sentiment", "💬", layout="wide")
    st.html(_STYLE)
    roles, settings = log_in(), load()
    settings.require("lake")
    title, span, lang = st.columns([3, 3, 2], vertical_alignment="center")
    title.title("Live tweet sentiment", anchor=False)
    try:
        selection.show(str(settings.lake), span, lang)
        if settings.landing and "operator" in roles:
            tweet_form(settings)
        operations.problems(settings)
        if not reads.status(str(settings.lake)).tables[GOLD_SENTIMENT.name].rows:
            operations.waiting_for_labels(settings)
            return
        sentiment.headline(settings)
        left, right = st.columns([2, 1], gap="large")
        with left:
            sentiment.over_time(settings)
            sentiment.by_language(settings)
            sentiment.latest(settings)
            if settings.labelling and "releaser" in roles:
                labelling.labelling(settings)
        with right:
            sentiment.mentions(settings)
            operations.operations(settings)
    except LakeError as error:
        st.error(str(error))


main()
