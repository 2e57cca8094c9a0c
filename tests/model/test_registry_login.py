"""The login of the chart's MLflow server: what each user may do, on a server with the configuration of the chart."""

import ast
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from spark_apps.cli.main import app
from spark_apps.gold.production_model import ProductionModel
from spark_apps.model.mlflow_run import MlflowRun
from spark_apps.quality import baseline, findings, shadow
from spark_apps.registry.client import BUNDLED, NoProductionError, Registry
from spark_apps.registry.connection import TrackingError, connect, reason
from spark_apps.registry.production import ensure_production, promote, roll_back
from spark_apps.registry.requests import RegistryError
from spark_apps.scoring.description import DESCRIPTION_FILE, Description
from spark_apps.settings import MODEL_NAME
from tests.model.folders import write_data
from tests.model.mlflow_server import ROOT, USERS, mlflow_server, password

Login = Callable[[str], None]
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Login:
    """Return a function that logs this process in to MLflow as a user of the server."""

    def log_in(user: str) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password(user))

    return log_in


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    """Yield the URL of a server on which the writer has released version 1, which has a run with an artifact."""
    with mlflow_server(home) as server:
        with pytest.MonkeyPatch.context() as patch:
            for user in ("reader", "writer"):
                patch.setenv("MLFLOW_TRACKING_USERNAME", user)
                patch.setenv("MLFLOW_TRACKING_PASSWORD", password(user))
                # Not an error about permissions: Gold waits for the first model, and the writer registers it.
                with pytest.raises(NoProductionError):
                    Registry(server, 60).production()
            assert ensure_production(Registry(server, 60), BUNDLED) == "1"
        yield server


@pytest.fixture
def registry(url: str) -> Registry:
    return Registry(url, 60)


def send(url: str, method: str, path: str, user: str | None = None, **options: Any) -> int:
    """Send a request as a user, or without a login; return the status."""
    auth = (user, password(user)) if user else None
    return requests.request(method, f"{url}{path}", auth=auth, timeout=60, **options).status_code


def test_gold_scores_with_the_version_in_production_as_reader(url: str, login: Login, tmp_path: Path) -> None:
    login("reader")
    models = ProductionModel(Registry(url, 60), tmp_path)
    model = models.current()
    assert model is not None and model.version == "1" and models.problem == ""
    assert json.loads((model.folder / DESCRIPTION_FILE).read_text())["labels"]
    assert Registry(url, 60).description("1") == Description.read(BUNDLED)
    assert [version.version for version in Registry(url, 60).versions()] == ["1"]


def _writes(registry: Registry, folder: Path) -> dict[str, Callable[[], object]]:
    """Return every way to change the model, its versions and their files."""
    client, run = connect(registry.uri, 60), registry.version("1").run_id
    return {
        "register": lambda: registry.register(BUNDLED),
        "set an alias": lambda: registry.set_alias("staging", "1"),
        "delete an alias": lambda: client.delete_registered_model_alias(MODEL_NAME, "staging"),
        "release": lambda: registry.tag("1", "passed", "{}"),
        "withdraw": lambda: registry.tag("1", "withdrawn", "{}"),
        "delete a tag": lambda: registry.untag("1", "sha256"),
        "rename the model": lambda: client.rename_registered_model(MODEL_NAME, "other"),
        "delete the model": lambda: client.delete_registered_model(MODEL_NAME),
        "delete a version": lambda: client.delete_model_version(MODEL_NAME, "1"),
        "create a version": lambda: client.create_model_version(MODEL_NAME, f"models:/{MODEL_NAME}/1"),
        "create a model": lambda: client.create_registered_model("other"),
        "create an experiment": lambda: client.create_experiment("other"),
        "delete the experiment": lambda: client.delete_experiment("1"),
        "create a run": lambda: client.create_run("1"),
        "log a metric": lambda: client.log_metric(run, "figure", 1.0),
        "upload an artifact": lambda: client.log_artifact(run, str(folder / "any.txt")),
    }


@pytest.mark.parametrize("user", ["reader", "quality"])
def test_nobody_but_the_writer_changes_models(user: str, registry: Registry, login: Login, tmp_path: Path) -> None:
    (tmp_path / "any.txt").write_text("any")
    login(user)
    before = registry.versions()
    for name, write in _writes(registry, tmp_path).items():
        with pytest.raises(Exception, match=r"403") as caught:
            write()
        assert re.search("Permission denied|may not do this", str(caught.value)), name
    for method, path in (("PUT", f"{ARTIFACTS}/1/x"), ("DELETE", f"{ARTIFACTS}/1"), ("DELETE", f"{ARTIFACTS}/1/x")):
        assert send(registry.uri, method, path, user, data=b"any" if method == "PUT" else None) == 403, path
    assert registry.versions() == before


