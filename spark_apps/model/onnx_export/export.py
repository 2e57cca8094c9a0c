"""Export a fine-tuned classifier to the folder that Gold loads: ONNX, tokenizer and description."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from spark_apps.model.evaluation.groups import rows_by
from spark_apps.model.onnx_export.classifier import Classifier, load_classifier
from spark_apps.model.onnx_export.graph import Network, float_dense, fold_biases
from spark_apps.model.onnx_export.optimum_export import optimum_export
from spark_apps.model.onnx_export.quantise import activation_ranges, by_sensitivity, int8_model
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

# Minimum share of the texts to which an export must give torch's label.
MIN_AGREEMENT = {"fp32": 0.999, "fp16": 0.999, "int8": 0.99}
# Every n-th text calibrates int8; the rest measure agreement.
_CALIBRATE_EVERY = 8
# Shares of the dense layers to keep in float32, tried in this order until the labels agree.
_FLOAT_SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
# Number of calibration texts that tell which layers to keep.
_SENSITIVITY_TEXTS = 200
_WORD_EMBEDDINGS = "roberta.embeddings.word_embeddings.weight.fp16"
# Smaller matrices save nothing and keep their precision.
_MIN_ELEMENTS = 4096


def export(
    model: str | Path,
    out: Path,
    precision: str,
    texts: Sequence[str],
    provenance: dict[str, Any],
    threads: int = 2,
    languages: Sequence[str] = (),
) -> Description:
    """Export the classifier `model` to the folder `out`, and return its description.

    Args:
        model: folder, or model id of the Hugging Face Hub.
        out: folder of the exported model; it replaces an earlier export, and changes only if the labels agree.
        precision: `fp32`; `fp16`, which halves the file (the session widens the weights and computes in float32); or
            `int8` (RoBERTa only), which is fastest and adds the fp16 file and check.json for the scorer's self-check.
        texts: texts on which the labels of the export are compared with torch's; for int8, every 8th text calibrates
            instead.
        provenance: how the model was trained, for the description.
        threads: threads of the sessions that compare the labels.
        languages: languages of the texts; if there are several, the description has the agreement of each.

    Raises:
        ModelError: the model cannot be exported, or the labels agree on less than MIN_AGREEMENT of the texts.
    """
    if precision not in MIN_AGREEMENT:
        raise ModelError(f"precision {precision!r} is unknown: use {', '.join(MIN_AGREEMENT)}")
    classifier = load_classifier(model)
    if precision == "int8" and not classifier.is_roberta:
        raise ModelError(
            f"{model} is a {classifier.network.config.model_type}: only RoBERTa and XLM-RoBERTa with gelu can be "
            "exported in int8; use fp16 or fp32"
        )
    # Metrics and checksums follow once the files exist.
    blank = Description(
        labels=classifier.labels,
        normalisation=NORMALISATION,
        max_length=classifier.max_length,
        base_model=str(provenance.get("base_model", Path(model).name)),
        precision=precision,
        metrics={},
        provenance=provenance,
        checksums={},
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        description = _write_model(classifier, folder, blank, texts, threads, languages)
        _replace(folder, out)
    return description


def _write_model(
    classifier: Classifier,
    folder: Path,
    blank: Description,
    texts: Sequence[str],
    threads: int,
    languages: Sequence[str],
) -> Description:
    """Write the first candidate network with labels that agree with torch's; return its description.

    Raises:
        ModelError: no candidate gives torch's label to enough texts.
    """
    precision = blank.precision
    compared_rows = [n for n in range(len(texts)) if precision != "int8" or n % _CALIBRATE_EVERY]
    compared = [texts[n] for n in compared_rows]
    torch_labels = classifier.probabilities(compared).argmax(axis=1)
    agreements = []
    for network in _networks(classifier, folder, precision, texts[::_CALIBRATE_EVERY]):
        _save(network, folder / MODEL_FILE)
        description = _describe(folder, blank, threads)
        agrees = torch_labels == Scorer(folder, threads).score(compared).argmax(axis=1)
        agreements.append(float(agrees.mean()))
        if agreements[-1] >= MIN_AGREEMENT[precision]:
            description.metrics["agreement_with_torch"] = agreements[-1]
            by_language = rows_by([languages[n] for n in compared_rows]) if languages else {}
            if len(by_language) > 1:
                shares = {name: float(agrees[rows].mean()) for name, rows in by_language.items()}
                description.metrics["agreement_by_language"] = shares
            description.write(folder)
            return description
    raise ModelError(
        f"the {precision} export gives torch's label to {max(agreements):.2%} of {len(compared):,} texts, "
        f"less than {MIN_AGREEMENT[precision]:.1%}: nothing was written; try another precision"
    )


def _replace(folder: Path, out: Path) -> None:
    """Move the files of `folder` to `out`, in place of the files of an earlier export."""
    if (out / DESCRIPTION_FILE).is_file():
        for name in Description.read(out).files():
            (out / name).unlink(missing_ok=True)
    out.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.replace(out / file.name)


def _networks(classifier: Classifier, folder: Path, precision: str, calibration: Sequence[str]) -> Iterator[Any]:
    """Yield candidate networks, the fastest first; before, write the tokenizer and any fallback model to `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        # A tokenizer of the Hub may be vocab.json and merges.txt: the fast tokenizer saves itself as one file.
        classifier.tokenizer.save_pretrained(scratch)
        (folder / TOKENIZER_FILE).write_bytes((Path(scratch) / TOKENIZER_FILE).read_bytes())
    if not classifier.is_roberta:
        network = optimum_export(classifier.network)
        if precision == "fp16":
            _store_in_float16(network.graph)
        yield network
        return
    shape, labels = classifier.shape, len(classifier.labels)
    weights = fold_biases(classifier.weights(), shape.layers)
    network = Network(weights, shape, float_dense(weights)).model(labels)
    if precision == "int8":
        tokens = classifier.tokenizer(
            [normalise(text) for text in calibration], truncation=True, max_length=classifier.max_length
        )["input_ids"]
        ranges = activation_ranges(network, list(batches(list(enumerate(tokens)))))
        few = list(batches(list(enumerate(tokens[:: -(-len(tokens) // _SENSITIVITY_TEXTS)]))))
        _store_in_float16(network.graph)
        _share_embeddings(network.graph, folder)
        _save(network, folder / FALLBACK_FILE)
        order: list[str] = []
        for share in _FLOAT_SHARES:
            if share and not order:
                order = by_sensitivity(weights, shape, labels, ranges, few)
            quantised = int8_model(weights, shape, labels, ranges, order[: round(share * len(order))])
            _store_in_float16(quantised.graph)
            _share_embeddings(quantised.graph, folder)
            yield quantised
        return
    if precision == "fp16":
        _store_in_float16(network.graph)
    yield network


def _describe(folder: Path, blank: Description, threads: int) -> Description:
    """Write and return the description of the files in `folder`; for int8, also write check.json."""
    files = (MODEL_FILE, TOKENIZER_FILE)
    description = replace(blank, checksums={name: sha256(folder / name) for name in files})
    description.write(folder)
    if blank.precision == "int8":
        # The description names no fallback yet: the scorer therefore uses int8, and skips the self-check.
        self_check.write(folder, Scorer(folder, threads).score)
        more = {name: sha256(folder / name) for name in (FALLBACK_FILE, EMBEDDINGS_FILE, self_check.CHECK_FILE)}
        description = replace(description, checksums=description.checksums | more)
        description.write(folder)
    return description


def _save(model: onnx.ModelProto, file: Path) -> None:
    onnx.save(model, file)
    # Pass the path: the checker looks for external data next to the file.
    onnx.checker.check_model(str(file))


def _store_in_float16(graph: onnx.GraphProto) -> None:
    """Store large weights in float16, each followed by a Cast that ONNX Runtime folds when it loads the model."""
    casts = []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        # Biases, norms and the scales of int8 keep their precision: some do not fit into the range of float16.
        if weight.data_type != TensorProto.FLOAT or values.ndim < 2 or values.size < _MIN_ELEMENTS:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16"))
        casts.append(helper.make_node("Cast", [f"{name}.fp16"], [name], to=TensorProto.FLOAT))
    # ONNX requires topological order, so the casts come first.
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _share_embeddings(graph: onnx.GraphProto, folder: Path) -> None:
    """Move the word embeddings from `graph` to a file in `folder` that the int8 and the fallback model share."""
    (words,) = (weight for weight in graph.initializer if weight.name == _WORD_EMBEDDINGS)
    (folder / EMBEDDINGS_FILE).write_bytes(words.raw_data)
    onnx.external_data_helper.set_external_data(words, EMBEDDINGS_FILE, offset=0, length=len(words.raw_data))
    words.ClearField("raw_data")
