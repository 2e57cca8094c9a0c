"""The registry on MLflow's own stores: SQLite, and a real server that is then taken away."""

import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spark_apps.cli.main import app
from spark_apps.gold.production_model import ProductionModel, open_model
from spark_apps.registry.client import BUNDLED, NoProduction, Registry, RegistryError
from spark_apps.scoring.description import DESCRIPTION_FILE, MODEL_FILE, Description, ModelError
from spark_apps.settings import MODEL_NAME, Settings
from tests.model.folders import write_data


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'registry.db'}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with the bundled model as version 1, in production."""
    home = tmp_path_factory.mktemp("registry")
    assert Registry(sqlite(home), 60).ensure_production(BUNDLED) == "1"
    return home


def test_the_files_lie_beside_the_database(filled: Path) -> None:
    assert {file.name for file in filled.iterdir()} == {"registry.db", "artifacts"}
    assert not Path("mlruns").exists()


def test_what_is_in_production_stays(filled: Path) -> None:
    registry = Registry(sqlite(filled), 60)
    assert registry.ensure_production(BUNDLED) == "1"
    (version,) = registry.versions()
    assert version.aliases == ["production", "staging"]
    assert version.tags["sha256"] == Description.read(BUNDLED).sha256


def test_gold_follows_the_alias(filled: Path, tmp_path: Path) -> None:
    registry = Registry(sqlite(filled), 60)
    models = ProductionModel(registry, tmp_path)
    first = models.current()
    assert first is not None and first.version == "1"
    Description.read(first.folder).check_model(first.folder)
    second = registry.register(BUNDLED)
    assert models.current() == first
    registry.set_alias("production", second)
    moved = models.current()
    assert moved is not None and moved.version == second and moved.folder != first.folder
    registry.set_alias("production", "1")


def test_the_registered_version_is_a_model_of_mlflow_without_torch(filled: Path) -> None:
    code = (
        "import mlflow, pandas, sys\n"
        f"mlflow.set_registry_uri({sqlite(filled)!r}); mlflow.set_tracking_uri({sqlite(filled)!r})\n"
        f"model = mlflow.pyfunc.load_model('models:/{MODEL_NAME}@production')\n"
        "found = model.predict(pandas.DataFrame({'text': ['I love this', 'I hate this']}))\n"
        "print(list(found['label']), 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['positive', 'negative'] False False"


def test_an_empty_registry_and_an_absent_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NoProduction, match="tweet-sentiment model release --data DATA --registry"):
        Registry(sqlite(tmp_path), 60).production()
    absent = Registry(f"http://127.0.0.1:{free_port()}", 1)
    began = time.monotonic()
    with pytest.raises(RegistryError) as caught:
        absent.production()
    assert not isinstance(caught.value, NoProduction)
    with pytest.raises(RegistryError):
        absent.ensure_production(BUNDLED)
    assert time.monotonic() - began < 40


def test_a_damaged_model_is_not_registered(tmp_path: Path) -> None:
    shutil.copytree(BUNDLED, tmp_path / "model")
    (tmp_path / "model" / MODEL_FILE).write_bytes(b"not a model")
    with pytest.raises(ModelError, match="is damaged"):
        Registry(sqlite(tmp_path), 60).register(tmp_path / "model")


def test_without_a_registry_the_bundled_model_scores() -> None:
    model = open_model(Settings()).current()
    assert model is not None and model.folder == BUNDLED
    assert model.version == f"bundled-{Description.read(BUNDLED).sha256[:8]}"


@pytest.fixture
def server(filled: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An MLflow server over the filled registry, in a process group of its own."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", sqlite(filled), "--artifacts-destination", str(filled / "artifacts")]
    process = subprocess.Popen(
        command,
        # Its job runners are six processes, of which nothing here makes use.
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.3)
        yield url, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_server_that_goes_away_costs_nothing(
    server: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, process = server
    models = ProductionModel(Registry(url, 3), tmp_path)
    model = models.current()
    assert model is not None and json.loads((model.folder / DESCRIPTION_FILE).read_text())["labels"]
    assert models.problem == ""

    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert models.current() == model
        assert models.current() == model
    assert url in models.problem
    assert time.monotonic() - began < 20
    assert f"still scoring with model version {model.version}" in caplog.text

    # One that never had a version has none to give, and says so, once in a while.
    caplog.clear()
    models = ProductionModel(Registry(url, 1), tmp_path / "other")
    assert [models.current(), models.current()] == [None, None]
    assert caplog.text.count("waiting for a model to score with") == 1


def test_a_folder_that_is_uploaded_is_read_by_what_is_printed(
    server: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    url, _ = server
    tweets = write_data(tmp_path / "tweets", val=30)

    def model(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "spark_apps.cli.main", "model", *map(str, arguments), "--registry", url]
        env = os.environ | {"TWEETS_REGISTRY_TIMEOUT": "30", "COLUMNS": "200"}
        return subprocess.run(command, capture_output=True, text=True, env=env, check=False)

    done = model("upload", tweets)
    assert done.returncode == 0, done.stderr
    uri = done.stdout.removesuffix("\n")
    assert re.fullmatch("runs:/[0-9a-f]{32}/tweets", uri)
    found = json.loads(model("evaluate", "--data", uri, "--json").stdout)
    assert found["data"]["name"] == "tweets" and found["data"]["rows"] == 30
    for wrong, says in ((uri + "s", "cannot be fetched"), ("runs:/1/../2", "names no artifacts")):
        refused = model("evaluate", "--data", wrong)
        assert refused.returncode == 2 and says in refused.stderr, refused.stderr
        assert wrong in refused.stderr


def test_the_first_model_waits_for_a_registry_that_does_not_answer_yet() -> None:
    arguments = ["model", "first", "--registry", f"http://127.0.0.1:{free_port()}", "--wait", "1"]
    done = CliRunner().invoke(app, arguments, env={"TWEETS_REGISTRY_TIMEOUT": "1"})
    assert done.exit_code == 2 and "waiting: the registry" in done.stderr and "error" in done.stderr
