"""The registered model in an MLflow registry: its versions, and which of them is in production.

A version that may be in production carries the tag `passed`, one that was taken back `withdrawn` too. The alias
`production` names the highest version that passed and was not withdrawn; each move of it is a tag of the version that
it moved to. MLflow's aliases know no compare-and-set, so whoever moves the alias writes the tags first, then moves it,
then reads the tags again: of two releases at one instant the higher version wins, whichever ends last.
"""

import getpass
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from spark_apps.registry.connection import connect, experiment
from spark_apps.registry.log_model import log_model
from spark_apps.registry.versions import MOVED, PASSED, STAGING, WITHDRAWN, Version
from spark_apps.scoring.description import DESCRIPTION_FILE, Description, ModelError
from spark_apps.settings import MODEL_NAME, PRODUCTION, Settings

BUNDLED = Path(__file__).parents[2] / "models" / MODEL_NAME

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
        self.uri = uri
        self._timeout = timeout
        self._client: Any = None
        # The sqlite store opens no socket, yet may wait for a lock: a thread bounds both.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registry")
        self._asked: Future[Any] | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Registry | None":
        """Return the registry that `settings` name; None where they name none."""
        return cls(settings.registry, settings.registry_timeout) if settings.registry else None

    @classmethod
    def required(cls, settings: Settings) -> "Registry":
        """Return the registry that `settings` name; `SettingsError` where they name none."""
        (uri,) = settings.require("registry")
        return cls(uri, settings.registry_timeout)

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
                f"no version of {MODEL_NAME} is in production in the registry {self.uri}: release one "
                f"(tweet-sentiment model release --data DATA --registry {self.uri})"
            ) from error

    def versions(self) -> list[Version]:
        """Return all versions, newest first."""
        found = self._ask(lambda client: client.search_model_versions(f"name='{MODEL_NAME}'"))
        aliases: dict[str, str] = (
            self._ask(lambda client: client.get_registered_model(MODEL_NAME)).aliases if found else {}
        )
        return [
            Version(
                version=str(version.version),
                aliases=sorted(name for name, of in aliases.items() if str(of) == str(version.version)),
                created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
                tags=dict(version.tags),
                run_id=version.run_id,
            )
            for version in sorted(found, key=lambda version: -int(version.version))
        ]

    def version(self, name: str) -> Version:
        """Return the version that `name` names: a number, `production` or `staging`."""
        found = self.versions()
        named = next((version for version in found if name == version.version or name in version.aliases), None)
        if named is None:
            known = ", ".join(version.version for version in found) or "none"
            raise RegistryError(f"{MODEL_NAME} has no version {name!r} in the registry {self.uri}; there are: {known}")
        return named

    def set_alias(self, alias: str, version: str) -> None:
        """Let `alias` name `version`."""
        self._ask(lambda client: client.set_registered_model_alias(MODEL_NAME, alias, version))

    def tag(self, version: str, key: str, value: object) -> None:
        """Set a tag of `version`; what is no text is written as JSON."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        self._ask(lambda client: client.set_model_version_tag(MODEL_NAME, version, key, text))

    def model_tags(self) -> dict[str, str]:
        """Return the tags of the model itself, which are of no version."""
        return dict(self._ask(lambda client: client.get_registered_model(MODEL_NAME)).tags)

    def tag_model(self, key: str, value: object) -> None:
        """Set a tag of the model itself, as JSON."""
        text = json.dumps(value, ensure_ascii=False)
        self._ask(lambda client: client.set_registered_model_tag(MODEL_NAME, key, text))

    def untag_model(self, key: str) -> None:
        self._ask(lambda client: client.delete_registered_model_tag(MODEL_NAME, key))

    def promote(self, version: str, by: str, why: str) -> str:
        """Let `version` be one that passed, and move `production` to the highest of those; return it."""
        self.tag(version, PASSED, {"at": _now(), "by": by, "why": why})
        return self._settle(by, why)

    def withdraw(self, target: str, by: str, why: str) -> str:
        """Withdraw all versions above `target` that passed, and move `production` back to it."""
        for version in self.versions():
            if int(version.version) > int(target) and version.may_be_production:
                self.tag(version.version, WITHDRAWN, {"at": _now(), "by": by, "why": why})
        if WITHDRAWN in self.version(target).tags:
            self._ask(lambda client: client.delete_model_version_tag(MODEL_NAME, target, WITHDRAWN))
        return self._settle(by, why)

    def _settle(self, by: str, why: str) -> str:
        """Let `production` name the version that the tags say, and write down the move; return the version."""
        while True:
            versions = self.versions()
            winner = next(version for version in versions if version.may_be_production)
            if PRODUCTION in winner.aliases:
                return winner.version
            before = next((version.version for version in versions if PRODUCTION in version.aliases), None)
            move = {"from": before, "to": winner.version, "by": by, "why": why}
            self.tag(winner.version, f"{MOVED}{_now()}", move)
            self.set_alias(PRODUCTION, winner.version)

    def log(self, version: str, figures: Mapping[str, float], report: object) -> None:
        """Add figures, and a report as `gates.json`, to the MLflow run in which `version` was registered."""
        run = self.version(version).run_id

        def write(client: Any) -> None:
            for name, figure in figures.items():
                client.log_metric(run, name, figure)
            client.log_dict(run, report, "gates.json")

        self._ask(write)

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
        root = _download(f"models:/{MODEL_NAME}/{version}", Path(scratch))
        found = next(Path(root).rglob(DESCRIPTION_FILE), None)
        if found is None:
            raise RegistryError(f"version {version} of {MODEL_NAME} holds no {DESCRIPTION_FILE}: register it again")
        return str(found.parent)

    def artifacts(self, uri: str, folder: Path) -> Path:
        """Fetch the artifacts `runs:/<run>/<path>` into `folder`; return what lies there."""
        try:
            found = Path(self._ask(lambda _: _download(uri, folder), _DOWNLOAD_TIMEOUT_FACTOR))
        except RegistryError as error:
            raise RegistryError(f"{uri} cannot be fetched: {error}") from error
        if not found.is_dir():
            raise RegistryError(f"{uri} is no folder in the registry {self.uri}")
        return found

    def register(self, folder: Path) -> str:
        """Register the model in `folder` as a new version, which the alias `staging` names from then on.

        The version is a pyfunc model: `mlflow.pyfunc.load_model("models:/tweet-sentiment@production")` gives labels.
        """
        description = Description.read(folder)
        description.check_model(folder)
        version = log_model(self._ask(experiment), description, folder)
        self.tag(version, "sha256", description.sha256)
        self.set_alias(STAGING, version)
        return version

    def ensure_production(self, folder: Path) -> str:
        """Return the version in production; where there is none, register `folder` as it."""
        try:
            return self.production()
        except NoProduction:
            return self.promote(self.register(folder), getpass.getuser(), "the first version")

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
            self._client = connect(self.uri, self._timeout)
        return question(self._client)


def _download(uri: str, folder: Path) -> str:
    import mlflow

    return str(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
