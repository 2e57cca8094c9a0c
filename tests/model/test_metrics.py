"""The figures, against scikit-learn and against cases counted by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spark_apps.model.evaluation.metrics import BINS, Quality, confusion, macro_f1, macro_recall, recalls

TRUTH, PREDICTED = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, 0])


def sure(predicted: NDArray[Any], confidence: float) -> NDArray[Any]:
    """Return probabilities that give each text its label with one confidence."""
    rest = (1 - confidence) / 2
    return np.where(np.arange(3) == predicted[:, None], confidence, rest).astype(np.float32)


def test_figures_by_hand() -> None:
    assert recalls(TRUTH, PREDICTED) == [0.5, 1.0, 0.5]
    assert macro_recall(TRUTH, PREDICTED) == pytest.approx(2 / 3)
    assert macro_f1(TRUTH, PREDICTED) == pytest.approx((0.5 + 0.8 + 2 / 3) / 3)
    assert confusion(TRUTH, PREDICTED).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    found = Quality.of(TRUTH, sure(PREDICTED, 0.9))
    assert found.accuracy == pytest.approx(4 / 6) and found.f1_pn == pytest.approx((0.5 + 2 / 3) / 2)
    assert found.classes["negative"].precision == 0.5 and found.classes["neutral"].tweets == 2
    # Each of six labels is given with a confidence of 0.9, four are right.
    assert found.calibration_error == pytest.approx(0.9 - 4 / 6, abs=1e-6)
    (filled,) = [one for one in found.reliability if one.tweets]
    assert filled.tweets == 6 and filled.accuracy == pytest.approx(4 / 6)


def test_a_class_that_is_never_true_or_never_named_has_figures_of_zero() -> None:
    found = Quality.of(np.array([0, 0]), sure(np.array([0, 1]), 1.0))
    assert found.classes["positive"] == type(found.classes["positive"])(0.0, 0.0, 0.0, 0)
    assert found.macro_recall == pytest.approx(0.5 / 3)
    # A confidence of 1.0 belongs to the last bin.
    assert found.reliability[-1].tweets == 2 and len(found.reliability) == BINS


ROWS = st.lists(st.tuples(st.integers(0, 2), st.tuples(*[st.floats(0.01, 1)] * 3)), min_size=1, max_size=60)


@settings(deadline=None)  # the first call imports scikit-learn
@given(ROWS)
def test_as_scikit_learn_counts(rows: list[tuple[int, tuple[float, float, float]]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    truth = np.array([label for label, _ in rows])
    weights = np.array([weights for _, weights in rows])
    probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    predicted = probabilities.argmax(axis=1)
    found = Quality.of(truth, probabilities)

    every = {"labels": [0, 1, 2], "zero_division": 0.0}
    precision, recall, f1, tweets = sklearn.precision_recall_fscore_support(truth, predicted, **every)
    for row, one in enumerate(found.classes.values()):
        assert (one.precision, one.recall, one.f1) == pytest.approx((precision[row], recall[row], f1[row]))
        assert one.tweets == tweets[row]
    assert found.accuracy == pytest.approx(sklearn.accuracy_score(truth, predicted))
    assert found.macro_recall == pytest.approx(sklearn.recall_score(truth, predicted, average="macro", **every))
    assert found.macro_f1 == pytest.approx(sklearn.f1_score(truth, predicted, average="macro", **every))
    poles = sklearn.f1_score(truth, predicted, average="macro", labels=[0, 2], zero_division=0.0)
    assert found.f1_pn == pytest.approx(poles)
    assert found.confusion == sklearn.confusion_matrix(truth, predicted, labels=[0, 1, 2]).tolist()
    assert found.calibration_error == pytest.approx(_slow_calibration_error(truth, probabilities), abs=1e-9)
    assert sum(one.tweets for one in found.reliability) == found.tweets == len(rows)


def _slow_calibration_error(truth: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """Sum over the bins, as the definition reads: share of the bin × |accuracy - mean confidence|."""
    confidence, hit = probabilities.max(axis=1).astype(float), probabilities.argmax(axis=1) == truth
    error = 0.0
    for low in range(BINS):
        inside = (confidence * BINS > low) & (confidence * BINS <= low + 1)
        if inside.any():
            error += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    return float(error)
