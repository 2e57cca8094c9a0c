"""A client of the registered model in an MLflow registry: its versions, their tags and aliases, and their files."""

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spark_apps.registry.connection import ensure_experiment, upload_timeout
from spark_apps.registry.log_model import log_model
from spark_apps.registry.requests import RegistryError, Requests
from spark_apps.registry.versions import DESCRIPTION_SHA256, STAGING, Version
from spark_apps.scoring.description import DESCRIPTION_FILE, Description, ModelError, sha256
from spark_apps.settings import MODEL_NAME, PRODUCTION, Settings

BUNDLED = Path(__file__).parents[2] / "models" / MODEL_NAME

# The description within a version, as `log_model` stores it.
_DESCRIPTION_PATH = f"artifacts/model/{DESCRIPTION_FILE}"
# Timeout of a download in multiples of the registry timeout: a model has 60 MB, other responses a few bytes.
_DOWNLOAD_TIMEOUT_FACTOR = 24
# Limit of the files of a version: four times those of an exported RoBERTa with 355 million parameters.
_MAX_BYTES = 8_000_000_000
# MLflow's error codes for a missing alias and for a missing model.
_NOT_FOUND = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}


def bundled_version() -> str:
    """Return the version that Gold stores with the labels of the bundled model."""
    return f"bundled-{Description.read(BUNDLED).sha256[:8]}"


class NoProductionError(RegistryError):
    """The registry answers, but no version of the model is in production."""


