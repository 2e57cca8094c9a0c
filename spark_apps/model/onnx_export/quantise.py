"""Quantise a RoBERTa to int8 and keep its labels.

Plain dynamic int8 keeps only 90 % of the labels. A few outlier channels, mostly in the feed-forward blocks, have values
up to a hundred times larger than the others; one channel can hold 97 % of the energy. Therefore

- outlier channels of the feed-forward blocks are multiplied in float32, as a product of a few columns;
- the other channels are smoothed: a factor moves from the channel of the activations to the row of the weights;
- each token has its own scale, so that the result of a text does not depend on the batch;
- the first feed-forward blocks can stay in float32, because all later layers amplify their errors.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from spark_apps.model.onnx_export.graph import MICROSOFT, Builder, Dense, Network, Shape, Weights, float_dense
from spark_apps.scoring.batches import Batch
from spark_apps.scoring.scorer import open_session

Floats = NDArray[np.float32]

_LARGEST = 127
# Number of outlier channels per feed-forward layer.
_OUTLIERS = 16
# Smoothing exponents, 0 to 1: how much of the spread of the activations moves to the weights.
_SMOOTHING_ATTENTION, _SMOOTHING = 0.8, 0.5
_FEED_FORWARD = re.compile(r"layer\.(\d+)\.(intermediate|output)\.dense$")
_QUERY_KEY_VALUE = re.compile(r"(.*\.self)\.(query|key|value)$")


@dataclass(frozen=True)
class Range:
    """Largest absolute value and sum of squares of each channel of a dense layer's input, each of shape (in,)."""

    largest: Floats
    energy: Floats


def int8_model(
    weights: Weights, shape: Shape, labels: int, ranges: dict[str, Range], float_blocks: int
) -> onnx.ModelProto:
    """Return the int8 network.

    Args:
        weights: weights from `fold_biases`.
        shape: dimensions of the network.
        labels: number of outputs.
        ranges: result of `activation_ranges`.
        float_blocks: number of feed-forward blocks, from the first, that stay in float32.
    """
    in_float, in_int8 = float_dense(weights), _Int8(weights, ranges)

    def dense(graph: Builder, rows: str, name: str, addend: str = "") -> str:
        block = _FEED_FORWARD.search(name)
        stays_float = name.startswith("classifier.") or (block is not None and int(block.group(1)) < float_blocks)
        layer: Dense = in_float if stays_float else in_int8
        return layer(graph, rows, name, addend)

    return Network(weights, shape, dense).model(labels)


def activation_ranges(network: onnx.ModelProto, calibration: Sequence[Batch]) -> dict[str, Range]:
    """Run the float network on `calibration`; return the range of each dense layer's input, by layer name."""
    observed = onnx.ModelProto()
    observed.CopyFrom(network)
    inputs = {node.name: node.input[0] for node in network.graph.node if node.op_type == "Gemm"}
    names = list(dict.fromkeys(inputs.values()))
    for name in names:
        observed.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = open_session(observed.SerializeToString(), 1)
    largest: dict[str, Floats] = {}
    squares: dict[str, Floats] = {}
    for _, batch in calibration:
        real = batch["attention_mask"].reshape(-1).astype(bool)
        for name, values in zip(names, session.run(names, batch), strict=True):
            # The last layer has one row per text, and none of them is padding.
            rows = values[real] if len(values) == len(real) else values
            largest[name] = np.maximum(largest.get(name, np.float32(0)), np.abs(rows).max(axis=0))
            squares[name] = squares.get(name, np.float32(0)) + np.square(rows).sum(axis=0)
    return {layer: Range(largest[name], squares[name]) for layer, name in inputs.items()}


