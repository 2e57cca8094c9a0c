"""The login of the dashboard, with an identity provider that the tests start."""

import json
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from oidc_provider_mock import User, run_server_in_thread
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from streamlit.testing.v1 import AppTest

from spark_apps.dashboard import login
from spark_apps.dashboard.launch import serve
from spark_apps.dashboard.login_settings import LoginSettings, login_settings
from spark_apps.dashboard.panel import panel
from spark_apps.settings import Settings, SettingsError
from tests.dashboard.browser import browser, served
from tests.lakes import fill
from tests.process import free_port

APP = Path(__file__).parents[2] / "spark_apps" / "dashboard" / "app.py"
SECRET = "the secret of the client"
ROLES = {"viewer": ["analysts", "guests"], "operator": ["platform"], "releaser": ["scientists"]}
NAME = "<b>Ann</b> <script>document.title = 'owned'</script>"
PEOPLE = (
    User(sub="viewer", claims={"name": NAME, "groups": ["analysts", "golf"]}),
    User(sub="operator", claims={"groups": ["platform"]}),
    User(sub="stranger", claims={"email": "eve@example.com", "groups": ["golf"]}),
)


def environment(issuer: str, port: int, **changes: str) -> dict[str, str]:
    values = {
        "issuer": issuer,
        "client_id": "tweets",
        "client_secret": SECRET,
        "cookie_secret": "c" * 32,
        "dashboard_url": f"http://localhost:{port}",
        "roles": json.dumps(ROLES),
    }
    return {f"TWEETS_OIDC_{name.upper()}": value for name, value in (values | changes).items()}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> LoginSettings:
    for name, value in environment("https://login.example.com/realms/tweets/", 8501).items():
        monkeypatch.setenv(name, value)
    settings = login_settings()
    assert settings
    return settings


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"groups": ["guests", "scientists"]}, {"viewer", "releaser"}),
        ({"groups": "platform"}, {"operator"}),
        ({"groups": ["golf", None, {"name": "platform"}, ["platform"]]}, set()),
        ({"groups": None}, set()),
        ({"groups": 7}, set()),
        ({"roles": ["platform"]}, set()),
        # A text is one group, not its characters or parts.
        ({"groups": "platform,analysts"}, set()),
    ],
)
def test_roles_come_from_the_groups_in_the_claim(
    settings: LoginSettings, claims: Mapping[str, Any], roles: set[str]
) -> None:
    assert settings.roles_of(claims) == roles


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CLIENT_SECRET": ""}, "TWEETS_OIDC_CLIENT_SECRET"),
        ({"ISSUER": ""}, "TWEETS_OIDC_ISSUER"),
        ({"COOKIE_SECRET": "short"}, "TWEETS_OIDC_COOKIE_SECRET"),
        ({"DASHBOARD_URL": "https://example.com/tweets"}, "TWEETS_OIDC_DASHBOARD_URL"),
        ({"ROLES": "analysts"}, "TWEETS_OIDC_ROLES: write JSON"),
        ({"ROLES": '{"admin": ["analysts"]}'}, "TWEETS_OIDC_ROLES"),
        ({"ROLES": '{"viewer": []}'}, "nobody could log in"),
        ({"SCOPES": "profile"}, "TWEETS_OIDC_SCOPES"),
    ],
)
def test_a_mistake_in_the_settings_never_turns_the_login_off(
    settings: LoginSettings, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], message: str
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(f"TWEETS_OIDC_{name}", value)
    assert settings
    with pytest.raises(SettingsError, match=message) as raised:
        serve(Settings(lake="/lake"), "127.0.0.1", free_port())
    assert SECRET not in str(raised.value) and "short" not in str(raised.value)


