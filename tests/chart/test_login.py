"""The login with OpenID Connect: off by default, and never without its secret."""

import re

import pytest
import yaml

from spark_apps.dashboard.login_settings import LoginSettings
from tests.chart.connections import INTERNET, installation, may_connect
from tests.chart.rendering import ROOT, Object, helm, pod_specs, render

pytestmark = pytest.mark.chart

LOGIN = [
    "login.oidc.issuer=https://login.example.com/realms/tweets",
    "login.oidc.clientId=tweets",
    "login.oidc.existingSecret=login",
    "login.oidc.dashboardUrl=https://tweets.example.com",
    "login.oidc.roles.viewer={analysts,guests}",
    "login.oidc.roles.operator={platform}",
]
PREFIX = "TWEETS_OIDC_"


def variables(documents: list[Object]) -> dict[str, dict[str, Object]]:
    """Return the variables of the login of each container that has any, by their names without the prefix."""
    containers = {
        f"{pod} {container['name']}": {
            variable["name"].removeprefix(PREFIX): variable
            for variable in container.get("env", [])
            if variable["name"].startswith(PREFIX)
        }
        for pod, spec in pod_specs(documents).items()
        for container in [*spec.get("initContainers", []), *spec["containers"]]
    }
    return {name: found for name, found in containers.items() if found}


def test_without_an_issuer_nothing_knows_of_a_login() -> None:
    assert variables(render()) == {}
    assert PREFIX not in helm().stdout


def test_the_dashboard_gets_the_settings_that_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    found = variables(render(*LOGIN))["Deployment dashboard dashboard"]
    assert found.keys() == {name.upper() for name in LoginSettings.model_fields}
    secrets = {name: variable.pop("valueFrom") for name, variable in found.items() if "valueFrom" in variable}
    assert secrets == {
        f"{key.upper()}_SECRET": {"secretKeyRef": {"name": "login", "key": f"{key}-secret"}}
        for key in ("client", "cookie")
    }
    for name, variable in found.items():
        monkeypatch.setenv(f"{PREFIX}{name}", variable.get("value", "s" * 32))
    settings = LoginSettings()
    assert settings.roles == {"viewer": ["analysts", "guests"], "operator": ["platform"], "releaser": []}
    assert settings.dashboard_url == "https://tweets.example.com" and settings.session_hours == 12


def test_the_api_server_of_airflow_gets_the_settings_that_its_configuration_reads() -> None:
    found = variables(render(*LOGIN))["StatefulSet airflow api-server"]
    source = (ROOT / "docker" / "webserver_config.py").read_text()
    assert found.keys() == set(re.findall(rf'"{PREFIX}(\w+)"', source))
    assert "COPY docker/webserver_config.py /opt/airflow/\n" in (ROOT / "docker" / "airflow.Dockerfile").read_text()


@pytest.mark.parametrize(
    ("url", "proxy"), [("https://airflow.example.com", {"True"}), ("http://localhost:8080", set())]
)
def test_airflow_makes_the_redirect_uri_from_its_url_and_ends_the_sessions(url: str, proxy: set[str]) -> None:
    spec = pod_specs(render(*LOGIN, f"login.oidc.airflowUrl={url}", "login.oidc.sessionHours=2"))["StatefulSet airflow"]
    (server,) = (container for container in spec["containers"] if container["name"] == "api-server")
    env = {variable["name"]: variable.get("value") for variable in server["env"]}
    assert env["AIRFLOW__API__BASE_URL"] == url
    assert env["AIRFLOW__FAB__SESSION_MAX_LIFETIME_MINUTES"] == "120"
    assert {env[name] for name in env.keys() & {"AIRFLOW__FAB__ENABLE_PROXY_FIX"}} == proxy


def test_only_the_servers_with_a_login_know_the_identity_provider() -> None:
    assert variables(render(*LOGIN)).keys() == {"Deployment dashboard dashboard", "StatefulSet airflow api-server"}


def test_the_documented_values_are_accepted() -> None:
    page = (ROOT / "docs" / "security.md").read_text().partition("\n## Login\n")[2]
    values = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])["login"]["oidc"]
    settings = [f"login.oidc.{name}={value}" for name, value in values.items() if name != "roles"]
    settings += [f"login.oidc.roles.{role}={{{','.join(groups)}}}" for role, groups in values["roles"].items()]
    assert variables(render(*settings))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("login.oidc.clientId=", "login.oidc.clientId is missing"),
        ("login.oidc.existingSecret=", "login.oidc.existingSecret is missing"),
        ("login.oidc.issuer=", "login.oidc.issuer is missing"),
        ("login.oidc.roles.admin={a}", "'admin' not allowed"),
        ("login.oidc.clientSecret=s", "'clientSecret' not allowed"),
        ("login.oidc.dashboardUrl=http://tweets.example.com", "/login/oidc/dashboardUrl"),
        ("login.oidc.dashboardUrl=https://tweets.example.com/", "/login/oidc/dashboardUrl"),
        ("login.oidc.scopes=profile", "/login/oidc/scopes"),
        ("login.oidc.sessionHours=0", "/login/oidc/sessionHours"),
    ],
)
def test_an_incomplete_login_is_refused(setting: str, message: str) -> None:
    process = helm(*LOGIN, setting)
    assert process.returncode != 0 and message in process.stderr, process.stderr


def test_a_login_for_nobody_is_refused() -> None:
    process = helm(*[setting for setting in LOGIN if "roles" not in setting])
    assert process.returncode != 0 and "nobody could log in" in process.stderr


@pytest.mark.parametrize(
    ("setting", "port"),
    [
        ("login.oidc.issuer=https://login.example.com/realms/tweets", 443),
        ("login.oidc.issuer=https://login.example.com:8443/realms/tweets", 8443),
        ("network.identityProvider.ports=[9443]", 9443),
    ],
)
def test_the_servers_with_a_login_may_connect_to_the_identity_provider(setting: str, port: int) -> None:
    # Addresses of the Kubernetes API would allow Airflow to connect anyway.
    closed = ("network.kubernetesApi.to=[]", "network.modelHub.to=[]")
    _, pods = installation(*LOGIN, setting, *closed)
    allowed = {name for name in pods if may_connect((*LOGIN, setting, *closed), name, INTERNET, port)}
    assert allowed == {"streams dashboard", "platform airflow"}
    for name in pods:
        assert not may_connect((*LOGIN, setting, *closed, "network.identityProvider.to=[]"), name, INTERNET, port)
        assert not may_connect(closed, name, INTERNET, port)
