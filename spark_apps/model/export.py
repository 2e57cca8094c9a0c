"""A fine-tuned checkpoint → the folder that Gold scores with: ONNX, tokenizer and description."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from spark_apps.model.checkpoint import Checkpoint, load
from spark_apps.model.graph import Network, float_dense
from spark_apps.model.quantise import int8_model
from spark_apps.scoring.scorer import (
    DESCRIPTION_FILE,
    FALLBACK_FILE,
    MODEL_FILE,
    NORMALISATION,
    TOKENIZER_FILE,
    Description,
    ModelError,
    Scorer,
    sha256,
)

# The share of texts to which an export must give torch's label, or it is refused.
MIN_AGREEMENT = {"fp32": 0.999, "fp16": 0.999, "int8": 0.99}
# Every so-manieth text shows the range of the activations to int8; the others tell whether the labels are kept.
_CALIBRATE_EVERY = 8
# Smaller tensors (biases, norms) save nothing and keep their precision.
_MIN_ELEMENTS = 4096


def export(
    model: str | Path, out: Path, precision: str, texts: Sequence[str], provenance: dict[str, Any], threads: int = 2
) -> Description:
    """Write a checkpoint, of a folder or of the Hugging Face hub, to the folder `out`, and return its description.

    `fp16` halves the file: weights are stored in float16 and widened when the session is made; the arithmetic stays
    float32. `int8` is faster, and comes with a check set and the fp16 file, to which the scorer falls back where the
    check set shows other figures. The exported model scores `texts` beside torch; `ModelError` with the figures when
    the labels agree on less than MIN_AGREEMENT of them. `out` appears whole or not at all.
    """
    if precision not in MIN_AGREEMENT:
        raise ModelError(f"precision {precision!r} is unknown: use {', '.join(MIN_AGREEMENT)}")
    checkpoint = load(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        half = Path(scratch) / "model"
        half.mkdir()
        judged = texts if precision != "int8" else [t for n, t in enumerate(texts) if n % _CALIBRATE_EVERY]
        _write_files(checkpoint, half, precision, texts[::_CALIBRATE_EVERY])
        description = Description(
            labels=checkpoint.labels,
            normalisation=NORMALISATION,
            max_length=checkpoint.max_length,
            base_model=str(provenance.get("base_model", Path(model).name)),
            precision=precision,
            metrics={},
            provenance=provenance,
            checksums={file.name: sha256(file) for file in sorted(half.iterdir())},
        )
        if precision == "int8":
            _write_check(half, description, threads)
        describe(half, description)
        agreement = _agreement(checkpoint, half, judged, threads)
        if agreement < MIN_AGREEMENT[precision]:
            raise ModelError(
                f"the {precision} export labels only {agreement:.2%} of {len(judged):,} texts as torch does "
                f"(at least {MIN_AGREEMENT[precision]:.1%} are wanted): nothing was written to {out}"
            )
        description.metrics["agreement_with_torch"] = agreement
        describe(half, description)
        out.mkdir(exist_ok=True)
        for name in Description.read(out).files() if (out / DESCRIPTION_FILE).is_file() else []:
            (out / name).unlink(missing_ok=True)
        for file in half.iterdir():
            file.replace(out / file.name)
    return description


def describe(folder: Path, description: Description) -> None:
    """Write the description of the model in `folder`."""
    text = json.dumps(asdict(description), indent=2, ensure_ascii=False)
    (folder / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")


def _write_files(checkpoint: Checkpoint, folder: Path, precision: str, calibration: Sequence[str]) -> None:
    """Write the tokenizer and the networks of an export to `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        # The hub has tokenizers as vocab.json and merges.txt too; the fast one writes itself as one file.
        checkpoint.tokenizer.save_pretrained(scratch)
        (folder / TOKENIZER_FILE).write_bytes((Path(scratch) / TOKENIZER_FILE).read_bytes())
    weights = checkpoint.weights()
    network = Network(weights, checkpoint.shape, float_dense(weights)).model(len(checkpoint.labels))
    if precision == "int8":
        _save(int8_model(checkpoint, network, calibration), folder / MODEL_FILE)
    if precision != "fp32":
        _store_in_float16(network.graph)
    _save(network, folder / (FALLBACK_FILE if precision == "int8" else MODEL_FILE))


def _write_check(folder: Path, description: Description, threads: int) -> None:
    """Write what int8 gives on this processor for the check set."""
    # Described without the file to fall back to, the folder is scored by int8 whatever it gives.
    alone = {name: checksum for name, checksum in description.checksums.items() if name != FALLBACK_FILE}
    describe(folder, replace(description, checksums=alone))
    check.write(folder, Scorer(folder, threads).score)
    description.checksums[check.CHECK_FILE] = sha256(folder / check.CHECK_FILE)


def _save(model: onnx.ModelProto, file: Path) -> None:
    onnx.checker.check_model(model)
    onnx.save(model, file)


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


def _agreement(checkpoint: Checkpoint, exported: Path, texts: Sequence[str], threads: int) -> float:
    theirs, ours = checkpoint.probabilities(texts), Scorer(exported, threads).score(texts)
    return float((theirs.argmax(axis=1) == ours.argmax(axis=1)).mean())
