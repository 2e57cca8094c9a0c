"""The network of any other classifier as an ONNX graph: optimum traces what torch does with it."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
from onnx import helper
from optimum.exporters.onnx import onnx_export_from_model

from spark_apps.scoring.description import ModelError

_INPUTS = {"input_ids", "attention_mask"}


def traced(network: Any) -> onnx.ModelProto:
    """Return the graph of a classifier of transformers, float32, which takes ids and mask as a scorer gives them.

    `ModelError` where optimum knows no such network, or where it needs more than these.
    """
    kind = network.config.model_type
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # torch warns of what might depend on the traced example, and of its own age; the labels are compared anyway.
        warnings.simplefilter("ignore")
        try:
            onnx_export_from_model(network, folder, task="text-classification", do_validation=False)
        except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
            raise ModelError(f"optimum cannot export a {kind} ({str(error).splitlines()[0]})") from error
        model = onnx.load(Path(folder) / "model.onnx")
    _join_segments(model.graph)
    if more := sorted({given.name for given in model.graph.input} - _INPUTS):
        raise ModelError(f"a {kind} needs {', '.join(more)} as well: only what takes a text alone can be exported")
    return model


def _join_segments(graph: onnx.GraphProto) -> None:
    """Let the graph say by itself that all tokens are of one segment: a tweet is one text."""
    for given in graph.input:
        if given.name == "token_type_ids":
            graph.input.remove(given)
            graph.node.insert(0, helper.make_node("Sub", ["input_ids", "input_ids"], [given.name]))
            return