def test_only_this_user_can_read_the_secrets(settings: LoginSettings, tmp_path: Path) -> None:
    settings.client_secret = type(settings.client_secret)('quote " backslash \\ ü')
    file = settings.write_secrets(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    auth = tomllib.loads(file.read_text(encoding="utf-8"))["auth"]
    assert auth["client_secret"] == 'quote " backslash \\ ü'
    assert auth["server_metadata_url"] == "https://login.example.com/realms/tweets/.well-known/openid-configuration"
    assert auth["redirect_uri"] == "http://localhost:8501/oauth2callback"
    assert SECRET not in repr(settings) and "c" * 32 not in repr(settings)


def test_a_line_break_at_the_end_of_a_secret_is_removed(
    settings: LoginSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWEETS_OIDC_CLIENT_SECRET", f"{SECRET}\n")
    assert login_settings() == settings


def test_nothing_reads_the_lake_before_the_login(
    settings: LoginSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without a lake, and in a session whose user Streamlit does not know."""
    assert settings
    monkeypatch.setenv("TWEETS_LAKE", str(tmp_path))
    monkeypatch.setattr("spark_apps.dashboard.queries.languages", lambda _: pytest.fail("the page has read the lake"))
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    assert not app.exception
    assert [button.label for button in app.button] == ["Log in"]


def test_a_login_expires(settings: LoginSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    user: dict[str, Any] = {"is_logged_in": True}
    monkeypatch.setattr("streamlit.user", user)
    for issued, is_current in ((11.9, True), (12.1, False), (24 * 30, False)):
        user["iat"] = int(time.time() - issued * 3600)
        assert login.is_current(settings) is is_current
    user["iat"] = str(int(time.time()))
    assert not login.is_current(settings)


def test_an_open_page_stops_its_updates_when_the_login_expires(
    settings: LoginSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings
    # Without a browser, Streamlit draws no fragment.
    monkeypatch.setattr("streamlit.fragment", lambda **_: lambda draw: draw)
    drawn: list[Settings] = []
    draw = panel(1.0)(lambda given: drawn.append(given))
    user = {"is_logged_in": True, "iat": int(time.time())}
    monkeypatch.setattr("streamlit.user", user)
    draw(Settings())
    assert len(drawn) == 1
    user["iat"] -= 13 * 3600
    draw(Settings())
    assert len(drawn) == 1


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[webdriver.Chrome]:
    """A dashboard with a login and a tweet form, in a browser."""
    fill(tmp_path / "lake", 30, timedelta(minutes=5))
    (tmp_path / "landing").mkdir()
    port = free_port()
    with run_server_in_thread(user_claims=PEOPLE) as provider:
        for name, value in environment(f"http://localhost:{provider.server_port}", port).items():
            monkeypatch.setenv(name, value)
        settings = Settings(lake=str(tmp_path / "lake"), landing=str(tmp_path / "landing"))
        with served(settings, tmp_path, port), browser(tmp_path) as opened:
            opened.get(f"http://localhost:{port}")
            yield opened
    assert SECRET not in (tmp_path / "log").read_text()


@pytest.mark.browser
def test_each_person_sees_what_the_roles_allow(page: webdriver.Chrome) -> None:
    # A page that the browser is leaving has elements which no longer exist a moment later.
    wait = WebDriverWait(page, 60, ignored_exceptions=[NoSuchElementException, StaleElementReferenceException])

    def body() -> str:
        return str(page.execute_script("return document.body ? document.body.innerText : ''"))

    def act(by: str, selector: str, action: Callable[[WebElement], None]) -> None:
        def found(_: object) -> bool:
            action(page.find_element(by, selector))
            return True

        wait.until(found)

    def click(text: str) -> None:
        act(By.XPATH, f"//button[normalize-space()='{text}']", lambda button: button.click())

    def log_in(sub: str) -> None:
        click("Log in")
        act(By.CSS_SELECTOR, "input[name=sub]", lambda box: box.send_keys(sub, Keys.ENTER))

    def see_dashboard() -> None:
        """Wait for the whole page: an element that is missing in a part of it may still come."""
        wait.until(lambda _: "Latest tweets" in body())
        idle = "[data-testid=stApp][data-test-script-state=notRunning]"
        wait.until(lambda _: page.find_elements(By.CSS_SELECTOR, idle))

    def log_out() -> None:
        click("Log out")
        click("End session")
        wait.until(lambda _: "Log in to see the dashboard" in body())

    wait.until(lambda _: "Log in to see the dashboard" in body())
    assert "Latest tweets" not in body()

    log_in("viewer")
    see_dashboard()
    assert f"Logged in as {NAME} (viewer)" in body()
    assert page.find_elements(By.CSS_SELECTOR, ".visitor b b, .visitor script") == []
    assert not page.find_elements(By.CSS_SELECTOR, "input[aria-label^='Type a tweet']")
    # A new session of the same browser is still logged in; after the log-out it is not.
    page.refresh()
    see_dashboard()
    log_out()
    page.refresh()
    wait.until(lambda _: "Log in to see the dashboard" in body())
    assert "Latest tweets" not in body()

    log_in("stranger")
    wait.until(lambda _: "none of your groups has a role here" in body())
    assert "Logged in as eve@example.com" in body() and "Latest tweets" not in body()
    log_out()

    log_in("operator")
    see_dashboard()
    assert page.find_elements(By.CSS_SELECTOR, "input[aria-label^='Type a tweet']")
