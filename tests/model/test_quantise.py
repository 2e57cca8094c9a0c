"""int8 products are exact where neighbouring products are added in 16 bits; `make test-train` runs these tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spark_apps.registry.client import BUNDLED
from spark_apps.scoring.batches import batches
from spark_apps.scoring.description import MODEL_FILE
from spark_apps.scoring.scorer import open_session

pytestmark = pytest.mark.train


def _pair_sums(weights: NDArray[np.int8]) -> tuple[int, int]:
    """Return the smallest and the largest sum of two neighbouring products of `weights` with any 8-bit activations."""
    largest = np.maximum(weights, 0).astype(int) * 255
    smallest = np.minimum(weights, 0).astype(int) * 255
    pairs = np.arange(0, len(weights), 2)
    return int(np.add.reduceat(smallest, pairs).min()), int(np.add.reduceat(largest, pairs).max())


def _int8_weights(folder: Path) -> dict[str, NDArray[Any]]:
    import onnx
    from onnx import numpy_helper

    weights = onnx.load(folder / MODEL_FILE, load_external_data=False).graph.initializer
    return {item.name: numpy_helper.to_array(item) for item in weights if item.name.endswith(".int8")}


def test_no_sum_of_two_neighbouring_products_overflows_in_the_bundled_model() -> None:
    weights = _int8_weights(BUNDLED)
    # 72 dense layers, a quarter of which may stay in float32.
    assert len(weights) >= 54
    for name, values in weights.items():
        smallest, largest = _pair_sums(values)
        assert smallest >= -(2**15) and largest < 2**15, name


@pytest.mark.parametrize("rows", [1, 7, 384])
def test_column_scales_keep_pairs_within_16_bits_and_use_the_levels(rows: int) -> None:
    from spark_apps.model.onnx_export.quantise import column_scales

    # Large neighbours of the same sign are the worst case; a column of zeros must not divide by zero.
    weights = np.random.default_rng(5).standard_normal((rows, 2_000)).astype(np.float32)
    weights[:, :500] = np.abs(weights[:, :500]) + 3
    weights[:, 500:600] = 0
    scales = column_scales(weights)
    levels = np.rint(weights / scales)
    assert np.abs(levels).max() <= 127
    smallest, largest = _pair_sums(levels.astype(np.int8))
    assert smallest >= -(2**15) and largest < 2**15
    # Half of the levels at least: a pair of equal weights is the worst case.
    assert np.abs(levels).max(axis=0)[600:].min() >= 63
    np.testing.assert_allclose(levels * scales, weights, atol=float(scales.max()) / 2 * 1.01)


def test_activation_steps_cover_the_observed_values_without_the_outliers() -> None:
    from spark_apps.model.onnx_export.quantise import Range, activation_steps

    highest = np.array([4, 0.2, 300, 1, 0], np.float32)
    lowest = np.array([-0.17, -0.17, -20, 0, 0], np.float32)
    outliers = np.array([2], np.int64)
    steps, zero = activation_steps(Range(lowest, highest, highest**2), outliers, 0.7)
    levels = np.delete(np.rint(np.stack([lowest, highest]) / steps) + zero, outliers, axis=1)
    assert levels.min() in (0, 1) and levels.max() in (254, 255)
    assert 0 < zero < 128


def _small_network() -> tuple[Any, Any]:
    """Return random weights, from `fold_biases`, of a RoBERTa with two layers of width 24, and its shape."""
    from spark_apps.model.onnx_export.graph import Shape, fold_biases

    random = np.random.default_rng(3)
    width, wide, layers = 24, 48, 2
    sizes = {"embeddings.word_embeddings": (50, width), "embeddings.position_embeddings": (20, width)}
    sizes |= {"embeddings.token_type_embeddings": (1, width)}
    norms, dense = ["embeddings.LayerNorm"], dict[str, tuple[int, int]]()
    for number in range(layers):
        layer = f"encoder.layer.{number}"
        dense |= {f"{layer}.attention.self.{part}": (width, width) for part in ("query", "key", "value")}
        dense |= {f"{layer}.attention.output.dense": (width, width), f"{layer}.intermediate.dense": (wide, width)}
        dense |= {f"{layer}.output.dense": (width, wide)}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    names = {f"roberta.{name}": size for name, size in (sizes | dense).items()}
    names |= {"classifier.dense": (width, width), "classifier.out_proj": (3, width)}
    weights = {f"{name}.weight": random.standard_normal(size).astype(np.float32) for name, size in names.items()}
    biased = [*(f"roberta.{name}" for name in dense), "classifier.dense", "classifier.out_proj"]
    weights |= {f"{name}.bias": random.standard_normal(names[name][0]).astype(np.float32) for name in biased}
    for name in norms:
        weights |= {f"roberta.{name}.weight": np.ones(width, np.float32)}
        weights |= {f"roberta.{name}.bias": np.zeros(width, np.float32)}
    return fold_biases(weights, layers), Shape(layers, 2, 1e-5, 1)


_TEXTS = [[0, 7, 8, 9, 10, 11, 2], [0, 30, 2], [0, 40, 41, 2]]


def test_padding_does_not_widen_the_ranges() -> None:
    """A text has the same rows alone and beside a longer text."""
    from spark_apps.model.onnx_export.graph import Network, float_dense
    from spark_apps.model.onnx_export.quantise import activation_ranges

    weights, shape = _small_network()
    network = Network(weights, shape, float_dense(weights)).model(3)
    together = activation_ranges(network, list(batches(list(enumerate(_TEXTS)))))
    alone = activation_ranges(network, [batch for text in _TEXTS for batch in batches([(0, text)])])
    for name, expected in alone.items():
        np.testing.assert_allclose(together[name].lowest, expected.lowest, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(together[name].highest, expected.highest, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(together[name].energy, expected.energy, rtol=1e-3, atol=1e-4)


def test_the_layers_that_lose_most_in_int8_come_first_and_can_stay_in_float32() -> None:
    from spark_apps.model.onnx_export.graph import Network, float_dense
    from spark_apps.model.onnx_export.quantise import activation_ranges, by_sensitivity, int8_model

    weights, shape = _small_network()
    texts = list(batches(list(enumerate(_TEXTS))))
    network = Network(weights, shape, float_dense(weights)).model(3)
    ranges = activation_ranges(network, texts)
    order = by_sensitivity(weights, shape, 3, ranges, texts)
    assert sorted(order) == sorted(name for name in ranges if not name.startswith("classifier."))

    def logits(model: Any) -> Any:
        session = open_session(model.SerializeToString(), 1)
        return np.concatenate([session.run(["logits"], inputs)[0] for _, inputs in texts])

    exact, half = logits(network), len(order) // 2
    errors = []
    for kept in ([], order[half:], order[:half], order):
        model = int8_model(weights, shape, 3, ranges, kept)
        products = [node for node in model.graph.node if node.op_type == "MatMulIntegerToFloat"]
        assert len(products) == len(order) - len(kept)
        errors.append(float(np.square(logits(model) - exact).mean()))
    assert errors[0] > errors[2] and errors[1] > 2 * errors[2] and errors[3] < 1e-9


def test_float16_stores_matrices_but_not_vectors_of_a_wide_layer() -> None:
    """A scale of int8 can be too small for float16. The layers of roberta-large have vectors of 4,096 values."""
    from onnx import TensorProto, helper, numpy_helper

    from spark_apps.model.onnx_export.export import _store_in_float16

    values = {"scale": np.full(4_096, 1e-7, np.float32), "weight": np.ones((64, 64), np.float32)}
    weights = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph([], "g", [], [], weights)
    _store_in_float16(graph)
    types = {weight.name: weight.data_type for weight in graph.initializer}
    assert types == {"scale": TensorProto.FLOAT, "weight.fp16": TensorProto.FLOAT16}
