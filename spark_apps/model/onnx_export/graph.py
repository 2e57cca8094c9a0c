"""RoBERTa classifiers as ONNX graphs that compute only what the labels need.

torch's exporter reproduces the Python code. This module builds a graph from the weights that gives the same result
faster:

- Each dense layer is one Gemm over the tokens of all texts, which adds the bias for free.
- The classifier reads only the first token. The last layer computes keys and values for all tokens, but everything else
  for the first token alone: with six layers, a sixth less work.
- Two kinds of biases are folded into other weights (`fold_biases`).
- Padding is at the end of a text, so the position of a token is its column.
- Fused operators are used where they are faster on a CPU. Attention, SkipLayerNormalization and BiasGelu are not, as
  `tests/benchmarks/scorer.py` measures.

Weights keep the names and shapes of the checkpoint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 20, 10
MICROSOFT = "com.microsoft"
# Added to the attention scores of padding: its weight becomes zero, but no score becomes infinite.
_MASKED = -10_000.0

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Shape:
    """Dimensions and constants of a RoBERTa that its weights do not contain."""

    layers: int
    heads: int
    norm_epsilon: float
    padding_id: int


class Builder:
    """Collects the nodes and the weights of one graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def add(self, kind: str, inputs: Sequence[str], name: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return `name`, which names both the node and its output."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Add a weight or a constant, unless the graph has one of this name, and return its name."""
        if name not in self.weights:
            self.weights[name] = numpy_helper.from_array(np.asarray(value), name)
        return name


class Dense(Protocol):
    """Adds the dense layer `name` to a graph: `rows` of shape (n, in) → the output, shape (n, out), named `name`."""

    def __call__(self, graph: Builder, rows: str, name: str, addend: str = "") -> str:
        """Add the layer and return `name`. `addend`, shape (n, out), takes the place of the layer's bias if given."""


def float_dense(weights: Weights) -> Dense:
    """Return the dense layer that computes in float32."""

    def dense(graph: Builder, rows: str, name: str, addend: str = "") -> str:
        inputs = [rows, graph.constant(f"{name}.weight", weights[f"{name}.weight"])]
        if addend:
            inputs.append(addend)
        elif f"{name}.bias" in weights:
            inputs.append(graph.constant(f"{name}.bias", weights[f"{name}.bias"]))
        return graph.add("Gemm", inputs, name, transB=1)

    return dense


def fold_biases(weights: Weights, layers: int) -> Weights:
    """Return weights that compute the same function without two kinds of biases.

    - The bias of the keys adds the same value to all scores of a token: softmax cancels it.
    - The bias of a layer before a residual sum moves into the shift of the norm that produces the residual, and the
      other layers that read this norm subtract it. The residual can then take the place of the bias as third operand of
      the Gemm, which makes the sum free.
    """
    folded = dict(weights)

    def fold(norm: str, layer_before_sum: str, readers: Sequence[str]) -> None:
        bias = folded.pop(f"{layer_before_sum}.bias")
        folded[f"{norm}.bias"] = folded[f"{norm}.bias"] + bias
        for name in readers:
            folded[f"{name}.bias"] = folded[f"{name}.bias"] - folded[f"{name}.weight"] @ bias

    previous_norm = "roberta.embeddings.LayerNorm"
    for number in range(layers):
        layer = f"roberta.encoder.layer.{number}"
        attention = f"{layer}.attention"
        del folded[f"{attention}.self.key.bias"]
        fold(previous_norm, f"{attention}.output.dense", [f"{attention}.self.{part}" for part in ("query", "value")])
        fold(f"{attention}.output.LayerNorm", f"{layer}.output.dense", [f"{layer}.intermediate.dense"])
        previous_norm = f"{layer}.output.LayerNorm"
    return folded


class Network:
    """Writes the graph layer by layer.

    Rows have the shape (length * texts, width). They are ordered by position: the first tokens of all texts come first.
    """

    def __init__(self, weights: Weights, shape: Shape, dense: Dense) -> None:
        """`weights` come from `fold_biases`."""
        self._weights, self._shape, self._dense = weights, shape, dense
        self._width = weights["roberta.embeddings.LayerNorm.weight"].shape[0]
        self._graph = Builder()

    def model(self, labels: int) -> onnx.ModelProto:
        """Return the graph: input_ids and attention_mask (texts, length) → logits (texts, labels)."""
        graph = self._graph
        rows, mask = self._embed(), self._mask()
        for layer in range(self._shape.layers - 1):
            rows = self._layer(layer, rows, mask, first_only=False)
        first = self._layer(self._shape.layers - 1, rows, mask, first_only=True)
        hidden = graph.add("Tanh", [self._dense(graph, first, "classifier.dense")], "classifier.tanh")
        graph.add("Identity", [self._dense(graph, hidden, "classifier.out_proj")], "logits")
        ids = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "length"])
            for name in ("input_ids", "attention_mask")
        ]
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["texts", labels])
        body = helper.make_graph(graph.nodes, "roberta", ids, [logits], list(graph.weights.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="tweet-sentiment")

    def _ints(self, *values: int) -> str:
        return self._graph.constant(f"ints{values}", np.array(values, np.int64))

    def _norm(self, rows: str, name: str) -> str:
        scale, shift = (
            self._graph.constant(f"{name}.{part}", self._weights[f"{name}.{part}"]) for part in ("weight", "bias")
        )
        return self._graph.add("LayerNormalization", [rows, scale, shift], name, epsilon=self._shape.norm_epsilon)

    def _embed(self) -> str:
        graph, name = self._graph, "roberta.embeddings"
        words, positions, types = (
            graph.constant(f"{name}.{kind}_embeddings.weight", self._weights[f"{name}.{kind}_embeddings.weight"])
            for kind in ("word", "position", "token_type")
        )
        ids = graph.add("Transpose", ["input_ids"], f"{name}.ids", perm=[1, 0])
        word_rows = graph.add("Gather", [words, ids], f"{name}.word_rows")
        graph.add("Shape", ["input_ids"], "shape")
        graph.add("Slice", ["shape", self._ints(0), self._ints(1)], "texts")
        length = graph.add("Slice", ["shape", self._ints(1), self._ints(2)], "length")
        # RoBERTa's positions start after the padding id.
        first = self._ints(self._shape.padding_id + 1)
        last = graph.add("Add", [length, first], f"{name}.last")
        used = graph.add("Slice", [positions, first, last, self._ints(0)], f"{name}.places")
        # A tweet is one segment: all tokens have type 0.
        kind = graph.add("Gather", [types, graph.constant("zero", np.int64(0))], f"{name}.type")
        place = graph.add("Add", [used, kind], f"{name}.places_and_type")
        position_rows = graph.add("Unsqueeze", [place, self._ints(1)], f"{name}.each")
        added = graph.add("Add", [position_rows, word_rows], f"{name}.sum")
        rows = graph.add("Reshape", [added, self._ints(-1, self._width)], f"{name}.rows")
        return self._norm(rows, f"{name}.LayerNorm")

    def _mask(self) -> str:
        """Return the mask that is added to the attention scores: 0 for tokens, _MASKED for padding."""
        graph = self._graph
        real = graph.add("Cast", ["attention_mask"], "mask.real", to=TensorProto.FLOAT)
        padded = graph.add("Sub", [real, graph.constant("one", np.float32(1))], "mask.padded")
        scaled = graph.add("Mul", [padded, graph.constant("masked", np.float32(-_MASKED))], "mask.scaled")
        return graph.add("Unsqueeze", [scaled, self._ints(1, 2)], "mask")

    def _layer(self, number: int, rows: str, mask: str, *, first_only: bool) -> str:
        """Return the output of a layer for all rows, or with `first_only` for the first token of each text."""
        graph, name = self._graph, f"roberta.encoder.layer.{number}"
        query_rows = self._first(rows) if first_only else rows
        context = self._attention(f"{name}.attention", query_rows, rows, mask)
        added = self._dense(graph, context, f"{name}.attention.output.dense", query_rows)
        middle = self._norm(added, f"{name}.attention.output.LayerNorm")
        wide = graph.add("Gelu", [self._dense(graph, middle, f"{name}.intermediate.dense")], f"{name}.gelu", MICROSOFT)
        return self._norm(self._dense(graph, wide, f"{name}.output.dense", middle), f"{name}.output.LayerNorm")

    def _first(self, rows: str) -> str:
        """Return the rows of the first token of each text."""
        return self._graph.add("Slice", [rows, self._ints(0), "texts"], "first")

    def _attention(self, name: str, query_rows: str, rows: str, mask: str) -> str:
        """Return the attention output of `query_rows` over all rows of their text.

        The products read the heads in place (`transBatch…`), so only their output is transposed.
        """
        graph, heads = self._graph, self._shape.heads
        depth = self._width // heads
        all_rows_query = query_rows == rows
        query, key, value = (
            self._heads(self._dense(graph, source, f"{name}.self.{part}"), source != rows, heads, depth)
            for part, source in (("query", query_rows), ("key", rows), ("value", rows))
        )
        scores = graph.add(
            "FusedMatMul", [query, key], f"{name}.scores", MICROSOFT,
            transB=1, transBatchA=int(all_rows_query), transBatchB=1, alpha=depth**-0.5,
        )  # fmt: skip
        masked = graph.add("Add", [scores, mask], f"{name}.masked")
        shares = graph.add("Softmax", [masked], f"{name}.shares", axis=-1)
        mixed = graph.add("FusedMatMul", [shares, value], f"{name}.mixed", MICROSOFT, transBatchB=1)
        if all_rows_query:
            mixed = graph.add("Transpose", [mixed], f"{name}.by_token", perm=[2, 0, 1, 3])
        return graph.add("Reshape", [mixed, self._ints(-1, self._width)], f"{name}.rows")

    def _heads(self, rows: str, single: bool, heads: int, depth: int) -> str:
        """Reshape rows to (tokens, texts, heads, depth); if `single`, one row per text, to (texts, heads, 1, depth)."""
        graph = self._graph
        if single:
            return graph.add("Reshape", [rows, self._ints(-1, heads, 1, depth)], f"{rows}.heads")
        if "by_head" not in {node.name for node in graph.nodes}:
            graph.add("Concat", [self._ints(-1), "texts", self._ints(heads, depth)], "by_head", axis=0)
        return graph.add("Reshape", [rows, "by_head"], f"{rows}.heads")
