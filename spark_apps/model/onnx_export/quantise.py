"""Quantise a RoBERTa to int8, keep its labels, and compute the same products on every processor.

Plain dynamic int8 keeps only 90 % of the labels. A few outlier channels, mostly in the feed-forward blocks, have values
up to a hundred times larger than the others; one channel can hold 97 % of the energy. Therefore

- outlier channels of the feed-forward blocks are multiplied in float32, as a product of a few columns;
- each other channel has its own step, the value of one 8-bit level: the weights absorb the steps;
- the calibration fixes the steps, so that the result of a text does not depend on its batch;
- some dense layers can stay in float32: those that change the logits most for their size.

Processors with AVX2 or AVX-512 but without VNNI add two neighbouring products in 16 bits. The weights of a column are
scaled so that no such sum overflows. A sum of two weights is seldom much larger than the largest weight: this costs a
fraction of a bit.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from spark_apps.model.onnx_export.graph import MICROSOFT, Builder, Dense, Network, Shape, Weights, float_dense
from spark_apps.scoring.batches import Batch
from spark_apps.scoring.scorer import open_session

Floats = NDArray[np.float32]

# Largest weight, and largest sum of two neighbouring weights before they are rounded. Rounding adds at most 1, and
# 255 * 128 fits into 16 bits.
_LARGEST = 127
# An activation has 256 levels; rounding the zero point takes up to one of the 255 steps between them.
_STEPS = 254
# Number of outlier channels per feed-forward layer.
_OUTLIERS = 16
# Exponents of a channel's range in its step, 0 to 1. With 1, each channel uses all levels, but the weights that absorb
# the steps vary most.
_EXPONENT_ATTENTION, _EXPONENT = 0.9, 0.7
_FEED_FORWARD = re.compile(r"layer\.\d+\.(intermediate|output)\.dense$")


@dataclass(frozen=True)
class Range:
    """Range of each channel of a dense layer's input.

    Attributes:
        lowest: smallest value, at most 0; shape (in,).
        highest: largest value, at least 0; shape (in,).
        energy: sum of squares; shape (in,).
    """

    lowest: Floats
    highest: Floats
    energy: Floats


def int8_model(
    weights: Weights, shape: Shape, labels: int, ranges: dict[str, Range], float_layers: Collection[str]
) -> onnx.ModelProto:
    """Return the int8 network.

    Args:
        weights: weights from `fold_biases`.
        shape: dimensions of the network.
        labels: number of outputs.
        ranges: result of `activation_ranges`.
        float_layers: dense layers that stay in float32, besides those of the classifier.
    """
    in_float, in_int8 = float_dense(weights), _Int8(weights, ranges)

    def dense(graph: Builder, rows: str, name: str, addend: str = "") -> str:
        stays_float = name.startswith("classifier.") or name in float_layers
        layer: Dense = in_float if stays_float else in_int8
        return layer(graph, rows, name, addend)

    return Network(weights, shape, dense).model(labels)


def by_sensitivity(
    weights: Weights, shape: Shape, labels: int, ranges: dict[str, Range], calibration: Sequence[Batch]
) -> list[str]:
    """Return the names of the encoder's dense layers, first the one that gains most by float32 for its size.

    The gain is the squared change of the logits of `calibration` if this layer alone is int8. The changes by different
    layers are nearly independent, so the squares add up. Other arguments: see `int8_model`.
    """
    layers = [name for name in ranges if not name.startswith("classifier.")]
    exact = _centred_logits(int8_model(weights, shape, labels, ranges, layers), calibration)
    gains = {}
    for layer in layers:
        others = [name for name in layers if name != layer]
        change = _centred_logits(int8_model(weights, shape, labels, ranges, others), calibration) - exact
        gains[layer] = float(np.square(change).mean()) / weights[f"{layer}.weight"].size
    return sorted(layers, key=lambda layer: -gains[layer])


def _centred_logits(model: onnx.ModelProto, batches: Sequence[Batch]) -> Floats:
    """Return the logits of the texts minus their mean, which changes no probability; shape (texts, labels)."""
    session = open_session(model.SerializeToString(), 1)
    logits = np.concatenate([session.run(["logits"], inputs)[0] for _, inputs in batches])
    centred: Floats = logits - logits.mean(axis=1, keepdims=True)
    return centred


def activation_ranges(network: onnx.ModelProto, calibration: Sequence[Batch]) -> dict[str, Range]:
    """Run the float network on `calibration`; return the range of each dense layer's input, by layer name."""
    observed = onnx.ModelProto()
    observed.CopyFrom(network)
    inputs = {node.name: node.input[0] for node in network.graph.node if node.op_type == "Gemm"}
    names = list(dict.fromkeys(inputs.values()))
    for name in names:
        observed.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = open_session(observed.SerializeToString(), 1)
    ranges: dict[str, Range] = {}
    for _, batch in calibration:
        # The rows of the network are ordered by position, the mask by text.
        real = batch["attention_mask"].T.reshape(-1).astype(bool)
        for name, values in zip(names, session.run(names, batch), strict=True):
            # The last layer has one row per text, and none of them is padding.
            rows = values[real] if len(values) == len(real) else values
            zeros = np.zeros(rows.shape[1], np.float32)
            known = ranges.get(name, Range(zeros, zeros, zeros))
            ranges[name] = Range(
                np.minimum(known.lowest, rows.min(axis=0)),
                np.maximum(known.highest, rows.max(axis=0)),
                known.energy + np.square(rows).sum(axis=0),
            )
    return {layer: ranges[name] for layer, name in inputs.items()}


