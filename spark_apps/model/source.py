"""The model that is meant: a folder, a version or an alias of the registry, or the one that comes with the project."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spark_apps.model.registry import BUNDLED, Registry
from spark_apps.scoring.scorer import ModelError
from spark_apps.settings import MODEL_NAME, PRODUCTION

_URI = re.compile(r"models:/(?P<name>[^@/]+)(?:@(?P<alias>[^@/]+)|/(?P<version>\d+))")


@contextmanager
def model_folder(model: str | None, registry: Registry | None) -> Iterator[Path]:
    """Give the folder of `model`, for as long as the context lasts; None is the bundled model.

    `models:/tweet-sentiment@<alias>` and `models:/tweet-sentiment/<version>` are fetched from `registry`. A
    `ModelError` names what is not there.
    """
    if model is None:
        yield BUNDLED
    elif not model.startswith("models:"):
        yield Path(model)
    else:
        with tempfile.TemporaryDirectory(prefix=f"{MODEL_NAME}-") as scratch:
            yield _fetch(model, registry, Path(scratch))


def _fetch(uri: str, registry: Registry | None, scratch: Path) -> Path:
    found = _URI.fullmatch(uri)
    if found is None or found["name"] != MODEL_NAME:
        raise ModelError(f"--model {uri}: write models:/{MODEL_NAME}@{PRODUCTION} or models:/{MODEL_NAME}/<version>")
    if registry is None:
        raise ModelError(f"--model {uri} is a version of a registry: name it by --registry (or TWEETS_REGISTRY)")
    version = found["version"] or _aliased(registry, found["alias"])
    return registry.download(version, scratch / version)


def _aliased(registry: Registry, alias: str) -> str:
    if alias == PRODUCTION:
        return registry.production()
    versions = registry.versions()
    for version in versions:
        if alias in version["aliases"]:
            return str(version["version"])
    known = sorted({name for version in versions for name in version["aliases"]})
    raise ModelError(
        f"no version of {MODEL_NAME} has the alias {alias} in the registry {registry.uri}; "
        f"it has {', '.join(known) or 'no alias'}"
    )
