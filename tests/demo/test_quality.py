"""The bundled model on the generator's texts: it must label the languages that its description names."""

from random import Random

import numpy as np
import pytest

from spark_apps.demo import texts
from spark_apps.labels import LABELS
from spark_apps.registry.client import BUNDLED
from spark_apps.scoring.description import Description
from spark_apps.scoring.scorer import Scorer

_TEXTS_PER_LABEL = 80
# Far above 1/3, the accuracy of a model that gives one label to all texts.
_MIN_ACCURACY = 0.6


@pytest.fixture(scope="module")
def accuracy() -> dict[str, float]:
    """The share of correct labels by language; also prints them (`pytest -rP` shows the output)."""
    random, scorer = Random(1), Scorer(BUNDLED, threads=2)
    shares: dict[str, float] = {}
    for lang in texts.LANGUAGES:
        truth = [label for label in LABELS for _ in range(_TEXTS_PER_LABEL)]
        written = [texts.write(random, label, lang, random.choice(list(texts.TOPICS))) for label in truth]
        labels = [scorer.description.labels[row] for row in scorer.score(written).argmax(axis=1)]
        shares[lang] = float(np.mean([label == true for label, true in zip(labels, truth, strict=True)]))
        print(f"{lang:8} {shares[lang]:.1%} of {len(truth)} texts")
    return shares


def test_the_bundled_model_labels_the_languages_that_it_knows(accuracy: dict[str, float]) -> None:
    description = Description.read(BUNDLED)
    assert description.languages, "the description of the bundled model names no languages"
    measured = {lang: share for lang, share in accuracy.items() if description.training_tweets(lang)}
    assert "en" in measured
    assert {lang: share for lang, share in measured.items() if share < _MIN_ACCURACY} == {}
