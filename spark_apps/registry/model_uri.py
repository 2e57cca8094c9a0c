"""What a name means: a folder, the artifacts of an MLflow run, a registered version, or the model of the project."""

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
_URI = re.compile(r"models:/(?P<name>[^@/]+)(?:@(?P<alias>[^@/]+)|/(?P<version>\d+))")


@contextmanager
def fetched(name: str, registry: Registry | None) -> Iterator[str]:
    """Give the folder of the artifacts `runs:/<run>/<path>`, for as long as the context lasts; all else is itself.

    A `ModelError` names what is not there.
    """
    if not name.startswith(_RUNS):
        yield name
        return
    if not _RUN_URI.fullmatch(name):
        raise ModelError(f"{name} names no artifacts: write runs:/<run>/<path>, as `model upload` prints it")
    if registry is None:
        raise ModelError(f"{name} is of an MLflow run: name its registry by --registry (or TWEETS_REGISTRY)")
    with tempfile.TemporaryDirectory(prefix=f"{MODEL_NAME}-") as scratch:
        yield str(registry.artifacts(name, Path(scratch)))


@contextmanager
def all_fetched(registry: Registry | None, *names: str) -> Iterator[list[str]]:
    """Give what `fetched` gives, of several names."""
    with ExitStack() as stack:
        yield [stack.enter_context(fetched(name, registry)) for name in names]


@contextmanager
def model_folder(model: str | None, registry: Registry | None) -> Iterator[Path]:
    """Give the folder of `model`, for as long as the context lasts; None is the bundled model.

    `models:/tweet-sentiment@<alias>`, `models:/tweet-sentiment/<version>` and `runs:/<run>/<path>` are fetched from
    `registry`. A `ModelError` names what is not there.
    """
    if model is None:
        yield BUNDLED
    elif not model.startswith("models:"):
        with fetched(model, registry) as folder:
            yield Path(folder)
    else:
        found = _URI.fullmatch(model)
        if found is None or found["name"] != MODEL_NAME:
            raise ModelError(
                f"--model {model}: write models:/{MODEL_NAME}@{PRODUCTION} or models:/{MODEL_NAME}/<version>"
            )
        if registry is None:
            raise ModelError(f"--model {model} is a version of a registry: name it by --registry (or TWEETS_REGISTRY)")
        with version_folder(registry, registry.version(found["version"] or found["alias"]).version) as folder:
            yield folder


@contextmanager
def version_folder(registry: Registry, version: str) -> Iterator[Path]:
    """Give the folder of a registered version, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix=f"{MODEL_NAME}-") as scratch:
        yield registry.download(version, Path(scratch) / version)
