"""A fine-tuned checkpoint → the folder that Gold scores with: ONNX, tokenizer and description."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from spark_apps.scoring.scorer import (
    DESCRIPTION_FILE,
    MODEL_FILE,
    NORMALISATION,
    TOKENIZER_FILE,
    Description,
    ModelError,
    Scorer,
    sha256,
)
from spark_apps.scoring.text import normalise

MAX_LENGTH = 128
PRECISIONS = ("fp32", "fp16")
# An export that labels more than one text in a thousand otherwise than torch does is refused.
MIN_AGREEMENT = 0.999
# Smaller tensors (biases, norms) save nothing and keep their precision.
_MIN_ELEMENTS = 4096


def export(
    model: Path, out: Path, precision: str, texts: Sequence[str], provenance: dict[str, Any], threads: int = 2
) -> Description:
    """Write the checkpoint in the folder `model` to the folder `out`, and return its description.

    `fp16` halves the file: weights are stored in float16 and widened when the session is made; the arithmetic stays
    float32. The exported model scores `texts` beside torch; `ModelError` with the figures when the labels agree on
    less than MIN_AGREEMENT of them. `out` appears whole or not at all.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"precision {precision!r} is unknown: use {' or '.join(PRECISIONS)}")
    if not (model / "config.json").is_file():
        raise ModelError(f"{model} is no folder of a trained model: it has no config.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        half = Path(scratch) / "model"
        half.mkdir()
        _write_onnx(model, half / MODEL_FILE, precision)
        shutil.copyfile(model / TOKENIZER_FILE, half / TOKENIZER_FILE)
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        labels = tuple(name.lower() for _, name in sorted(config["id2label"].items(), key=lambda item: int(item[0])))
        description = Description(
            labels=labels,
            normalisation=NORMALISATION,
            max_length=MAX_LENGTH,
            base_model=str(provenance.get("base_model", model.name)),
            precision=precision,
            metrics={},
            provenance=provenance,
            sha256=sha256(half / MODEL_FILE),
        )
        describe(half, description)
        agreement = _agreement(model, half, texts, threads)
        if agreement < MIN_AGREEMENT:
            raise ModelError(
                f"the {precision} export labels only {agreement:.2%} of {len(texts):,} texts as torch does "
                f"(at least {MIN_AGREEMENT:.1%} are wanted): nothing was written to {out}"
            )
        description.metrics["agreement_with_torch"] = agreement
        describe(half, description)
        out.mkdir(exist_ok=True)
        for file in half.iterdir():
            file.replace(out / file.name)
    return description


def describe(folder: Path, description: Description) -> None:
    """Write the description of the model in `folder`."""
    text = json.dumps(asdict(description), indent=2, ensure_ascii=False)
    (folder / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")


def _write_onnx(model: Path, file: Path, precision: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        ORTModelForSequenceClassification.from_pretrained(model, export=True).save_pretrained(scratch)
        graph = onnx.load(Path(scratch) / "model.onnx")
    if precision == "fp16":
        _store_in_float16(graph.graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, file)


def _store_in_float16(graph: onnx.GraphProto) -> None:
    """Store the large weights in float16, each behind a Cast that ONNX Runtime folds away when it loads them."""
    casts = []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < _MIN_ELEMENTS:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16"))
        casts.append(helper.make_node("Cast", [f"{name}.fp16"], [name], to=TensorProto.FLOAT))
    # A node may only use what comes before it.
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _agreement(model: Path, exported: Path, texts: Sequence[str], threads: int) -> float:
    theirs = _torch_probabilities(model, texts)
    ours = Scorer(exported, threads).score(texts)
    columns = [Description.read(exported).labels.index(label) for label in ("negative", "neutral", "positive")]
    return float((theirs[:, columns].argmax(axis=1) == ours.argmax(axis=1)).mean())


@torch.inference_mode()
def _torch_probabilities(model: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    found = np.empty((len(texts), network.config.num_labels), np.float32)
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        batch = tokenizer(
            [normalise(texts[row]) for row in rows],
            padding=True,
            truncation=True,
            max_length=MAX_LENGTH,
            return_tensors="pt",
        )
        found[rows] = network(**batch).logits.softmax(dim=1).numpy()
    return found
