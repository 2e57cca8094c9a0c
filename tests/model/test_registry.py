"""The registry on SQLite, and on an MLflow server that the last test kills."""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from spark_apps.cli.main import app
from spark_apps.gold.production_model import ProductionModel, open_model
from spark_apps.registry.client import BUNDLED, NoProductionError, Registry
from spark_apps.registry.production import ensure_production, promote, roll_back
from spark_apps.registry.requests import RegistryError
from spark_apps.registry.versions import DESCRIPTION_SHA256
from spark_apps.scoring.description import DESCRIPTION_FILE, MODEL_FILE, Description, ModelError, sha256
from spark_apps.settings import MODEL_NAME, Settings
from tests.model.folders import write_data
from tests.process import free_port
from tests.waiting import answers, until


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'registry.db'}"


def test_mlflow_sends_no_usage_statistics() -> None:
    code = (
        "from spark_apps.registry.connection import connect; connect('http://localhost:1', 1); "
        "from mlflow.telemetry.utils import is_telemetry_disabled; print(is_telemetry_disabled())"
    )
    # MLflow sends none in a test or in CI, which it recognises by variables: give it only the path.
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a registry with the bundled model in production, as version 1."""
    home = tmp_path_factory.mktemp("registry")
    assert ensure_production(Registry(sqlite(home), 60), BUNDLED) == "1"
    return home


def test_artifacts_are_stored_beside_the_database(filled: Path) -> None:
    assert {file.name for file in filled.iterdir()} == {"registry.db", "artifacts"}
    assert not Path("mlruns").exists()


def test_a_version_in_production_is_not_replaced(filled: Path) -> None:
    registry = Registry(sqlite(filled), 60)
    assert ensure_production(registry, BUNDLED) == "1"
    (version,) = registry.versions()
    assert version.aliases == ["production", "staging"]
    assert version.tags["sha256"] == Description.read(BUNDLED).sha256


def test_gold_follows_the_alias_production(filled: Path, tmp_path: Path) -> None:
    registry = Registry(sqlite(filled), 60)
    models = ProductionModel(registry, tmp_path)
    first = models.current()
    assert first is not None and first.version == "1"
    Description.read(first.folder).check_model(first.folder)
    second = registry.register(BUNDLED)
    assert models.current() == first
    promote(registry, second, "me", "the same once more")
    moved = models.current()
    assert moved is not None and moved.version == second and moved.folder != first.folder
    roll_back(registry, "1", "me", "the first was better")


def test_gold_keeps_its_model_if_the_alias_names_a_version_that_has_not_passed(filled: Path, tmp_path: Path) -> None:
    registry = Registry(sqlite(filled), 60)
    models = ProductionModel(registry, tmp_path)
    first = models.current()
    registry.set_alias("production", unjudged := registry.register(BUNDLED))
    assert models.current() == first
    assert f"version {unjudged} has the alias production, but has not passed the gates" in models.problem
    other = ProductionModel(registry, tmp_path / "other")
    assert other.current() is None and other.problem == models.problem
    registry.set_alias("production", "1")
    assert models.current() == first and not models.problem


def test_files_that_were_replaced_after_the_registration_are_not_loaded(tmp_path: Path) -> None:
    """Whoever can write to the artifact store can make the checksums of the description match."""
    registry = Registry(sqlite(tmp_path), 60)
    ensure_production(registry, BUNDLED)
    (stored,) = (tmp_path / "artifacts").rglob(DESCRIPTION_FILE)
    (stored.parent / MODEL_FILE).write_bytes(b"another graph")
    fields = json.loads(stored.read_text())
    fields["checksums"][MODEL_FILE] = sha256(stored.parent / MODEL_FILE)
    stored.write_text(json.dumps(fields))
    Description.read(stored.parent).check_model(stored.parent)
    with pytest.raises(ModelError, match=r"files of version 1 were changed after the registration: register the model"):
        registry.download("1", tmp_path / "downloaded")
    assert not (tmp_path / "downloaded").exists()
    # A version that an older program has registered has no such tag.
    registry.untag("1", DESCRIPTION_SHA256)
    registry.download("1", tmp_path / "downloaded")


def test_files_that_are_too_large_are_not_downloaded(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spark_apps.registry.client._MAX_BYTES", 100_000_000)
    with pytest.raises(ModelError, match=r"version 1 has 1\d\d MB, more than the limit of 100 MB"):
        Registry(sqlite(filled), 60).download("1", tmp_path / "downloaded")


def test_the_description_of_a_version_is_read_without_its_other_files(filled: Path) -> None:
    registry = Registry(sqlite(filled), 60)
    assert registry.description("1") == Description.read(BUNDLED)
    with pytest.raises(RegistryError, match="version=99"):
        registry.description("99")


def test_mlflow_loads_the_registered_version_without_torch(filled: Path) -> None:
    code = (
        "import mlflow, pandas, sys\n"
        f"mlflow.set_registry_uri({sqlite(filled)!r}); mlflow.set_tracking_uri({sqlite(filled)!r})\n"
        f"model = mlflow.pyfunc.load_model('models:/{MODEL_NAME}@production')\n"
        "predicted = model.predict(pandas.DataFrame({'text': ['I love this', 'I hate this']}))\n"
        "print(list(predicted['label']), 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['positive', 'negative'] False False"


def test_an_empty_registry_and_an_unreachable_one_raise_different_errors(tmp_path: Path) -> None:
    with pytest.raises(NoProductionError, match="tweet-sentiment model release --data DATA --registry"):
        Registry(sqlite(tmp_path), 60).production()
    unreachable = Registry(f"http://127.0.0.1:{free_port()}", 1)
    began = time.monotonic()
    with pytest.raises(RegistryError) as caught:
        unreachable.production()
    assert not isinstance(caught.value, NoProductionError)
    with pytest.raises(RegistryError):
        ensure_production(unreachable, BUNDLED)
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


@pytest.fixture(scope="module")
def server(filled: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yield the URL and the process of an MLflow server for the filled registry, in a process group of its own."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", sqlite(filled), "--artifacts-destination", str(filled / "artifacts")]
    process = subprocess.Popen(
        command,
        # Do not start the job runners: six processes that these tests do not need.
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def is_healthy() -> bool:
        assert process.poll() is None, "the MLflow server has exited"
        return answers(f"{url}/health")

    try:
        until(is_healthy, 300, "a healthy MLflow server", every=0.3)
        yield url, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_upload_prints_the_uri_that_evaluate_reads(server: tuple[str, subprocess.Popen[bytes]], tmp_path: Path) -> None:
    url, _ = server
    tweets = write_data(tmp_path / "tweets", val=30)

    def model(*arguments: str | Path) -> Result:
        words = ["model", *map(str, arguments), "--registry", url]
        return CliRunner().invoke(app, words, env={"TWEETS_REGISTRY_TIMEOUT": "30", "COLUMNS": "200"})

    done = model("upload", tweets)
    assert done.exit_code == 0, done.output
    uri = done.stdout.removesuffix("\n")
    assert re.fullmatch("runs:/[0-9a-f]{32}/tweets", uri)
    metrics = json.loads(model("evaluate", "--data", uri, "--json").stdout)
    assert metrics["data"]["name"] == "tweets" and metrics["data"]["rows"] == 30
    for wrong, error in ((uri + "s", "cannot be downloaded"), ("runs:/1/../2", "is not a URI of artifacts")):
        refused = model("evaluate", "--data", wrong)
        assert refused.exit_code == 2 and error in refused.stderr, refused.stderr
        assert wrong in refused.stderr


def test_the_first_model_waits_for_the_registry() -> None:
    arguments = ["model", "first", "--registry", f"http://127.0.0.1:{free_port()}", "--wait", "1"]
    done = CliRunner().invoke(app, arguments, env={"TWEETS_REGISTRY_TIMEOUT": "1"})
    assert done.exit_code == 2 and "waiting: the registry" in done.stderr and "error" in done.stderr


def test_scoring_continues_after_the_server_is_killed(
    server: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, process = server
    models = ProductionModel(Registry(url, 3), tmp_path)
    model = models.current()
    assert model is not None and json.loads((model.folder / DESCRIPTION_FILE).read_text())["labels"]
    assert Registry(url, 3).description(model.version) == Description.read(BUNDLED)
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

    # Without an earlier version, Gold waits; two calls log one message.
    caplog.clear()
    models = ProductionModel(Registry(url, 1), tmp_path / "other")
    assert [models.current(), models.current()] == [None, None]
    assert caplog.text.count("waiting for a model to score with") == 1
