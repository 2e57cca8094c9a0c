"""The network of a RoBERTa classifier as an ONNX graph that does no more than its labels need.

torch's exporter writes what the Python code does; this graph, written from the weights, does the same in less time:

- Each dense layer is one Gemm over the tokens of all texts, so that its bias costs nothing.
- The classifier reads the first token alone, so the last layer computes keys and values for all tokens and the rest
  for the first: a sixth of the work of six layers less, and exactly the same result.
- Of two biases the product itself takes care: see `fold_biases`.
- Padding stands at the end of a text, so a token's place in the text is its column.
- A node is fused where the fused kernel is the faster one on a CPU: Attention, SkipLayerNormalization and BiasGelu are
  not (`tests/benchmarks/scorer.py` has the figures).

Weights keep their names and their shapes of the checkpoint, and are those of a RoBERTa still.
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
# Added to the scores of padded tokens: their share becomes zero, and no score becomes infinite.
_MASKED = -10_000.0

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Shape:
    """The sizes of a RoBERTa that its weights do not tell."""

    layers: int
    heads: int
    norm_epsilon: float
    padding_id: int
    act: str = "gelu"


class Builder:
    """Collects the nodes and the weights of one graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def add(self, kind: str, inputs: Sequence[str], name: str, domain: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its only output, which is also its own."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Add a weight or a constant, once, and return its name."""
        if name not in self.weights:
            self.weights[name] = numpy_helper.from_array(np.asarray(value), name)
        return name


class Dense(Protocol):
    """Adds the dense layer `name` over rows (n, in); returns the name of its output (n, out)."""

    def __call__(self, graph: Builder, rows: str, name: str, beside: str = "") -> str:
        """Add `beside` (n, out) to the product where it is named, else the layer's bias if it has one."""


def float_dense(weights: Weights) -> Dense:
    """Return the dense layer that computes in float32."""

    def dense(graph: Builder, rows: str, name: str, beside: str = "") -> str:
        inputs = [rows, graph.constant(f"{name}.weight", weights[f"{name}.weight"])]
        if beside:
            inputs.append(beside)
        elif f"{name}.bias" in weights:
            inputs.append(graph.constant(f"{name}.bias", weights[f"{name}.bias"]))
        return graph.add("Gemm", inputs, name, transB=1)

    return dense


def fold_biases(weights: Weights, layers: int) -> Weights:
    """Return the weights of the same function whose keys and whose layers before a residual sum have no bias.

    - What a bias of the keys adds to the scores of a token is the same for each key: softmax drops it.
    - The bias of a layer before a residual sum is added to what it is summed with, by the shift of the norm there; the
      other layers that read that norm take it off again. The residual can then be the third operand of the product,
      where a bias would be, and the sum costs nothing.
    """
    found = dict(weights)

    def fold(norm: str, ends: str, readers: Sequence[str]) -> None:
        bias = found.pop(f"{ends}.bias")
        found[f"{norm}.bias"] = found[f"{norm}.bias"] + bias
        for name in readers:
            found[f"{name}.bias"] = found[f"{name}.bias"] - found[f"{name}.weight"] @ bias

    before = "roberta.embeddings.LayerNorm"
    for number in range(layers):
        layer = f"roberta.encoder.layer.{number}"
        attention = f"{layer}.attention"
        del found[f"{attention}.self.key.bias"]
        fold(before, f"{attention}.output.dense", [f"{attention}.self.{part}" for part in ("query", "value")])
        fold(f"{attention}.output.LayerNorm", f"{layer}.output.dense", [f"{layer}.intermediate.dense"])
        before = f"{layer}.output.LayerNorm"
    return found


class Network:
    """Writes the graph, layer by layer; rows are tokens, the first ones of all texts first: (length * texts, width)."""

    def __init__(self, weights: Weights, shape: Shape, dense: Dense) -> None:
        # `weights` are those that `fold_biases` returned.
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
        words, places, types = (
            graph.constant(f"{name}.{kind}_embeddings.weight", self._weights[f"{name}.{kind}_embeddings.weight"])
            for kind in ("word", "position", "token_type")
        )
        ids = graph.add("Transpose", ["input_ids"], f"{name}.ids", perm=[1, 0])
        found = graph.add("Gather", [words, ids], f"{name}.found")
        graph.add("Shape", ["input_ids"], "shape")
        graph.add("Slice", ["shape", self._ints(0), self._ints(1)], "texts")
        length = graph.add("Slice", ["shape", self._ints(1), self._ints(2)], "length")
        # RoBERTa counts places from the one after the padding's.
        first = self._ints(self._shape.padding_id + 1)
        last = graph.add("Add", [length, first], f"{name}.last")
        here = graph.add("Slice", [places, first, last, self._ints(0)], f"{name}.places")
        # A tweet is one segment: all its tokens are of the first type.
        kind = graph.add("Gather", [types, graph.constant("zero", np.int64(0))], f"{name}.type")
        place = graph.add("Add", [here, kind], f"{name}.places_and_type")
        added = graph.add("Add", [graph.add("Unsqueeze", [place, self._ints(1)], f"{name}.each"), found], f"{name}.sum")
        rows = graph.add("Reshape", [added, self._ints(-1, self._width)], f"{name}.rows")
        return self._norm(rows, f"{name}.LayerNorm")

    def _mask(self) -> str:
        graph = self._graph
        real = graph.add("Cast", ["attention_mask"], "mask.real", to=TensorProto.FLOAT)
        padded = graph.add("Sub", [real, graph.constant("one", np.float32(1))], "mask.padded")
        scaled = graph.add("Mul", [padded, graph.constant("masked", np.float32(-_MASKED))], "mask.scaled")
        return graph.add("Unsqueeze", [scaled, self._ints(1, 2)], "mask")

    def _layer(self, number: int, rows: str, mask: str, *, first_only: bool) -> str:
        graph, name = self._graph, f"roberta.encoder.layer.{number}"
        asking = self._first(rows) if first_only else rows
        seen = self._attention(f"{name}.attention", asking, rows, mask)
        added = self._dense(graph, seen, f"{name}.attention.output.dense", asking)
        middle = self._norm(added, f"{name}.attention.output.LayerNorm")
        wide = graph.add("Gelu", [self._dense(graph, middle, f"{name}.intermediate.dense")], f"{name}.gelu", MICROSOFT)
        return self._norm(self._dense(graph, wide, f"{name}.output.dense", middle), f"{name}.output.LayerNorm")

    def _first(self, rows: str) -> str:
        """Return the rows of the first token of each text."""
        return self._graph.add("Slice", [rows, self._ints(0), "texts"], "first")

    def _attention(self, name: str, asking: str, rows: str, mask: str) -> str:
        """Return what the rows `asking` gather from all rows of their text.

        The products read the heads where they lie (`transBatch…`): only what they give has to be moved.
        """
        graph, heads = self._graph, self._shape.heads
        depth = self._width // heads
        all_ask = asking == rows
        query, key, value = (
            self._heads(self._dense(graph, source, f"{name}.self.{part}"), source != rows, heads, depth)
            for part, source in (("query", asking), ("key", rows), ("value", rows))
        )
        scores = graph.add(
            "FusedMatMul", [query, key], f"{name}.scores", MICROSOFT,
            transB=1, transBatchA=int(all_ask), transBatchB=1, alpha=depth**-0.5,
        )  # fmt: skip
        masked = graph.add("Add", [scores, mask], f"{name}.masked")
        shares = graph.add("Softmax", [masked], f"{name}.shares", axis=-1)
        mixed = graph.add("FusedMatMul", [shares, value], f"{name}.mixed", MICROSOFT, transBatchB=1)
        if all_ask:
            mixed = graph.add("Transpose", [mixed], f"{name}.by_token", perm=[2, 0, 1, 3])
        return graph.add("Reshape", [mixed, self._ints(-1, self._width)], f"{name}.rows")

    def _heads(self, rows: str, single: bool, heads: int, depth: int) -> str:
        """Return rows as (tokens, texts, heads, depth); `single`, of one row a text, as (texts, heads, 1, depth)."""
        graph = self._graph
        if single:
            return graph.add("Reshape", [rows, self._ints(-1, heads, 1, depth)], f"{rows}.heads")
        if "by_head" not in {node.name for node in graph.nodes}:
            graph.add("Concat", [self._ints(-1), "texts", self._ints(heads, depth)], "by_head", axis=0)
        return graph.add("Reshape", [rows, "by_head"], f"{rows}.heads")
