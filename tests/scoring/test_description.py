"""What the description of a model says about the languages of its training tweets."""

from dataclasses import replace
from typing import Any

import pytest

from spark_apps.registry.client import BUNDLED
from spark_apps.scoring.description import Description


def described(**provenance: Any) -> Description:
    return replace(Description.read(BUNDLED), provenance=provenance)


def test_the_bundled_description_names_its_languages() -> None:
    assert Description.read(BUNDLED).languages


@pytest.mark.parametrize(
    ("lang", "tweets"),
    [("en", 9), ("EN", 9), ("en-GB", 9), ("pt-BR", 4), ("pt", 0), ("pt-PT", 0), ("hi", 0), ("hi-Latn", 3), ("de", 0)],
)
def test_a_language_counts_with_any_region_but_not_for_a_script_that_the_tag_adds(lang: str, tweets: int) -> None:
    description = described(languages={"en": 9, "pt-BR": 4, "hi-Latn": 3})
    assert description.training_tweets(lang) == tweets


@pytest.mark.parametrize(
    "provenance",
    [{}, {"languages": {}}, {"languages": None}, {"languages": {"und": 5}}, {"languages": {"de": 5, "und": 1}}],
    ids=["none", "empty", "null", "unknown", "partly unknown"],
)
def test_a_language_is_neither_known_nor_unknown_if_the_training_tweets_have_none(provenance: dict[str, Any]) -> None:
    description = described(**provenance)
    assert description.languages is None
    assert description.training_tweets("de") is None