def test_the_quality_job_writes_findings_and_baselines_and_no_other_tags(registry: Registry, login: Login) -> None:
    login("quality")
    registry.tag_model("finding: throughput", {"since": "now"})
    registry.tag_model("acknowledged: throughput", {"by": "somebody"})
    registry.tag("1", "baseline en", "{}")
    registry.tag("1", "shadow figures", "{}")
    assert registry.model_tags().keys() == {"finding: throughput", "acknowledged: throughput"}
    for key in list(registry.model_tags()):
        registry.untag_model(key)
    with pytest.raises(RegistryError, match="403"):
        registry.tag_model("other", {})
    with pytest.raises(RegistryError, match="403"):
        registry.tag("1", "finding: throughput", "{}")
    login("reader")
    assert registry.model_tags() == {}
    with pytest.raises(RegistryError, match="403"):
        registry.tag_model("finding: throughput", {})
    # Whatever hides the key from one of the two checks of a request is refused.
    path, value = "/api/2.0/mlflow/registered-models/set-tag", {"name": MODEL_NAME, "value": "{}"}
    for body in (
        json.dumps(json.dumps({**value, "key": "finding: a"})),
        '["key"]',
        "",
        json.dumps({**value, "key": 1}),
    ):
        assert send(registry.uri, "POST", path, "quality", data=body) == 403, body
    assert send(registry.uri, "POST", path, "quality", params={"key": "finding: a"}, json={**value, "key": "b"}) == 403


def test_the_server_allows_the_tags_that_the_quality_job_writes() -> None:
    written = {
        "registered-models/set-tag": (findings._FINDING, findings._ACKNOWLEDGED),
        "registered-models/delete-tag": (findings._FINDING, findings._ACKNOWLEDGED),
        "model-versions/set-tag": (baseline._BASELINE, shadow._TAG),
    }
    # The module reads a configuration of MLflow when it is imported, and needs the packages of the server.
    source = (ROOT / "docker" / "mlflow_login.py").read_text()
    (allowed,) = re.findall(r'"quality": (\{\n.*?\n    \})', source, re.DOTALL)
    assert ast.literal_eval(allowed) == {f"/api/2.0/mlflow/{path}": tags for path, tags in written.items()}


def test_the_writer_releases_and_rolls_back(url: str, registry: Registry, login: Login, tmp_path: Path) -> None:
    login("writer")
    version = registry.register(BUNDLED)
    registry.log_gates(version, {"gate": 1.0}, {"gates": []})
    assert promote(registry, version, "a test", "a better one") == version
    assert roll_back(registry, "1", "a test", "no") == "1"
    assert roll_back(registry, version, "a test", "yes") == version
    assert roll_back(registry, "1", "a test", "the other tests expect it") == "1"
    with MlflowRun(url, 60, "upload") as run:
        uri = run.upload(write_data(tmp_path / "tweets", val=3), "tweets")
    assert {file.name for file in registry.download_artifacts(uri, tmp_path).iterdir()} >= {"val_text.txt"}
    connect(url, 60).delete_model_version(MODEL_NAME, version)


@pytest.mark.parametrize("user", ["reader", "quality", "writer"])
def test_only_the_administrator_manages_users(user: str, url: str) -> None:
    other = {"username": "mallory", "password": "a-long-password"}
    assert send(url, "POST", "/api/2.0/mlflow/users/create", user, json=other) == 403
    assert send(url, "GET", "/signup", user) == 403
    change = {"username": "admin", "password": "a-long-password"}
    assert send(url, "PATCH", "/api/2.0/mlflow/users/update-password", user, json=change) == 403
    promotion = {"username": user, "is_admin": True}
    assert send(url, "PATCH", "/api/2.0/mlflow/users/update-admin", user, json=promotion) == 403
    assert send(url, "DELETE", "/api/2.0/mlflow/users/delete", user, json={"username": "admin"}) == 403
    assert send(url, "GET", "/api/2.0/mlflow/users/get?username=admin", "admin") == 200