class _Int8:
    """Adds int8 dense layers to a graph. Layers that read the same rows share the quantised rows."""

    def __init__(self, weights: Weights, ranges: dict[str, Range]) -> None:
        self._weights, self._ranges = weights, ranges

    def __call__(self, graph: Builder, rows: str, name: str, addend: str = "") -> str:
        weight = self._weights[f"{name}.weight"].T
        outliers = self._outliers(name)
        steps = self._quantise_rows(graph, rows, name, outliers)
        stepped = weight * steps[:, None]
        stepped[outliers] = 0
        scale = column_scales(stepped)
        inputs = [
            f"{rows}.int8", graph.constant(f"{name}.int8", np.rint(stepped / scale).astype(np.int8)),
            "one", graph.constant(f"{name}.scale", scale),
            f"{rows}.zero", graph.constant(f"{name}.zero", np.zeros(len(scale), np.int8)),
        ]  # fmt: skip
        if not addend and f"{name}.bias" in self._weights:
            inputs.append(graph.constant(f"{name}.bias", self._weights[f"{name}.bias"]))
        is_whole = not addend and not len(outliers)
        product = graph.add("MatMulIntegerToFloat", inputs, name if is_whole else f"{name}.product", MICROSOFT)
        if is_whole:
            return name
        if len(outliers):
            columns = graph.add(
                "Gather", [rows, graph.constant(f"{name}.outliers", outliers)], f"{name}.columns", axis=1
            )
            part = graph.constant(f"{name}.weight.outliers", weight[outliers])
            if not addend:
                return graph.add("Gemm", [columns, part, product], name)
            addend = graph.add("Gemm", [columns, part, addend], f"{name}.in_float")
        return graph.add("Add", [product, addend], name)

    def _quantise_rows(self, graph: Builder, rows: str, name: str, outliers: NDArray[np.int64]) -> Floats:
        """Add the 8-bit form of `rows`, unless the graph has it; return the step of each channel."""
        exponent = _EXPONENT_ATTENTION if ".self." in name else _EXPONENT
        steps, zero = activation_steps(self._ranges[name], outliers, exponent)
        if f"{rows}.levels" not in graph.weights:
            levels = 1 / steps
            levels[outliers] = 0
            scaled = graph.add("Mul", [rows, graph.constant(f"{rows}.levels", levels)], f"{rows}.scaled")
            one = graph.constant("one", np.float32(1))
            zero_point = graph.constant(f"{rows}.zero", np.uint8(zero))
            graph.add("QuantizeLinear", [scaled, one, zero_point], f"{rows}.int8")
        return steps

    def _outliers(self, name: str) -> NDArray[np.int64]:
        """Return the channels of the layer's input that are multiplied in float32, in ascending order."""
        if not _FEED_FORWARD.search(name):
            return np.array([], np.int64)
        return np.sort(np.argsort(-self._ranges[name].energy)[:_OUTLIERS]).astype(np.int64)


def activation_steps(observed: Range, outliers: NDArray[np.int64], exponent: float) -> tuple[Floats, int]:
    """Return the step of each channel and the zero point, so that all observed values but outliers fit into 8 bits."""
    steps = np.maximum(observed.highest - observed.lowest, 1e-5) ** exponent
    highest, lowest = (np.delete(values / steps, outliers) for values in (observed.highest, observed.lowest))
    step = max(float(highest.max() - lowest.min()), 1e-5) / _STEPS
    return (steps * step).astype(np.float32), round(-float(lowest.min()) / step)


def column_scales(weight: Floats) -> Floats:
    """Return the value of one int8 level of each column, so that no sum of two neighbouring products overflows."""
    pairs = np.add.reduceat(weight, np.arange(0, len(weight), 2))
    largest = np.maximum(np.abs(weight).max(axis=0), np.abs(pairs).max(axis=0))
    scales: Floats = (np.maximum(largest, 1e-9) / _LARGEST).astype(np.float32)
    return scales
