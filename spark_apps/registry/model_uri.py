"""Resolves a path, runs:/… or models:/… to the folder of a model or of labelled tweets.

Downloads go to a temporary folder, which exists until the context manager exits.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from spark_apps.registry.client import BUNDLED, Registry
from spark_apps.scoring.description import ModelError
from spark_apps.settings import MODEL_NAME, PRODUCTION

_RUNS = "runs:/"
_RUN_URI = re.compile(r"runs:/[0-9a-zA-Z_-]+(/(?!\.\.?(/|$))[^/]+)+")
_MODEL_URI = re.compile(r"models:/(?P<name>[^@/]+)(?:@(?P<alias>[^@/]+)|/(?P<version>\d+))")


@contextmanager
def fetch_folder(source: str, registry: Registry | None) -> Iterator[str]:
    """Download `runs:/<run>/<path>` from `registry` and yield the folder; yield any other `source` unchanged.

    A `source` may also be a Hugging Face id, so the result is a string.

    Raises:
        ModelError: the URI is malformed, or names artifacts that do not exist.
    """
    if not source.startswith(_RUNS):
        yield source
        return
    if not _RUN_URI.fullmatch(source):
        raise ModelError(f"{source} is not a URI of artifacts: write runs:/<run>/<path>, as `model upload` prints it")
    if registry is None:
        raise ModelError(f"{source} is stored in a registry: name the registry with --registry (or TWEETS_REGISTRY)")
    with tempfile.TemporaryDirectory(prefix=f"{MODEL_NAME}-") as scratch:
        yield str(registry.download_artifacts(source, Path(scratch)))


@contextmanager
def fetch_folders(registry: Registry | None, *sources: str) -> Iterator[list[str]]:
    """Yield the folder of each source, as `fetch_folder` does."""
    with ExitStack() as stack:
        yield [stack.enter_context(fetch_folder(source, registry)) for source in sources]


@contextmanager
def fetch_model(model: str | None, registry: Registry | None) -> Iterator[Path]:
    """Yield the folder of a model.

    Args:
        model: a folder, `runs:/<run>/<path>`, `models:/tweet-sentiment@<alias>` or `models:/tweet-sentiment/<version>`;
            None for the bundled model.
        registry: registry to download from.

    Raises:
        ModelError: the URI is malformed, or names a model that does not exist.
    """
    if model is None:
        yield BUNDLED
    elif is_version(model):
        with fetch_version(*find_version(model, registry)) as folder:
            yield folder
    else:
        with fetch_folder(model, registry) as files:
            yield Path(files)


def is_version(model: str) -> bool:
    """Return whether `model` is the URI of a registered version, not a folder or the artifacts of a run."""
    return model.startswith("models:")


def find_version(model: str, registry: Registry | None) -> tuple[Registry, str]:
    """Return the registry and the version that `models:/tweet-sentiment@<alias>` or `…/<version>` names.

    Raises:
        ModelError: the URI is malformed, or names a model that does not exist.
    """
    uri = _MODEL_URI.fullmatch(model)
    if uri is None or uri["name"] != MODEL_NAME:
        raise ModelError(
            f"--model {model} does not name a version of {MODEL_NAME}: write models:/{MODEL_NAME}@{PRODUCTION} or "
            f"models:/{MODEL_NAME}/<version>"
        )
    if registry is None:
        raise ModelError(
            f"--model {model} is stored in a registry: name the registry with --registry (or TWEETS_REGISTRY)"
        )
    return registry, registry.version(uri["version"] or uri["alias"]).version


@contextmanager
def fetch_version(registry: Registry, version: str) -> Iterator[Path]:
    """Download a registered version and yield its folder."""
    with tempfile.TemporaryDirectory(prefix=f"{MODEL_NAME}-") as scratch:
        yield registry.download(version, Path(scratch) / version)