class Registry:
    """The registered model in one MLflow registry; `production.py` decides which version is in production."""

    def __init__(self, uri: str, timeout: float) -> None:
        """Create a client that connects at the first request.

        Args:
            uri: URI of an MLflow server, or sqlite:///….
            timeout: seconds after which a request fails. The first request and downloads may take longer.
        """
        self.uri = uri
        self._requests = Requests(uri, timeout)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Registry | None":
        """Return the registry of `settings`; None if they have no registry."""
        return cls(settings.registry, settings.registry_timeout) if settings.registry else None

    @classmethod
    def required(cls, settings: Settings) -> "Registry":
        """Return the registry of `settings`; raise `SettingsError` if they have no registry."""
        (uri,) = settings.require("registry")
        return cls(uri, settings.registry_timeout)

    def production(self) -> str:
        """Return the version with the alias `production`.

        Raises:
            NoProductionError: the registry answers, but no version has the alias.
            RegistryError: the registry does not answer.
        """
        version = self.alias(PRODUCTION)
        if version is None:
            raise NoProductionError(
                f"no version of {MODEL_NAME} is in production in the registry {self.uri}: release one "
                f"(tweet-sentiment model release --data DATA --registry {self.uri})"
            )
        return version

    def alias(self, name: str) -> str | None:
        """Return the version with the alias `name`; None if no version has it.

        Raises:
            RegistryError: the registry does not answer.
        """
        try:
            return str(self._requests.run(lambda client: client.get_model_version_by_alias(MODEL_NAME, name).version))
        except RegistryError as error:
            if getattr(error.__cause__, "error_code", "") not in _NOT_FOUND:
                raise
            return None

    def versions(self) -> list[Version]:
        """Return all versions, newest first."""
        versions = self._requests.run(lambda client: client.search_model_versions(f"name='{MODEL_NAME}'"))
        aliases: dict[str, str] = (
            self._requests.run(lambda client: client.get_registered_model(MODEL_NAME)).aliases if versions else {}
        )
        return [
            Version(
                version=str(version.version),
                aliases=sorted(alias for alias, target in aliases.items() if str(target) == str(version.version)),
                created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
                tags=dict(version.tags),
                run_id=version.run_id,
            )
            for version in sorted(versions, key=lambda version: -int(version.version))
        ]

    def version(self, name: str) -> Version:
        """Return the version with the number or the alias `name`; raise `RegistryError` if there is none."""
        versions = self.versions()
        version = next((version for version in versions if name == version.version or name in version.aliases), None)
        if version is None:
            known = ", ".join(version.version for version in versions) or "none"
            raise RegistryError(f"{MODEL_NAME} has no version {name!r} in the registry {self.uri}: it has {known}")
        return version

    def set_alias(self, alias: str, version: str) -> None:
        """Point `alias` at `version`."""
        self._requests.run(lambda client: client.set_registered_model_alias(MODEL_NAME, alias, version))

    def delete_alias(self, alias: str) -> None:
        """Delete `alias`; do nothing if no version has it."""
        self._requests.run(lambda client: client.delete_registered_model_alias(MODEL_NAME, alias))

    def tag(self, version: str, key: str, value: object) -> None:
        """Set a tag of `version`; a value that is not a string is written as JSON."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        self._requests.run(lambda client: client.set_model_version_tag(MODEL_NAME, version, key, text))

    def untag(self, version: str, key: str) -> None:
        """Delete a tag of `version`."""
        self._requests.run(lambda client: client.delete_model_version_tag(MODEL_NAME, version, key))

    def model_tags(self) -> dict[str, str]:
        """Return the tags of the registered model, which belong to no version."""
        return dict(self._requests.run(lambda client: client.get_registered_model(MODEL_NAME)).tags)

    def tag_model(self, key: str, value: object) -> None:
        """Set a tag of the registered model; the value is written as JSON."""
        text = json.dumps(value, ensure_ascii=False)
        self._requests.run(lambda client: client.set_registered_model_tag(MODEL_NAME, key, text))

    def untag_model(self, key: str) -> None:
        """Delete a tag of the registered model."""
        self._requests.run(lambda client: client.delete_registered_model_tag(MODEL_NAME, key))

    def log_gates(self, version: str, figures: Mapping[str, float], report: object) -> None:
        """Log figures as metrics and `report` as gates.json to the MLflow run that registered `version`."""
        run = self.version(version).run_id

        def write(client: Any) -> None:
            for name, figure in figures.items():
                client.log_metric(run, name, figure)
            client.log_dict(run, report, "gates.json")

        self._requests.run(write)

    def description(self, version: str) -> Description:
        """Return the description of `version`, without its other files.

        Raises:
            RegistryError: the registry does not answer, or the version has no description.
            ModelError: the description is invalid.
        """
        with tempfile.TemporaryDirectory() as scratch:
            uri = f"models:/{MODEL_NAME}/{version}/{_DESCRIPTION_PATH}"
            file = self._requests.run(lambda _: _download(uri, Path(scratch)))
            return Description.read(Path(file).parent)

    def download(self, version: str, folder: Path) -> Path:
        """Download the files of `version` to `folder`, and verify that they are those that were registered.

        Do nothing if `folder` exists.

        The folder appears only once all files are complete.

        Returns:
            `folder`.

        Raises:
            RegistryError: the registry does not answer, or the version has no description.
            ModelError: the files are too large, or a file is missing, damaged or was replaced after the registration.
        """
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                files = self._requests.run(
                    lambda client: _download_model(client, version, scratch), _DOWNLOAD_TIMEOUT_FACTOR
                )
                Description.read(files).check_model(files)
                files.rename(folder)
        return folder

    def download_artifacts(self, uri: str, folder: Path) -> Path:
        """Download the artifacts `runs:/<run>/<path>` into `folder`; return the folder of the artifacts inside it.

        Raises:
            RegistryError: the artifacts do not exist or are not a folder, or the registry does not answer.
        """
        try:
            path = Path(self._requests.run(lambda _: _download(uri, folder), _DOWNLOAD_TIMEOUT_FACTOR))
        except RegistryError as error:
            raise RegistryError(f"{uri} cannot be downloaded: {error}") from error
        if not path.is_dir():
            raise RegistryError(f"{uri} is not a folder in the registry {self.uri}: name the folder of the artifacts")
        return path

    def register(self, folder: Path) -> str:
        """Register the model in `folder` as a new version, move the alias `staging` to it, and return the version.

        The version is a pyfunc model: `mlflow.pyfunc.load_model("models:/tweet-sentiment@staging")` loads it.

        Raises:
            ModelError: a file in `folder` is missing or damaged.
            RegistryError: the registry does not answer.
        """
        description = Description.read(folder)
        description.check_model(folder)
        experiment = self._requests.run(ensure_experiment)
        try:
            # In this thread, without a timeout: the upload of a model takes longer than a request.
            with upload_timeout():
                version = log_model(experiment, description, folder)
        except ModuleNotFoundError:
            raise
        except Exception as error:  # see `Requests.run`
            raise self._requests.failure(error) from error
        self.tag(version, "sha256", description.sha256)
        self.tag(version, DESCRIPTION_SHA256, sha256(folder / DESCRIPTION_FILE))
        self.set_alias(STAGING, version)
        return version


def _download_model(client: Any, version: str, scratch: str) -> Path:
    """Download all files of a version, and return the folder with the description."""
    uri = f"models:/{MODEL_NAME}/{version}"
    if (size := _size(uri)) > _MAX_BYTES:
        raise ModelError(
            f"version {version} has {size / 1e6:,.0f} MB, more than the limit of {_MAX_BYTES / 1e6:,.0f} MB: release a "
            "smaller model"
        )
    file = next(Path(_download(uri, Path(scratch))).rglob(DESCRIPTION_FILE), None)
    if file is None:
        raise RegistryError(f"version {version} of {MODEL_NAME} has no {DESCRIPTION_FILE}: register it again")
    registered = client.get_model_version(MODEL_NAME, version).tags.get(DESCRIPTION_SHA256)
    if registered not in {None, sha256(file)}:
        raise ModelError(
            f"the files of version {version} were changed after the registration: register the model again"
        )
    return file.parent


def _size(uri: str) -> int:
    """Return the size of all artifacts of a version in bytes."""
    import mlflow

    files = mlflow.artifacts.list_artifacts(artifact_uri=uri)
    return sum(_size(f"{uri}/{Path(file.path).name}") if file.is_dir else file.file_size or 0 for file in files)


def _download(uri: str, folder: Path) -> str:
    import mlflow

    return str(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
