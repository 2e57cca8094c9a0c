"""ONNX export through Optimum, for classifiers that graph.py cannot write."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
from onnx import helper
from optimum.exporters.onnx import onnx_export_from_model

from spark_apps.errors import first_line
from spark_apps.scoring.description import ModelError

_INPUTS = {"input_ids", "attention_mask"}


def optimum_export(network: Any) -> onnx.ModelProto:
    """Return the float32 graph of a transformers classifier with the inputs input_ids and attention_mask.

    Raises:
        ModelError: Optimum cannot export the network, or the network needs more inputs.
    """
    kind = network.config.model_type
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # torch warns about deprecations, and about values that tracing may freeze: `export` compares the labels anyway.
        warnings.simplefilter("ignore")
        try:
            onnx_export_from_model(network, folder, task="text-classification", do_validation=False)
        except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
            raise ModelError(f"Optimum cannot export a {kind} ({first_line(error)})") from error
        model = onnx.load(Path(folder) / "model.onnx")
    _zero_segments(model.graph)
    if more := sorted({graph_input.name for graph_input in model.graph.input} - _INPUTS):
        raise ModelError(f"a {kind} also needs {', '.join(more)}: only classifiers of a single text can be exported")
    return model


def _zero_segments(graph: onnx.GraphProto) -> None:
    """Replace the input token_type_ids by zeros: a tweet is one segment."""
    for graph_input in graph.input:
        if graph_input.name == "token_type_ids":
            graph.input.remove(graph_input)
            graph.node.insert(0, helper.make_node("Sub", ["input_ids", "input_ids"], [graph_input.name]))
            return
