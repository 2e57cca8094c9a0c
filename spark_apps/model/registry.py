"""The model in production: from the MLflow registry, or the one that comes with the project."""

import logging
import os
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from spark_apps.scoring.scorer import DESCRIPTION_FILE, Description, ModelError, ModelVersion
from spark_apps.settings import MODEL_NAME, PRODUCTION, Settings

BUNDLED = Path(__file__).parents[2] / "models" / MODEL_NAME
EXPERIMENT = MODEL_NAME

_log = logging.getLogger(__name__)
_WAIT_SECONDS = 2.0
_SAY_SECONDS = 10.0
# A download is 60 MB; the alias is a few bytes.
_DOWNLOAD_TIMEOUT_FACTOR = 24
# What MLflow says of an alias that is not set, and of one whose model is not registered.
_NOT_THERE = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}

T = TypeVar("T")


class RegistryError(ModelError):
    """The registry cannot be reached, or has no such version."""


class NoProduction(RegistryError):  # noqa: N818 - the word of the domain
    """The registry answers, and no version of the model is in production there."""


class Registry:
    """The registered model in one MLflow registry."""

    def __init__(self, uri: str, timeout: float) -> None:
        """`uri` is that of an MLflow server, or sqlite:///…; each question is given up after `timeout` seconds."""
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        # MLflow reads these at each request; its own defaults block for minutes when a server is down.
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, round(timeout)))
        self.uri = uri
        self._timeout = timeout
        self._client: Any = None
        # The sqlite store opens no socket, yet may wait for a lock: a thread bounds both.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registry")
        self._asked: Future[Any] | None = None

    def production(self) -> str:
        """Return the version that the alias `production` names.

        Raises `NoProduction` where there is none, `RegistryError` where there is no answer.
        """
        try:
            return str(self._ask(lambda client: client.get_model_version_by_alias(MODEL_NAME, PRODUCTION).version))
        except RegistryError as error:
            if getattr(error.__cause__, "error_code", "") not in _NOT_THERE:
                raise
            raise NoProduction(
                f"no version of {MODEL_NAME} is in production in the registry {self.uri}: register one "
                f"(tweet-sentiment model register --registry {self.uri})"
            ) from error

    def versions(self) -> list[dict[str, Any]]:
        """Return the versions, newest first: version, aliases, created (epoch ms) and tags of each."""
        found = self._ask(lambda client: client.search_model_versions(f"name='{MODEL_NAME}'"))
        aliases: dict[str, str] = (
            self._ask(lambda client: client.get_registered_model(MODEL_NAME)).aliases if found else {}
        )
        return [
            {
                "version": str(version.version),
                "aliases": sorted(name for name, of in aliases.items() if str(of) == str(version.version)),
                "created": version.creation_timestamp,
                "tags": dict(version.tags),
            }
            for version in sorted(found, key=lambda version: -int(version.version))
        ]

    def set_alias(self, alias: str, version: str) -> None:
        """Let `alias` name `version`."""
        self._ask(lambda client: client.set_registered_model_alias(MODEL_NAME, alias, version))

    def download(self, version: str, folder: Path) -> Path:
        """Fetch the files of `version` to `folder`, whole or not at all, and check them."""
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                files = Path(self._ask(lambda _: self._fetch(version, scratch), _DOWNLOAD_TIMEOUT_FACTOR))
                Description.read(files).check_model(files)
                files.rename(folder)
        return folder

    def _fetch(self, version: str, scratch: str) -> str:
        import mlflow

        root = mlflow.artifacts.download_artifacts(f"models:/{MODEL_NAME}/{version}", dst_path=scratch)
        found = next(Path(root).rglob(DESCRIPTION_FILE), None)
        if found is None:
            raise RegistryError(f"version {version} of {MODEL_NAME} holds no {DESCRIPTION_FILE}: register it again")
        return str(found.parent)

    def register(self, folder: Path, alias: str | None = None) -> str:
        """Register the model in `folder` as a new version, moving `alias` to it; return its number.

        The version is a pyfunc model: `mlflow.pyfunc.load_model("models:/tweet-sentiment@production")` gives labels.
        """
        description = Description.read(folder)
        description.check_model(folder)
        import mlflow

        self._ask(_ensure_experiment)
        mlflow.set_experiment(EXPERIMENT)
        with _quiet(), tempfile.TemporaryDirectory() as scratch, mlflow.start_run(run_name="register"):
            files = Path(scratch) / "model"
            files.mkdir()
            for file in description.files():
                shutil.copyfile(folder / file, files / file)
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                artifacts={"model": str(files)},
                signature=_signature(),
                pip_requirements=[f"{name}=={_version(name)}" for name in ("onnxruntime", "tokenizers", "numpy")],
                registered_model_name=MODEL_NAME,
            )
        version = str(logged.registered_model_version)
        self._ask(lambda client: client.set_model_version_tag(MODEL_NAME, version, "sha256", description.sha256))
        if alias:
            self.set_alias(alias, version)
        return version

    def ensure_production(self, folder: Path) -> str:
        """Return the version in production; where there is none, register `folder` as it."""
        try:
            return self.production()
        except NoProduction:
            return self.register(folder, PRODUCTION)

    def _ask(self, question: Callable[[Any], T], times: int = 1) -> T:
        if self._asked is not None and not self._asked.done():
            raise RegistryError(f"the registry {self.uri} still owes an answer")
        future = self._thread.submit(self._answer, question)
        self._asked = future
        try:
            # Importing MLflow takes seconds, the first time.
            patience = self._timeout * times + (30 if self._client is None else 0)
            return future.result(patience)
        except FutureTimeoutError:
            raise RegistryError(f"the registry {self.uri} did not answer within {self._timeout * times:g} s") from None
        except ModelError:
            raise
        except Exception as error:  # MLflow lets through what its stores and its HTTP library raise
            raise RegistryError(f"the registry {self.uri}: {str(error).splitlines()[0][:300]}") from error

    def _answer(self, question: Callable[[Any], T]) -> T:
        if self._client is None:
            import mlflow

            # Some of its functions know no other registry than the one of the process.
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            # What it says of its migrations and its uploads is no news to the user of a stream.
            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.ERROR)
            self._client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return question(self._client)


