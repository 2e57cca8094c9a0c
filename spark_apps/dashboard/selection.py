"""The controls at the top of the page: the time span and the languages of the panels."""

from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from spark_apps.dashboard import queries
from spark_apps.dashboard.queries import Filters

_DEFAULT_SPAN = "15 minutes"
_SPANS: dict[str, timedelta | None] = {
    _DEFAULT_SPAN: timedelta(minutes=15),
    "1 hour": timedelta(hours=1),
    "24 hours": timedelta(days=1),
    "7 days": timedelta(days=7),
    "all": None,
}


def show(lake: str, left: Any, right: Any) -> None:
    """Show the time spans in the column `left` and the languages of the lake in the column `right`."""
    languages = queries.languages(lake)
    left.segmented_control("Time", list(_SPANS), default=_DEFAULT_SPAN, key="chosen", label_visibility="collapsed")
    right.multiselect("Languages", languages, key="langs", placeholder="all languages", label_visibility="collapsed")


def span() -> str:
    """Return the name of the time span that the visitor has chosen."""
    # A click on the chosen span deselects it: the control then returns None.
    return st.session_state.get("chosen") or _DEFAULT_SPAN


def filters() -> Filters:
    """Return the time span and the languages that the visitor has chosen."""
    length = _SPANS[span()]
    langs = tuple(st.session_state.get("langs", ()))
    return Filters(datetime.now(UTC) - length if length else None, langs)