def test_a_user_without_permissions_sees_nothing(url: str) -> None:
    other = {"username": "visitor", "password": password("visitor")}
    assert send(url, "POST", "/api/2.0/mlflow/users/create", "admin", json=other) == 200
    assert send(url, "GET", f"/api/2.0/mlflow/registered-models/get?name={MODEL_NAME}", "visitor") == 403
    assert send(url, "GET", f"{ARTIFACTS}?path=1", "visitor") == 403
    assert send(url, "PUT", f"{ARTIFACTS}/1/x", "visitor", data=b"any") == 403


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/version",
        "/graphql",
        "/ajax-api/2.0/mlflow/runs/search",
        f"/api/2.0/mlflow/registered-models/get?name={MODEL_NAME}",
        "/api/2.0/mlflow/registered-models/alias",
        f"{ARTIFACTS}/1/any",
        "/signup",
    ],
)
def test_without_a_login_only_the_probe_is_answered(method: str, path: str, url: str) -> None:
    assert send(url, method, path) in {401, 404, 405}
    assert requests.request(method, f"{url}{path}", auth=("reader", "wrong"), timeout=60).status_code in {401, 404, 405}
    assert send(url, "GET", "/health") == 200


def test_an_upload_without_a_permitted_login_names_the_remedy(
    url: str, login: Login, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tweets = write_data(tmp_path / "tweets", val=3)

    def upload() -> str:
        words = ["model", "upload", str(tweets), "--registry", url]
        done = CliRunner().invoke(app, words, env={"TWEETS_REGISTRY_TIMEOUT": "60", "COLUMNS": "400"})
        assert done.exit_code == 2, done.output
        return done.stderr

    variables = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (docs/models.md#log-in-to-mlflow)"
    anonymous = upload()
    assert "it requires a login (401)" in anonymous and variables in anonymous
    login("reader")
    assert "the user reader may not do this (403): log in as a user who may, such as writer" in upload()
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not-the-password")
    refused = upload()
    assert "it does not accept the user reader with this password (401)" in refused and variables in refused
    assert "not-the-password" not in refused
    login("writer")
    done = CliRunner().invoke(app, ["model", "upload", str(tweets), "--registry", url])
    assert done.exit_code == 0, done.output


@contextmanager
def slow_store(server: str, files: tuple[str, ...], seconds: float) -> Iterator[str]:
    """Yield the URL of a proxy of an MLflow server whose artifact store takes `seconds` for each of `files`."""

    class Proxy(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.command == "PUT" and self.path.endswith(files):
                time.sleep(seconds)
            answer = requests.request(
                self.command, server + self.path, data=body, headers=dict(self.headers), timeout=60
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_request(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()


def test_an_upload_may_take_longer_than_other_requests(url: str, login: Login, tmp_path: Path) -> None:
    login("writer")
    tweets = write_data(tmp_path / "tweets", val=3)
    with slow_store(url, ("val_text.txt", DESCRIPTION_FILE), 6) as slow:
        words = ["model", "upload", str(tweets), "--registry", slow]
        done = CliRunner().invoke(app, words, env={"TWEETS_REGISTRY_TIMEOUT": "5", "COLUMNS": "400"})
        assert done.exit_code == 0, done.output
        version = Registry(slow, 5).register(BUNDLED)
    connect(url, 60).delete_model_version(MODEL_NAME, version)


def test_other_errors_of_a_server_keep_their_message(url: str, registry: Registry, login: Login) -> None:
    login("reader")
    with pytest.raises(RegistryError, match="no version '7'"):
        registry.version("7")
    status = send(url, "GET", "/api/2.0/mlflow/registered-models/get", "reader", headers={"Host": "elsewhere"})
    assert status == 403
    other = RuntimeError("API request failed with error code 403 != 200. Response body: 'Invalid Host header'")
    assert "Invalid Host header" in reason(other)


@pytest.mark.usefixtures("url")
def test_a_restart_sets_changed_passwords(home: Path, login: Login) -> None:
    """The last test: it starts a second server on the same database."""
    changed = {"writer": "another-password", "admin": "one-more-password"}
    path = f"/api/2.0/mlflow/registered-models/get?name={MODEL_NAME}"
    with mlflow_server(home, changed) as server:
        for user in USERS:
            assert send(server, "GET", path, user) == (401 if user in changed else 200), user
            auth = (user, changed.get(user, password(user)))
            assert requests.get(f"{server}{path}", auth=auth, timeout=60).status_code == 200
        login("reader")
        assert Registry(server, 60).production() == "1"
        with pytest.raises(TrackingError, match="403"):
            MlflowRun(server, 60, "upload")
    log = (home / "server.log").read_text()
    assert "Traceback" not in log
    assert not [user for user in USERS if password(user) in log or changed.get(user, "-" * 80) in log]
    assert oct((home / "auth.ini").stat().st_mode & 0o777) == "0o600"
