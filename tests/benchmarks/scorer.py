"""The scorer alone: against the processor's limit, with a cache, and its memory.

Each pair is timed in one process, turn about, and the medians are compared: the machine may be as noisy as it likes.
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

TURNS = 5


def matrix_limit(folder: Path, texts: Sequence[str], width: int, wide: int, shape: Shape, threads: int) -> Any:
    """Return the share of the float scorer's time that its matrix products alone take, on the same padded batches.

    The limit is a graph of nothing but the products, of the same shapes and in the same order, in ONNX Runtime: its
    kernels are the ones that the scorer uses, and packed weights and threads are treated alike. `model` compares the
    calls of the model, `scorer` all of `score_normalised`, tokenising and batching included.
    """
    scorer = Scorer(folder, threads)
    texts = list(dict.fromkeys(map(normalise, texts)))
    cut = list(batches(scorer._tokenise([(text, row) for row, text in enumerate(texts)])))
    alone = open_session(_products(width, wide, shape).SerializeToString(), threads)
    ways = {
        "products": lambda: _run_all(alone, cut),
        "model": lambda: _run_all(scorer._session, cut),
        "scorer": lambda: scorer.score_normalised(texts),
    }
    seconds = turn_about(ways)
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
    """Return the graph of the products: each layer's, in a chain so that none is left out; the weights are random."""
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
    """Write the float model of an int8 folder as a folder of its own, and return it."""
    description = Description.read(folder)
    if FALLBACK_FILE not in description.checksums:
        raise ValueError(f"{folder} is not of an int8 model: it is {description.precision}")
    shutil.copytree(folder, out)
    (out / FALLBACK_FILE).replace(out / MODEL_FILE)
    checksums = {name: sha256(out / name) for name in (MODEL_FILE, EMBEDDINGS_FILE)}
    replace(description, precision="fp16", checksums=checksums).write(out)
    return out


def cache_on_and_off(folder: Path, texts: Sequence[str], threads: int, batch: int = 250) -> dict[str, float]:
    """Return the tweets/s of a stream with 30 % of retweets, with the cache and without, and the ratio.

    The stream has run for a while: a retweet is of any tweet before it, and two thirds of `texts` went by before the
    clock starts. Without the cache the scorer still scores once what is twice in one batch.
    """
    scorer = Scorer(folder, threads)
    stream = with_retweets([normalise(text) for text in texts], share=0.3, among=len(texts))
    gone, now = stream[: len(stream) * 2 // 3], stream[len(stream) * 2 // 3 :]
    cut = [now[start : start + batch] for start in range(0, len(now), batch)]
    before = PredictionCache(len(stream))
    before.score("1", gone, scorer.score_normalised)

    def cached() -> None:
        cache = deepcopy(before)
        for part in cut:
            cache.score("1", part, scorer.score_normalised)

    def plain() -> None:
        for part in cut:
            scorer.score_normalised(part)

    seconds = turn_about({"on": cached, "off": plain})
    found = {name: len(now) / spent for name, spent in seconds.items()}
    return {**found, "ratio": found["on"] / found["off"]}


def memory(folder: Path, texts: Sequence[str], first: int, last: int) -> dict[str, float]:
    """Return the resident memory (MB) of a process of its own after scoring `first` and `last` texts."""
    code = "import sys; from tests.benchmarks.scorer import _score_and_tell; _score_and_tell(*sys.argv[1:])"
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(list(texts), file)
        file.flush()
        arguments = [sys.executable, "-c", code, str(folder), file.name, str(first), str(last)]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _score_and_tell(folder: str, file: str, first: str, last: str) -> None:
    texts, scorer, done, found = json.loads(Path(file).read_text(encoding="utf-8")), Scorer(Path(folder), 1), 0, {}
    random = Random(3)
    for goal in (int(first), int(last)):
        while done < goal:
            # Batches of other sizes and texts each time, as a stream has them.
            part = random.sample(texts, random.randrange(1, min(1_000, len(texts))))
            scorer.score_normalised([f"{normalise(text)} {done}" for text in part])
            done += len(part)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        found[str(goal)] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    print(json.dumps(found))


def turn_about(ways: Mapping[str, Callable[[], Any]], turns: int = TURNS) -> dict[str, float]:
    """Return the median seconds of each way, timed in turn, forwards and backwards, after one round to warm up."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name in list(ways)[:: 1 if turn % 2 else -1]:
            began = time.perf_counter()
            ways[name]()
            if turn:
                spent[name].append(time.perf_counter() - began)
    return {name: float(np.median(found)) for name, found in spent.items()}
