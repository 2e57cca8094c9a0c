"""The panels of the page, each of which updates by itself."""

from collections.abc import Callable
from functools import wraps

import streamlit as st

from spark_apps.lake.commits import LakeError
from spark_apps.settings import Settings

Panel = Callable[[Settings], None]


def panel(seconds: float) -> Callable[[Panel], Panel]:
    """Return a decorator for a panel that is drawn every few seconds; an unreadable lake is shown in its place.

    Args:
        seconds: interval.
    """

    def decorate(draw: Panel) -> Panel:
        @wraps(draw)
        def draw_or_explain(settings: Settings) -> None:
            try:
                draw(settings)
            except LakeError as error:
                st.error(str(error))

        return st.fragment(run_every=seconds)(draw_or_explain)

    return decorate
