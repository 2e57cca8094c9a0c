"""The int8 network that keeps the labels: 8-bit products, with what 8 bits cannot hold beside them in float.

Plain dynamic int8 keeps 90 % of the labels of a RoBERTa. What ruins it are a few channels that are up to a hundred
times as large as the others, in the feed-forward blocks above all: one channel can hold 97 % of the energy. So

- the largest channels there are multiplied in float32, by a product of a few columns;
- the others are evened out: what a channel of the activations loses, the row of the weights gains;
- each token has a scale of its own, so that no text depends on those it is scored with;
- the first feed-forward blocks, whose errors all later layers magnify, can stay in float32.
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
# Channels of a feed-forward block that are multiplied in float32.
_ODD = 16
# How much of the unevenness goes from the activations to the weights: before attention the channels are of one kind.
_EVENED_QUERY, _EVENED = 0.8, 0.5
_FEED_FORWARD = re.compile(r"layer\.(\d+)\.(intermediate|output)\.dense$")
_SELF = re.compile(r"(.*\.self)\.(query|key|value)$")


@dataclass(frozen=True)
class Range:
    """Of the channels of one dense layer's input: the largest absolute value, and the mean square."""

    largest: Floats
    energy: Floats


def int8_model(weights: Weights, shape: Shape, labels: int, ranges: dict[str, Range], kept: int) -> onnx.ModelProto:
    """Return the network in int8, by the `ranges` of its inputs; `kept` feed-forward blocks stay in float32."""
    in_float, in_int8 = float_dense(weights), _Int8(weights, ranges)

    def dense(graph: Builder, rows: str, name: str, beside: str = "") -> str:
        block = _FEED_FORWARD.search(name)
        stays = name.startswith("classifier.") or (block is not None and int(block.group(1)) < kept)
        chosen: Dense = in_float if stays else in_int8
        return chosen(graph, rows, name, beside)

    return Network(weights, shape, dense).model(labels)


def activation_ranges(network: onnx.ModelProto, calibration: Sequence[Batch]) -> dict[str, Range]:
    """Run the float network on `calibration`; return the ranges of each dense layer's input, by the layer's name."""
    watched = onnx.ModelProto()
    watched.CopyFrom(network)
    inputs = {node.name: node.input[0] for node in network.graph.node if node.op_type == "Gemm"}
    names = list(dict.fromkeys(inputs.values()))
    for name in names:
        watched.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = open_session(watched.SerializeToString(), 1)
    largest: dict[str, Floats] = {}
    squares: dict[str, Floats] = {}
    for _, batch in calibration:
        real = batch["attention_mask"].reshape(-1).astype(bool)
        for name, values in zip(names, session.run(names, batch), strict=True):
            # In the last layer there is one row a text, and none of padding.
            rows = values[real] if len(values) == len(real) else values
            largest[name] = np.maximum(largest.get(name, np.float32(0)), np.abs(rows).max(axis=0))
            squares[name] = squares.get(name, np.float32(0)) + np.square(rows).sum(axis=0)
    return {layer: Range(largest[name], squares[name]) for layer, name in inputs.items()}


class _Int8:
    """Adds dense layers in 8 bits; the layers that read the same rows share their 8-bit form."""

    def __init__(self, weights: Weights, ranges: dict[str, Range]) -> None:
        self._weights, self._ranges = weights, ranges

    def __call__(self, graph: Builder, rows: str, name: str, beside: str = "") -> str:
        weight = self._weights[f"{name}.weight"].T
        odd, share = self._odd(name), self._share(name)
        self._quantised(graph, rows, np.where(np.isin(np.arange(len(share)), odd), np.float32(0), 1 / share))
        even = weight * share[:, None]
        even[odd] = 0
        scale = np.maximum(np.abs(even).max(axis=0), 1e-9) / _LARGEST
        matrix = graph.constant(f"{name}.int8", np.rint(even / scale).astype(np.int8))
        inputs = [
            f"{rows}.int8", matrix, "int8.step", graph.constant(f"{name}.scale", scale), "int8.zero",
            graph.constant(f"{name}.zero", np.zeros(len(scale), np.int8)),
        ]  # fmt: skip
        product = graph.add("MatMulIntegerToFloat", inputs, f"{name}.product", MICROSOFT)
        if not beside and f"{name}.bias" in self._weights:
            beside = graph.constant(f"{name}.bias", self._weights[f"{name}.bias"])
        if len(odd):
            columns = graph.add("Gather", [rows, graph.constant(f"{name}.odd", odd)], f"{name}.columns", axis=1)
            part = graph.constant(f"{name}.weight.odd", weight[odd])
            beside = graph.add("Gemm", [columns, part, beside], f"{name}.beside")
        if not beside:
            return graph.add("Mul", [product, f"{rows}.largest"], name)
        return graph.add("Add", [graph.add("Mul", [product, f"{rows}.largest"], f"{name}.scaled"), beside], name)

    def _quantised(self, graph: Builder, rows: str, factors: Floats) -> None:
        """Add the 8-bit form of `rows`, each divided by its largest value, unless it is there already."""
        if f"{rows}.factors" in graph.weights:
            return
        graph.constant("int8.step", np.float32(1 / _LARGEST))
        graph.constant("int8.zero", np.uint8(128))
        evened = graph.add("Mul", [rows, graph.constant(f"{rows}.factors", factors)], f"{rows}.evened")
        last = graph.constant("last_axis", np.array([-1], np.int64))
        found = graph.add("ReduceMax", [graph.add("Abs", [evened], f"{rows}.abs"), last], f"{rows}.found")
        # A token of nothing but zeros is divided by something all the same.
        least = graph.constant("least", np.float32(1e-9))
        largest = graph.add("Max", [found, least], f"{rows}.largest")
        unit = graph.add("Div", [evened, largest], f"{rows}.unit")
        graph.add("QuantizeLinear", [unit, "int8.step", "int8.zero"], f"{rows}.int8")

    def _odd(self, name: str) -> NDArray[np.int64]:
        """Return the channels that are multiplied in float32."""
        if not _FEED_FORWARD.search(name):
            return np.array([], np.int64)
        return np.sort(np.argsort(-self._ranges[name].energy)[:_ODD]).astype(np.int64)

    def _share(self, name: str) -> Floats:
        """Return what each channel of the activations is divided by, and its row of the weights multiplied."""
        together = _SELF.match(name)
        names = [f"{together.group(1)}.{part}" for part in ("query", "key", "value")] if together else [name]
        weights = np.max([np.abs(self._weights[f"{each}.weight"]).max(axis=0) for each in names], axis=0)
        evened = _EVENED_QUERY if together else _EVENED
        largest = np.maximum(self._ranges[name].largest, 1e-5)
        share = largest**evened / np.maximum(weights, 1e-5) ** (1 - evened)
        found: Floats = (share / np.exp(np.log(share).mean())).astype(np.float32)
        return found
