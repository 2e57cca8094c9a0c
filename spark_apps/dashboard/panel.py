"""The panels of the page, each of which updates by itself."""

from collections.abc import Callable
from functools import wraps

import streamlit as st

from spark_apps.dashboard.login import is_current
from spark_apps.dashboard.login_settings import login_settings
from spark_apps.lake.commits import LakeError
from spark_apps.settings import Settings

Panel = Callable[[Settings], None]


def panel(seconds: float | None) -> Callable[[Panel], Panel]:
    """Return a decorator for a panel that is drawn every few seconds; an unreadable lake is shown in its place.

    Args:
        seconds: interval; None for a panel that is drawn again only when the visitor uses it.
    """

    def decorate(draw: Panel) -> Panel:
        @wraps(draw)
        def draw_or_explain(settings: Settings) -> None:
            # A panel updates by itself, also after the login has expired: the page then asks for a login.
            if not is_current(login_settings()):
                st.rerun()
            else:
                _draw(draw, settings)

        return st.fragment(run_every=seconds)(draw_or_explain)

    return decorate


def _draw(draw: Panel, settings: Settings) -> None:
    try:
        draw(settings)
    except LakeError as error:
        st.error(str(error))
