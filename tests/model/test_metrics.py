"""The metrics agree with scikit-learn and with cases that are calculated by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spark_apps.model.evaluation.groups import group_quality
from spark_apps.model.evaluation.metrics import BINS, Quality, confusion, macro_f1, macro_recall, recalls

TRUTH, PREDICTED = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, 0])


def with_confidence(predicted: NDArray[Any], confidence: float) -> NDArray[Any]:
    """Return probabilities that predict each label with the same confidence."""
    rest = (1 - confidence) / 2
    return np.where(np.arange(3) == predicted[:, None], confidence, rest).astype(np.float32)


def test_metrics_agree_with_a_calculation_by_hand() -> None:
    assert recalls(TRUTH, PREDICTED) == [0.5, 1.0, 0.5]
    assert macro_recall(TRUTH, PREDICTED) == pytest.approx(2 / 3)
    assert macro_f1(TRUTH, PREDICTED) == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)
    assert confusion(TRUTH, PREDICTED).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    quality = Quality.of(TRUTH, with_confidence(PREDICTED, 0.9))
    assert quality.accuracy == pytest.approx(4 / 6) and quality.f1_pn == pytest.approx((0.5 + 2 / 3) / 2)
    assert quality.classes["negative"].precision == 0.5 and quality.classes["neutral"].tweets == 2
    # All six predictions have a confidence of 0.9, four are right.
    assert quality.calibration_error == pytest.approx(0.9 - 4 / 6, abs=1e-6)
    (filled,) = [bin_ for bin_ in quality.reliability if bin_.tweets]
    assert filled.tweets == 6 and filled.accuracy == pytest.approx(4 / 6)


def test_a_class_without_tweets_or_predictions_has_metrics_of_zero() -> None:
    quality = Quality.of(np.array([0, 0]), with_confidence(np.array([0, 1]), 1.0))
    assert quality.classes["positive"] == type(quality.classes["positive"])(0.0, 0.0, 0.0, 0)
    assert quality.macro_recall == pytest.approx(0.5 / 3)
    # A confidence of 1.0 is in the last bin.
    assert quality.reliability[-1].tweets == 2 and len(quality.reliability) == BINS


ROWS = st.lists(st.tuples(st.integers(0, 2), st.tuples(*[st.floats(0.01, 1)] * 3)), min_size=1, max_size=60)


@settings(deadline=None)  # the first call imports scikit-learn
@given(ROWS)
def test_metrics_agree_with_scikit_learn(rows: list[tuple[int, tuple[float, float, float]]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    truth = np.array([label for label, _ in rows])
    weights = np.array([weights for _, weights in rows])
    probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    predicted = probabilities.argmax(axis=1)
    quality = Quality.of(truth, probabilities)

    options = {"labels": [0, 1, 2], "zero_division": 0.0}
    precision, recall, f1, tweets = sklearn.precision_recall_fscore_support(truth, predicted, **options)
    for row, metrics in enumerate(quality.classes.values()):
        assert (metrics.precision, metrics.recall, metrics.f1) == pytest.approx((precision[row], recall[row], f1[row]))
        assert metrics.tweets == tweets[row]
    assert quality.accuracy == pytest.approx(sklearn.accuracy_score(truth, predicted))
    assert quality.macro_recall == pytest.approx(sklearn.recall_score(truth, predicted, average="macro", **options))
    assert quality.macro_f1 == pytest.approx(sklearn.f1_score(truth, predicted, average="macro", **options))
    poles = sklearn.f1_score(truth, predicted, average="macro", labels=[0, 2], zero_division=0.0)
    assert quality.f1_pn == pytest.approx(poles)
    assert quality.confusion == sklearn.confusion_matrix(truth, predicted, labels=[0, 1, 2]).tolist()
    assert quality.calibration_error == pytest.approx(_slow_calibration_error(truth, probabilities), abs=1e-9)
    assert sum(bin_.tweets for bin_ in quality.reliability) == quality.tweets == len(rows)


def _slow_calibration_error(truth: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """Return the sum over all bins of share × |accuracy - mean confidence|, one bin at a time."""
    confidence, hit = probabilities.max(axis=1).astype(float), probabilities.argmax(axis=1) == truth
    error = 0.0
    for low in range(BINS):
        inside = (confidence * BINS > low) & (confidence * BINS <= low + 1)
        if inside.any():
            error += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    return float(error)


def test_intervals_of_groups_agree_with_a_bootstrap_over_tweets() -> None:
    random = np.random.default_rng(7)
    truth = random.choice(3, 300, p=(0.5, 0.3, 0.2))
    predicted = np.where(random.random(300) < 0.7, truth, random.integers(0, 3, 300))
    draws = [random.integers(0, 300, 300) for _ in range(3_000)]
    expected = np.quantile([macro_recall(truth[rows], predicted[rows]) for rows in draws], (0.025, 0.975))
    recall = group_quality(confusion(truth, predicted)).macro_recall
    assert recall.value == pytest.approx(macro_recall(truth, predicted))
    assert (recall.low, recall.high) == pytest.approx(expected, abs=0.006)


def test_a_class_that_a_group_lacks_does_not_count() -> None:
    quality = group_quality(np.array([[8, 2, 0], [0, 0, 0], [1, 3, 6]]))
    assert quality.macro_recall.value == pytest.approx((0.8 + 0.6) / 2)
    assert quality.macro_f1.value == pytest.approx((16 / 19 + 12 / 16) / 2)
    assert quality.accuracy.value == pytest.approx(14 / 20)