class _Int8:
    """Adds int8 dense layers to a graph. Layers that read the same rows share the quantised rows."""

    def __init__(self, weights: Weights, ranges: dict[str, Range]) -> None:
        self._weights, self._ranges = weights, ranges

    def __call__(self, graph: Builder, rows: str, name: str, addend: str = "") -> str:
        weight = self._weights[f"{name}.weight"].T
        outliers, factors = self._outliers(name), self._smoothing_factors(name)
        is_outlier = np.isin(np.arange(len(factors)), outliers)
        self._quantise_rows(graph, rows, np.where(is_outlier, np.float32(0), 1 / factors))
        smoothed = weight * factors[:, None]
        smoothed[outliers] = 0
        scale = np.maximum(np.abs(smoothed).max(axis=0), 1e-9) / _LARGEST
        matrix = graph.constant(f"{name}.int8", np.rint(smoothed / scale).astype(np.int8))
        inputs = [
            f"{rows}.int8", matrix, "int8.step", graph.constant(f"{name}.scale", scale), "int8.zero",
            graph.constant(f"{name}.zero", np.zeros(len(scale), np.int8)),
        ]  # fmt: skip
        product = graph.add("MatMulIntegerToFloat", inputs, f"{name}.product", MICROSOFT)
        if not addend and f"{name}.bias" in self._weights:
            addend = graph.constant(f"{name}.bias", self._weights[f"{name}.bias"])
        if len(outliers):
            columns = graph.add(
                "Gather", [rows, graph.constant(f"{name}.outliers", outliers)], f"{name}.columns", axis=1
            )
            part = graph.constant(f"{name}.weight.outliers", weight[outliers])
            addend = graph.add("Gemm", [columns, part, addend], f"{name}.in_float")
        if not addend:
            return graph.add("Mul", [product, f"{rows}.largest"], name)
        return graph.add("Add", [graph.add("Mul", [product, f"{rows}.largest"], f"{name}.scaled"), addend], name)

    def _quantise_rows(self, graph: Builder, rows: str, factors: Floats) -> None:
        """Add the 8-bit form of `rows`, each divided by its largest absolute value, unless the graph has it."""
        if f"{rows}.factors" in graph.weights:
            return
        graph.constant("int8.step", np.float32(1 / _LARGEST))
        graph.constant("int8.zero", np.uint8(128))
        smoothed = graph.add("Mul", [rows, graph.constant(f"{rows}.factors", factors)], f"{rows}.smoothed")
        last = graph.constant("last_axis", np.array([-1], np.int64))
        row_max = graph.add("ReduceMax", [graph.add("Abs", [smoothed], f"{rows}.abs"), last], f"{rows}.row_max")
        # A row of zeros must not be divided by zero.
        least = graph.constant("least", np.float32(1e-9))
        largest = graph.add("Max", [row_max, least], f"{rows}.largest")
        unit = graph.add("Div", [smoothed, largest], f"{rows}.unit")
        graph.add("QuantizeLinear", [unit, "int8.step", "int8.zero"], f"{rows}.int8")

    def _outliers(self, name: str) -> NDArray[np.int64]:
        """Return the channels of the layer's input that are multiplied in float32, in ascending order."""
        if not _FEED_FORWARD.search(name):
            return np.array([], np.int64)
        return np.sort(np.argsort(-self._ranges[name].energy)[:_OUTLIERS]).astype(np.int64)

    def _smoothing_factors(self, name: str) -> Floats:
        """Return the factor per channel by which activations are divided and rows of the weights multiplied."""
        # Query, key and value read the same rows, so they share the factors.
        attention = _QUERY_KEY_VALUE.match(name)
        names = [f"{attention.group(1)}.{part}" for part in ("query", "key", "value")] if attention else [name]
        weights = np.max([np.abs(self._weights[f"{each}.weight"]).max(axis=0) for each in names], axis=0)
        smoothing = _SMOOTHING_ATTENTION if attention else _SMOOTHING
        largest = np.maximum(self._ranges[name].largest, 1e-5)
        factors = largest**smoothing / np.maximum(weights, 1e-5) ** (1 - smoothing)
        normalised: Floats = (factors / np.exp(np.log(factors).mean())).astype(np.float32)
        return normalised
