"""The scorer beside what a user would pick instead: the same weights and texts, one core, turn about in one process."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from spark_apps.labels import LABELS
from spark_apps.model.onnx_export.classifier import load_classifier
from spark_apps.model.onnx_export.export import export
from spark_apps.registry.client import BUNDLED
from spark_apps.scoring.description import Description
from spark_apps.scoring.scorer import Scorer
from spark_apps.scoring.text import normalise
from tests.benchmarks.checkpoints import roberta_base, torch_model
from tests.benchmarks.result import Line, Result
from tests.benchmarks.scorer import cache_on_and_off, float_folder, matrix_limit, memory, turn_about
from tests.benchmarks.texts import texts
from tests.model.folders import write_base

ONE_BY_ONE, IN_BATCHES = "pipeline on torch, one by one", "pipeline on torch, batches of 32"
FLOAT, INT8 = "scorer, float32", "scorer, int8"


def scorer() -> Result:
    """The bundled weights on one core, turn about: pipelines, the scorer, the processor's limit, a cache, memory."""
    with tempfile.TemporaryDirectory(prefix="bench-ways-") as scratch:
        home = Path(scratch)
        checkpoint = torch_model(BUNDLED, home / "torch")
        in_float = float_folder(BUNDLED, home / "float")
        ways = _ways(checkpoint, {FLOAT: in_float, INT8: BUNDLED}, texts(400))
        limit = matrix_limit(in_float, texts(1_500), *_widths(checkpoint), load_classifier(checkpoint).shape, threads=1)
        cache = cache_on_and_off(in_float, texts(6_000), threads=1)
        memory_mb = {"bundled": memory(BUNDLED, texts(1_500), 2_000, 20_000)}
        # A network of 3 million parameters goes through a million texts in minutes, by the same runtime.
        export(write_base(home / "base", LABELS), home / "small", "fp16", texts(100), {})
        memory_mb["small"] = memory(home / "small", texts(1_500), 100_000, 1_000_000)
    agreement = Description.read(BUNDLED).metrics["agreement_with_torch"]
    lines = [
        *_beside_the_first(ways),
        Line("matrix products alone", _rate(limit["limit"]), f"the scorer has {limit['scorer_share']:.0%} of it"),
        Line("int8 over float32", f"{ways[INT8] / ways[FLOAT]:.2f} ×", f"{agreement:.2%} of torch's labels"),
        Line("a cache, 30 % retweets", _rate(cache["on"]), f"{cache['ratio']:.2f} × without it"),
        *(
            Line(f"memory after {int(count):,} texts, {model} model", f"{size:,.0f} MB")
            for model, found in memory_mb.items()
            for count, size in found.items()
        ),
    ]
    figures = {"ways": ways, "limit": limit, "agreement": agreement, "cache": cache, "memory_mb": memory_mb}
    return Result(lines, figures)


def big() -> Result:
    """Weights of roberta-base's size on one core, turn about: pipelines, and the scorer in both precisions."""
    with tempfile.TemporaryDirectory(prefix="bench-big-") as scratch:
        home = Path(scratch)
        checkpoint = roberta_base(home / "torch", BUNDLED)
        description = export(checkpoint, home / "int8", "int8", texts(400), {})
        folders = {FLOAT: float_folder(home / "int8", home / "float"), INT8: home / "int8"}
        ways = _ways(checkpoint, folders, texts(64))
    agreement = description.metrics["agreement_with_torch"]
    lines = [*_beside_the_first(ways), Line("labels that int8 keeps", f"{agreement:.2%}", "of random layers")]
    return Result(lines, {"ways": ways, "agreement": agreement})


def _rate(value: float) -> str:
    return f"{value:,.1f} tweets/s" if value < 100 else f"{value:,.0f} tweets/s"


def _beside_the_first(ways: Mapping[str, float]) -> list[Line]:
    one, batches = ways[ONE_BY_ONE], ways[IN_BATCHES]
    return [
        Line(name, _rate(rate), f"{rate / one:.1f} × one by one, {rate / batches:.1f} × batches of 32")
        for name, rate in ways.items()
    ]


def _widths(checkpoint: Path) -> tuple[int, int]:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    return config["hidden_size"], config["intermediate_size"]


def _ways(checkpoint: Path, folders: Mapping[str, Path], sample: Sequence[str]) -> dict[str, float]:
    """Return the tweets/s of pipelines, on torch and on optimum's export, and of our scorer: one core, no cache."""
    import torch
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer, pipeline

    torch.set_num_threads(1)
    normal = [normalise(text) for text in sample]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    plain = pipeline("text-classification", model=str(checkpoint), tokenizer=tokenizer)
    theirs = ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True, session_options=_one_thread())
    optimum = pipeline("text-classification", model=theirs, tokenizer=tokenizer)
    ways: dict[str, Callable[[], Any]] = {
        ONE_BY_ONE: lambda: [plain(text, truncation=True) for text in normal],
        IN_BATCHES: lambda: plain(normal, batch_size=32, truncation=True),
        "pipeline on optimum's export, batches of 32": lambda: optimum(normal, batch_size=32, truncation=True),
    }
    for name, folder in folders.items():
        scorer = Scorer(folder, 1)
        if name == INT8 and scorer.precision != "int8":
            raise ValueError(f"{folder} is not scored by int8 on this processor")
        ways[name] = partial(scorer.score_normalised, normal)
    return {name: len(normal) / spent for name, spent in turn_about(ways, turns=3).items()}


def _one_thread() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options