class ProductionModel:
    """The version that `production` names, asked for at each micro-batch."""

    def __init__(self, registry: Registry, cache: Path) -> None:
        self._registry = registry
        self._cache = cache
        self._have: ModelVersion | None = None
        self._problem = ""

    def current(self, stopping: threading.Event) -> ModelVersion | None:
        """Return the version in production.

        While the registry cannot be reached, or its new version cannot be used, the version before stays. Where
        there is none yet this waits, and says so; None when `stopping` was set meanwhile.
        """
        said = 0.0
        while True:
            try:
                version = self._registry.production()
                if self._have is None or self._have.version != version:
                    folder = self._registry.download(version, self._cache / version)
                    self._have = ModelVersion(MODEL_NAME, version, folder)
                    _log.info("model %s version %s is in production", MODEL_NAME, version)
                self._problem = ""
                return self._have
            except ModelError as error:
                if self._have is not None:
                    if str(error) != self._problem:
                        _log.warning("going on with version %s of the model: %s", self._have.version, error)
                    self._problem = str(error)
                    return self._have
                if time.monotonic() - said > _SAY_SECONDS:
                    _log.warning("no model to score with, waiting: %s", error)
                    said = time.monotonic()
            if stopping.wait(_WAIT_SECONDS):
                return None


class BundledModel:
    """The model that comes with the project; no registry is asked."""

    def current(self, _stopping: threading.Event) -> ModelVersion:
        return ModelVersion(MODEL_NAME, f"bundled-{Description.read(BUNDLED).sha256[:8]}", BUNDLED)


def open_model(settings: Settings) -> BundledModel | ProductionModel:
    """Return the model that `settings` name: `registry`'s in production, else the bundled one."""
    if settings.registry is None:
        return BundledModel()
    # Of this process alone: two registries may use one number for different models.
    cache = Path(tempfile.mkdtemp(prefix="tweet-sentiment-model-"))
    return ProductionModel(Registry(settings.registry, settings.registry_timeout), cache)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's remarks from the terminal; what goes wrong is raised."""
    from mlflow.utils.logging_utils import disable_logging, enable_logging

    disable_logging()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        enable_logging()


def _ensure_experiment(client: Any) -> None:
    """Create the experiment of the releases; with a SQLite registry its files lie beside the database."""
    if client.get_experiment_by_name(EXPERIMENT) is None:
        database = client.tracking_uri.removeprefix("sqlite:///")
        beside = None if database == client.tracking_uri else (Path(database).parent / "artifacts").absolute().as_uri()
        client.create_experiment(EXPERIMENT, artifact_location=beside)


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    columns = ["label", "negative", "neutral", "positive"]
    types = [DataType.string, DataType.float, DataType.float, DataType.float]
    return ModelSignature(
        Schema([ColSpec(DataType.string, "text")]),
        Schema([ColSpec(type_, name) for type_, name in zip(types, columns, strict=True)]),
    )


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)
