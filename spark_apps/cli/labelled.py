"""Resolves the options --data and --language to labelled tweets."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spark_apps.model.dataset import LabelledTweets
from spark_apps.registry.client import Registry
from spark_apps.registry.model_uri import fetch_folders


@contextmanager
def fetch_tweets(registry: Registry | None, data: Sequence[str], language: str) -> Iterator[LabelledTweets]:
    """Yield the labelled tweets in the folders `data`, which are downloaded if they are runs:/… URIs."""
    with fetch_folders(registry, *data) as folders:
        yield LabelledTweets(tuple(Path(folder) for folder in folders), language)
