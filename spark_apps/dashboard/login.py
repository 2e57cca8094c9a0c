"""The login of the page: nothing reads data for a visitor without a login and a role."""

import html
import time
from typing import get_args

import streamlit as st

from spark_apps.dashboard.login_settings import LoginSettings, Role, login_settings

_NAMES = ("name", "preferred_username", "email", "sub")


def log_in() -> frozenset[Role]:
    """Return the roles of the visitor; all roles if the dashboard has no login.

    If the visitor has no login or no role, show what to do and stop the script.
    """
    login = login_settings()
    if login is None:
        return frozenset(get_args(Role))
    if not is_current(login):
        st.title("Live tweet sentiment", anchor=False)
        st.write("Log in to see the dashboard.")
        st.button("Log in", on_click=st.login)
        st.stop()
    roles = login.roles_of(st.user)
    _show_visitor(sorted(roles))
    if not roles:
        st.error(
            "You are logged in, but none of your groups has a role here. Ask the owner of this installation for the "
            "role viewer, then log out and log in again."
        )
        st.stop()
    return roles


def is_current(login: LoginSettings | None) -> bool:
    """Return whether the visitor has logged in, and recently enough. Without a login, everybody has."""
    if login is None:
        return True
    if st.user.get("is_logged_in") is not True:
        return False
    # Streamlit's cookie is valid for 30 days, in which a person may lose a role.
    issued = st.user.get("iat")
    return isinstance(issued, int | float) and time.time() - issued < login.session_hours * 3600


def visitor_name() -> str | None:
    """Return the name of the visitor at the identity provider; None if the dashboard has no login."""
    if login_settings() is None:
        return None
    return next((str(st.user[key]) for key in _NAMES if st.user.get(key)), "unknown")


def _show_visitor(roles: list[Role]) -> None:
    """Show who is logged in, and a button to log out."""
    who, button = st.columns([8, 1], vertical_alignment="center")
    suffix = f" ({', '.join(roles)})" if roles else ""
    who.html(f'<div class="visitor">Logged in as <b>{html.escape(str(visitor_name()))}</b>{suffix}</div>')
    button.button("Log out", on_click=st.logout)
