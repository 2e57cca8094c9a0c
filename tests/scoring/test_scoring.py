"""The scorer with the bundled model, the prediction cache, and text normalisation."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_apps.registry.client import BUNDLED
from spark_apps.scoring.cache import PredictionCache
from spark_apps.scoring.description import DESCRIPTION_FILE, MODEL_FILE, Description, ModelError
from spark_apps.scoring.probabilities import Probabilities
from spark_apps.scoring.scorer import Scorer
from spark_apps.scoring.text import normalise

CLEAR_TWEETS = [
    ("I love this, best day ever 😍", "positive"),
    ("this is terrible, I hate it so much", "negative"),
    ("the meeting starts at nine tomorrow", "neutral"),
]
LABELS = ["negative", "neutral", "positive"]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(BUNDLED, threads=2)


def test_clear_tweets_get_the_expected_label(scorer: Scorer) -> None:
    found = scorer.score([text for text, _ in CLEAR_TWEETS])
    assert [LABELS[row] for row in found.argmax(axis=1)] == [label for _, label in CLEAR_TWEETS]
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_scores_do_not_depend_on_order_or_number_of_texts(scorer: Scorer) -> None:
    texts = [f"{text} {'very ' * (number % 40)}{number}" for number in range(700) for text, _ in CLEAR_TWEETS[:1]]
    together = scorer.score(texts)
    np.testing.assert_allclose(together[::-1], scorer.score(texts[::-1]), atol=2e-3)
    for row in (0, 33, 699):
        np.testing.assert_allclose(scorer.score([texts[row]])[0], together[row], atol=2e-3)


def test_empty_and_very_long_texts_are_scored(scorer: Scorer) -> None:
    assert scorer.score([]).shape == (0, 3)
    assert scorer.score(["", "word " * 5000, "\x00", "👍" * 400]).shape == (4, 3)


def test_a_damaged_model_is_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    with (folder / MODEL_FILE).open("r+b") as file:
        file.seek(1000)
        file.write(b"damaged")
    with pytest.raises(ModelError, match="is damaged"):
        Scorer(folder, 1)
    (folder / MODEL_FILE).unlink()
    with pytest.raises(ModelError, match="is missing"):
        Scorer(folder, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"labels": ["a", "b", "c"]}, "the labels are a, b, c"), ({"normalisation": "none"}, "normalisation 'none'")],
)
def test_an_unsupported_description_is_rejected(tmp_path: Path, change: dict[str, object], message: str) -> None:
    fields = json.loads((BUNDLED / DESCRIPTION_FILE).read_text())
    (tmp_path / DESCRIPTION_FILE).write_text(json.dumps(fields | change))
    with pytest.raises(ModelError, match=message):
        Description.read(tmp_path)


def _ones(texts: list[str]) -> Probabilities:
    return np.array([[len(text), 0, 0] for text in texts], np.float32)


def test_the_cache_scores_each_text_once_per_version() -> None:
    cache, asked = PredictionCache(10), []

    def score(texts: list[str]) -> Probabilities:
        asked.extend(texts)
        return _ones(texts)

    found, known = cache.score("1", ["a", "bb", "a"], score)
    assert found[:, 0].tolist() == [1, 2, 1] and known == [False, False, True]
    found, known = cache.score("1", ["bb", "ccc"], score)
    assert found[:, 0].tolist() == [2, 3] and known == [True, False]
    assert asked == ["a", "bb", "ccc"]
    cache.score("2", ["a"], score)
    assert asked[-1] == "a" and len(cache) == 1


@given(st.lists(st.lists(st.text(max_size=4), max_size=12), max_size=8), st.integers(1, 5))
def test_a_cache_of_any_size_returns_correct_predictions(calls: list[list[str]], size: int) -> None:
    cache, asked = PredictionCache(size), list[str]()

    def score(texts: list[str]) -> Probabilities:
        asked.extend(texts)
        return _ones(texts)

    for texts in calls:
        asked.clear()
        found, known = cache.score("v", texts, score)
        assert found[:, 0].tolist() == [len(text) for text in texts]
        assert asked == [text for text, is_known in zip(texts, known, strict=True) if not is_known]
        assert len(cache) <= size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@Ann look https://t.co/x&amp;y now", "@user look http now"),
        (f"@Ann &#{'9' * 5_000};", f"@user &#{'9' * 4_992}"),
        ("mail ann@example.com &lt;3", "mail ann@example.com <3"),
        ("WWW.example.com  two\n lines ", "http two lines"),
        ("a " * 10_000, "a " * 2_500),
        ("RT @a_b: hi @c!", "RT @user: hi @user!"),
    ],
)
def test_accounts_links_entities_and_spaces_are_normalised(text: str, expected: str) -> None:
    assert normalise(text) == expected


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_normalised(text: str) -> None:
    normalise(text).encode("utf-8", "surrogatepass")
