"""The scorer alone: its speed compared with the limit of the CPU, the effect of the cache, and its memory.

Alternatives run interleaved in one process, and their medians are compared: a noisy machine slows all of them.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from spark_apps.model.onnx_export.graph import IR_VERSION, MICROSOFT, OPSET, Builder, Shape
from spark_apps.scoring.batches import Batch, batches
from spark_apps.scoring.cache import PredictionCache
from spark_apps.scoring.description import EMBEDDINGS_FILE, FALLBACK_FILE, MODEL_FILE, Description, sha256
from spark_apps.scoring.scorer import Scorer, open_session
from spark_apps.scoring.text import normalise
from tests.benchmarks.texts import with_retweets

ROUNDS = 5


def matrix_limit(folder: Path, texts: Sequence[str], width: int, wide: int, shape: Shape, threads: int) -> Any:
    """Compare the float scorer with the time of its matrix products, on the same padded batches.

    The limit is a graph of the products alone, with the same shapes in the same order. ONNX Runtime runs both graphs,
    with the same kernels, packed weights and threads.

    Returns:
        `tweets_per_second` of the scorer, `limit` in tweets/s, and the share of the products in the time of the model
        (`model_share`) and of the whole scorer with tokenising and batching (`scorer_share`).
    """
    scorer = Scorer(folder, threads)
    texts = list(dict.fromkeys(map(normalise, texts)))
    cut = list(batches(scorer._tokenise([(text, row) for row, text in enumerate(texts)])))
    alone = open_session(_products(width, wide, shape).SerializeToString(), threads)
    alternatives = {
        "products": lambda: _run_all(alone, cut),
        "model": lambda: _run_all(scorer._session, cut),
        "scorer": lambda: scorer.score_normalised(texts),
    }
    seconds = interleaved_seconds(alternatives)
    return {
        "tweets_per_second": len(texts) / seconds["scorer"],
        "limit": len(texts) / seconds["products"],
        "model_share": seconds["products"] / seconds["model"],
        "scorer_share": seconds["products"] / seconds["scorer"],
    }


def _run_all(session: onnxruntime.InferenceSession, cut: Sequence[Batch]) -> None:
    for _, inputs in cut:
        session.run(None, inputs)


def _products(width: int, wide: int, shape: Shape) -> Any:
    """Return a graph of the products of all layers, chained so that none is optimised away; the weights are random."""
    graph, random = Builder(), np.random.default_rng(1)

    def product(rows: str, name: str, to: int, source: int) -> str:
        weight = random.standard_normal((to, source), np.float32) / np.float32(source**0.5)
        matrix = graph.constant(f"{name}.weight", weight)
        return graph.add(
            "Gemm", [rows, matrix, graph.constant(f"{name}.bias", np.zeros(to, np.float32))], name, transB=1
        )

    def ints(*values: int) -> str:
        return graph.constant(f"ints{values}", np.array(values, np.int64))

    size = graph.add("Shape", ["input_ids"], "size")
    length = graph.add("Slice", [size, ints(1), ints(2)], "length")
    depth = width // shape.heads
    by_head = graph.add("Concat", [ints(-1), ints(shape.heads), length, ints(depth)], "by_head", axis=0)
    by_text = graph.add("Concat", [ints(-1), length, ints(width)], "by_text", axis=0)
    table = graph.constant("table", random.standard_normal((64, width), np.float32))
    one = graph.add("Mod", ["input_ids", graph.constant("64", np.int64(64))], "one")
    rows = graph.add("Reshape", [graph.add("Gather", [table, one], "read"), ints(-1, width)], "rows")
    for layer in range(shape.layers):
        last = layer == shape.layers - 1
        for part in ("key", "value"):
            rows = product(rows, f"{layer}.{part}", width, width)
        seen = graph.add("Reshape", [rows, by_head], f"{layer}.seen")
        if last:
            apart = graph.add("Reshape", [rows, by_text], "apart")
            rows = graph.add("Gather", [apart, graph.constant("zero", np.int64(0))], "first", axis=1)
        rows = product(rows, f"{layer}.query", width, width)
        asking = graph.add("Reshape", [rows, ints(-1, shape.heads, 1, depth) if last else by_head], f"{layer}.asking")
        scores = graph.add("FusedMatMul", [asking, seen], f"{layer}.scores", MICROSOFT, transB=1, alpha=1 / width)
        mixed = graph.add("MatMul", [scores, seen], f"{layer}.mixed")
        rows = product(graph.add("Reshape", [mixed, ints(-1, width)], f"{layer}.back"), f"{layer}.out", width, width)
        rows = product(product(rows, f"{layer}.wide", wide, width), f"{layer}.narrow", width, wide)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    out = helper.make_tensor_value_info(rows, TensorProto.FLOAT, ["texts", width])
    body = helper.make_graph(graph.nodes, "products", inputs, [out], list(graph.weights.values()))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION)


def float_folder(folder: Path, out: Path) -> Path:
    """Write the float model of an int8 folder to the folder `out`, and return `out`."""
    description = Description.read(folder)
    if FALLBACK_FILE not in description.checksums:
        raise ValueError(f"{folder} holds a model in {description.precision}, not in int8")
    shutil.copytree(folder, out)
    (out / FALLBACK_FILE).replace(out / MODEL_FILE)
    checksums = {name: sha256(out / name) for name in (MODEL_FILE, EMBEDDINGS_FILE)}
    replace(description, precision="fp16", checksums=checksums).write(out)
    return out


def cache_on_and_off(folder: Path, texts: Sequence[str], threads: int, batch: int = 250) -> dict[str, float]:
    """Return the tweets/s of a stream with 30 % retweets, with the cache (`on`), without (`off`), and their ratio.

    A retweet repeats any previous tweet. Two thirds of `texts` are in the cache before the measurement. Without the
    cache, the scorer still scores a text only once per batch.
    """
    scorer = Scorer(folder, threads)
    stream = with_retweets([normalise(text) for text in texts], share=0.3, among=len(texts))
    previous, measured = stream[: len(stream) * 2 // 3], stream[len(stream) * 2 // 3 :]
    parts = [measured[start : start + batch] for start in range(0, len(measured), batch)]
    filled = PredictionCache(len(stream))
    filled.score("1", previous, scorer.score_normalised)

    def cached() -> None:
        cache = deepcopy(filled)
        for part in parts:
            cache.score("1", part, scorer.score_normalised)

    def plain() -> None:
        for part in parts:
            scorer.score_normalised(part)

    seconds = interleaved_seconds({"on": cached, "off": plain})
    rates = {name: len(measured) / spent for name, spent in seconds.items()}
    return {**rates, "ratio": rates["on"] / rates["off"]}


def memory(folder: Path, texts: Sequence[str], first: int, last: int) -> dict[str, float]:
    """Return the resident memory (MB) of a separate process after it has scored `first` and `last` texts."""
    code = "import sys; from tests.benchmarks.scorer import _print_memory; _print_memory(*sys.argv[1:])"
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(list(texts), file)
        file.flush()
        arguments = [sys.executable, "-c", code, str(folder), file.name, str(first), str(last)]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    megabytes: dict[str, float] = json.loads(done.stdout)
    return megabytes


def _print_memory(folder: str, file: str, first: str, last: str) -> None:
    texts, scorer = json.loads(Path(file).read_text(encoding="utf-8")), Scorer(Path(folder), 1)
    done, megabytes = 0, {}
    random = Random(3)
    for goal in (int(first), int(last)):
        while done < goal:
            # Batches of different sizes and texts, like in a stream.
            part = random.sample(texts, random.randrange(1, min(1_000, len(texts))))
            scorer.score_normalised([f"{normalise(text)} {done}" for text in part])
            done += len(part)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        megabytes[str(goal)] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    print(json.dumps(megabytes))


def interleaved_seconds(alternatives: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median seconds of each alternative over `rounds`, in alternating order, after a round to warm up."""
    spent: dict[str, list[float]] = {name: [] for name in alternatives}
    for number in range(rounds + 1):
        for name in list(alternatives)[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            alternatives[name]()
            if number:
                spent[name].append(time.perf_counter() - began)
    return {name: float(np.median(seconds)) for name, seconds in spent.items()}
