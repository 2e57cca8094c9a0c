"""A fine-tuned checkpoint → the folder that Gold scores with: ONNX, tokenizer and description."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from spark_apps.model.onnx_export.classifier import Checkpoint, load
from spark_apps.model.onnx_export.graph import Network, float_dense, fold_biases
from spark_apps.model.onnx_export.optimum_export import traced
from spark_apps.model.onnx_export.quantise import activation_ranges, int8_model
from spark_apps.scoring import self_check
from spark_apps.scoring.batches import batches
from spark_apps.scoring.description import (
    DESCRIPTION_FILE,
    EMBEDDINGS_FILE,
    FALLBACK_FILE,
    MODEL_FILE,
    NORMALISATION,
    TOKENIZER_FILE,
    Description,
    ModelError,
    sha256,
)
from spark_apps.scoring.scorer import Scorer
from spark_apps.scoring.text import normalise

# The share of texts to which an export must give torch's label, or it is refused.
MIN_AGREEMENT = {"fp32": 0.999, "fp16": 0.999, "int8": 0.99}
# Every so-manieth text shows the range of the activations to int8; the others tell whether the labels are kept.
_CALIBRATE_EVERY = 8
# Feed-forward blocks that stay in float32 in an int8 network: as few as keep the labels.
_KEPT = (1, 2)
_WORDS = "roberta.embeddings.word_embeddings.weight.fp16"
# Smaller tensors (biases, norms) save nothing and keep their precision.
_MIN_ELEMENTS = 4096


def export(
    model: str | Path, out: Path, precision: str, texts: Sequence[str], provenance: dict[str, Any], threads: int = 2
) -> Description:
    """Write a checkpoint, of a folder or of the Hugging Face hub, to the folder `out`, and return its description.

    `fp16` halves the file: weights are stored in float16 and widened when the session is made; the arithmetic stays
    float32. `int8`, for RoBERTas alone, is faster, and comes with a check set and the fp16 file, to which the scorer
    falls back where the check set shows other figures. The exported model scores `texts` beside torch; `ModelError`
    with the figures when the labels agree on less than MIN_AGREEMENT of them. `out` appears whole or not at all.
    """
    if precision not in MIN_AGREEMENT:
        raise ModelError(f"precision {precision!r} is unknown: use {', '.join(MIN_AGREEMENT)}")
    checkpoint = load(model)
    if precision == "int8" and not checkpoint.is_roberta:
        raise ModelError(
            f"{model} is a {checkpoint.network.config.model_type}: only RoBERTa and XLM-RoBERTa with gelu can be "
            "exported in int8, use fp16 or fp32"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        half = Path(scratch) / "model"
        half.mkdir()
        judged = texts if precision != "int8" else [text for n, text in enumerate(texts) if n % _CALIBRATE_EVERY]
        wanted = checkpoint.probabilities(judged).argmax(axis=1)
        # What is known of a model before it is measured.
        blank = Description(
            labels=checkpoint.labels,
            normalisation=NORMALISATION,
            max_length=checkpoint.max_length,
            base_model=str(provenance.get("base_model", Path(model).name)),
            precision=precision,
            metrics={},
            provenance=provenance,
            checksums={},
        )
        tried = []
        for network in _networks(checkpoint, half, precision, texts[::_CALIBRATE_EVERY]):
            _save(network, half / MODEL_FILE)
            description = _describe(half, blank, threads)
            agreement = float((wanted == Scorer(half, threads).score(judged).argmax(axis=1)).mean())
            tried.append(agreement)
            if agreement >= MIN_AGREEMENT[precision]:
                break
        else:
            raise ModelError(
                f"the {precision} export labels only {max(tried):.2%} of {len(judged):,} texts as torch does "
                f"(at least {MIN_AGREEMENT[precision]:.1%} are wanted): nothing was written to {out}"
            )
        description.metrics["agreement_with_torch"] = agreement
        description.write(half)
        if (out / DESCRIPTION_FILE).is_file():
            for name in Description.read(out).files():
                (out / name).unlink(missing_ok=True)
        out.mkdir(exist_ok=True)
        for file in half.iterdir():
            file.replace(out / file.name)
    return description


def _networks(checkpoint: Checkpoint, folder: Path, precision: str, calibration: Sequence[str]) -> Iterator[Any]:
    """Write the tokenizer, and the file to fall back to, to `folder`; yield the networks to try, fastest first."""
    with tempfile.TemporaryDirectory() as scratch:
        # The hub has tokenizers as vocab.json and merges.txt too; the fast one writes itself as one file.
        checkpoint.tokenizer.save_pretrained(scratch)
        (folder / TOKENIZER_FILE).write_bytes((Path(scratch) / TOKENIZER_FILE).read_bytes())
    if not checkpoint.is_roberta:
        network = traced(checkpoint.network)
        if precision == "fp16":
            _store_in_float16(network.graph)
        yield network
        return
    shape, labels = checkpoint.shape, len(checkpoint.labels)
    weights = fold_biases(checkpoint.weights(), shape.layers)
    network = Network(weights, shape, float_dense(weights)).model(labels)
    if precision == "int8":
        tokens = checkpoint.tokenizer(
            [normalise(text) for text in calibration], truncation=True, max_length=checkpoint.max_length
        )["input_ids"]
        ranges = activation_ranges(network, list(batches(list(enumerate(tokens)))))
        _store_in_float16(network.graph)
        _share_embeddings(network.graph, folder)
        _save(network, folder / FALLBACK_FILE)
        for kept in _KEPT:
            smaller = int8_model(weights, shape, labels, ranges, kept)
            _store_in_float16(smaller.graph)
            _share_embeddings(smaller.graph, folder)
            yield smaller
        return
    if precision == "fp16":
        _store_in_float16(network.graph)
    yield network


def _describe(folder: Path, blank: Description, threads: int) -> Description:
    """Write the description of the files in `folder`, with the check set where they are an int8 model."""
    known = (MODEL_FILE, TOKENIZER_FILE)
    description = replace(blank, checksums={name: sha256(folder / name) for name in known})
    description.write(folder)
    if blank.precision == "int8":
        # Described without the file to fall back to, the folder is scored by int8 whatever that gives.
        self_check.write(folder, Scorer(folder, threads).score)
        more = {name: sha256(folder / name) for name in (FALLBACK_FILE, EMBEDDINGS_FILE, self_check.CHECK_FILE)}
        description = replace(description, checksums=description.checksums | more)
        description.write(folder)
    return description


def _save(model: onnx.ModelProto, file: Path) -> None:
    onnx.save(model, file)
    # By its name: what lies in a file beside it is looked for there.
    onnx.checker.check_model(str(file))


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


def _share_embeddings(graph: onnx.GraphProto, folder: Path) -> None:
    """Move the words' embeddings out of `graph` into a file of `folder`, which a second graph then reads too."""
    (words,) = (weight for weight in graph.initializer if weight.name == _WORDS)
    (folder / EMBEDDINGS_FILE).write_bytes(words.raw_data)
    onnx.external_data_helper.set_external_data(words, EMBEDDINGS_FILE, offset=0, length=len(words.raw_data))
    words.ClearField("raw_data")
