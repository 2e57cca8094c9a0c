"""The login to Airflow with OpenID Connect, at an API server with the configuration of the image."""

import base64
import http.cookiejar
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from oidc_provider_mock import User, run_server_in_thread

from tests.dags.airflow_process import DAGS, in_airflow
from tests.dags.airflow_services import AirflowServices
from tests.process import free_port
from tests.waiting import until

pytestmark = pytest.mark.airflow

DOCKER = DAGS.with_name("docker")
PEOPLE = (
    User(sub="1", claims={"preferred_username": "ann", "groups": ["analysts"]}),
    User(sub="2", claims={"preferred_username": "otto", "groups": ["platform", "golf"]}),
    User(sub="3", claims={"preferred_username": "rita", "groups": ["scientists"]}),
    User(sub="4", claims={"preferred_username": "eve", "groups": ["golf"]}),
    User(sub="5", claims={"preferred_username": "admin", "groups": ["platform"]}),
)
PASSWORD = "the local password"
ROLES = {"viewer": ["analysts"], "operator": ["platform"], "releaser": ["scientists"]}


class Person:
    """A person with a browser's cookies."""

    def __init__(self, airflow: str) -> None:
        self._airflow = airflow
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def log_in(self, sub: str) -> None:
        with self._opener.open(f"{self._airflow}/auth/login/oidc", timeout=60) as form:
            authorize = form.url
        self._opener.open(authorize, urllib.parse.urlencode({"sub": sub}).encode(), timeout=60).close()

    def is_logged_in(self) -> bool:
        return any(cookie.name == "_token" for cookie in self._cookies)

    def token(self) -> str:
        (token,) = (str(cookie.value) for cookie in self._cookies if cookie.name == "_token")
        return token

    def status(self, path: str, body: object = None) -> int:
        """Return the status of a request to the REST API, a POST if it has a body."""
        return status(f"{self._airflow}/api/v2{path}", body, Authorization=f"Bearer {self.token()}")

    def may(self, action: str, dag: str) -> bool:
        # The body is invalid: a person with the permission gets another error, and nothing runs.
        answer = self.status(f"/dags/{dag}/{action}", {"conf": 1, "dag_run_id": 1})
        assert answer in {403, 422}, answer
        return answer == 422


def status(url: str, body: object = None, **headers: str) -> int:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} | headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("airflow")
    port = free_port()
    with run_server_in_thread(user_claims=PEOPLE) as provider:
        env = os.environ | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
            "AIRFLOW__API__SECRET_KEY": "k" * 64,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
            "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__FAB__CONFIG_FILE": str(DOCKER / "webserver_config.py"),
            "AIRFLOW__FAB__ENABLE_PROXY_FIX": "True",
            "AIRFLOW__FAB__SESSION_MAX_LIFETIME_MINUTES": "60",
            "PYTHONPATH": f"{DOCKER}:{DOCKER / 'migrate'}:{DAGS}",
            "TWEETS_STREAMS_NAMESPACE": "tweets",
            "TWEETS_OIDC_ISSUER": f"http://localhost:{provider.server_port}",
            "TWEETS_OIDC_CLIENT_ID": "airflow",
            "TWEETS_OIDC_CLIENT_SECRET": "the secret of the client",
            "TWEETS_OIDC_SCOPES": "openid profile email",
            "TWEETS_OIDC_ROLES_CLAIM": "groups",
            "TWEETS_OIDC_ROLES": json.dumps(ROLES),
        }
        services = AirflowServices(home, f"http://localhost:{port}", env)
        # As in the chart, the migration does not know the identity provider.
        code = "from airflow.utils.db import initdb; initdb(); import migrate_airflow as m; m._create_administrator"
        done = subprocess.run(
            [sys.executable, "-c", f"{code}('admin', {PASSWORD!r})"],
            env=env | {"AIRFLOW__FAB__CONFIG_FILE": str(home / "none")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        services.start("api-server", "--port", str(port))
        try:
            until(services.is_up, 180, "the API server of Airflow")
            yield services.url
        finally:
            services.kill("api-server")
        assert "the secret of the client" not in (home / "api-server.log").read_text()


def test_each_dag_is_run_by_one_role(tmp_path: Path) -> None:
    names = ("ROLES_CLAIM", "CLIENT_ID", "CLIENT_SECRET", "ISSUER", "SCOPES")
    env = {f"TWEETS_OIDC_{name}": "x" for name in names}
    env["TWEETS_OIDC_ROLES"] = json.dumps({"viewer": ["all"], "operator": ["all", "platform"]})
    code = f"""
import runpy
config = runpy.run_path({str(DOCKER / "webserver_config.py")!r})
report([*config["_STREAM_DAGS"], *config["_MODEL_DAGS"]])
report(config["AUTH_ROLES_MAPPING"])
"""
    dags, roles = in_airflow(tmp_path, code, **env)
    assert sorted(dags) == sorted(path.stem for path in DAGS.glob("*.py"))
    assert roles == {"all": ["Viewer", "Operator"], "platform": ["Operator"]}


@pytest.mark.parametrize(
    ("sub", "dags"),
    [("1", set()), ("2", {"operate_stream", "rebuild_table"}), ("3", {"release_model", "rescore_gold"})],
    ids=["viewer", "operator", "releaser"],
)
def test_a_person_sees_everything_and_runs_what_the_role_allows(airflow: str, sub: str, dags: set[str]) -> None:
    person = Person(airflow)
    person.log_in(sub)
    assert person.status("/dags") == 200
    for action in ("dagRuns", "clearTaskInstances"):
        candidates = ("operate_stream", "rebuild_table", "release_model", "rescore_gold")
        assert {dag for dag in candidates if person.may(action, dag)} == dags, action
    # Connections and variables are for the administrator.
    assert person.status("/connections") == 403 == person.status("/variables")


def test_behind_a_proxy_with_tls_the_provider_redirects_to_its_url(airflow: str) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "airflow.example.com"}
    request = urllib.request.Request(f"{airflow}/auth/login/oidc", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as form:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(form.url).query)
    assert query["redirect_uri"] == ["https://airflow.example.com/auth/oauth-authorized/oidc"]


def test_a_login_ends_with_the_session(airflow: str) -> None:
    person = Person(airflow)
    person.log_in("1")
    claims = json.loads(base64.urlsafe_b64decode(person.token().split(".")[1] + "=="))
    assert 0 < claims["exp"] - time.time() <= 3600


@pytest.mark.parametrize("sub", ["4", "5"], ids=["without a role", "with the name of the administrator"])
def test_the_login_is_refused(airflow: str, sub: str) -> None:
    person = Person(airflow)
    person.log_in(sub)
    assert not person.is_logged_in()


def test_only_the_local_administrator_gets_a_token_for_a_password(airflow: str) -> None:
    tokens = f"{airflow}/auth/token"
    assert status(tokens, {"username": "admin", "password": PASSWORD}) == 201
    Person(airflow).log_in("1")
    for password in ("", "x"):
        assert status(tokens, {"username": "ann", "password": password}) in {400, 401, 422}
