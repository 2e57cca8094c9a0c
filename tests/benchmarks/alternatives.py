"""The scorer and the usual alternatives: the same weights and texts, one core, interleaved in one process."""

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
from tests.benchmarks.scorer import cache_on_and_off, float_folder, interleaved_seconds, matrix_limit, memory
from tests.benchmarks.texts import texts
from tests.model.folders import write_base

ONE_BY_ONE, IN_BATCHES = "pipeline on torch, one by one", "pipeline on torch, batches of 32"
FLOAT, INT8 = "scorer, float32", "scorer, int8"


def scorer() -> Result:
    """The bundled weights on one core: pipelines, the scorer, the limit of the CPU, the cache, and memory."""
    with tempfile.TemporaryDirectory(prefix="bench-scorer-") as scratch:
        home = Path(scratch)
        checkpoint = torch_model(BUNDLED, home / "torch")
        in_float = float_folder(BUNDLED, home / "float")
        rates = _rates(checkpoint, {FLOAT: in_float, INT8: BUNDLED}, texts(400))
        limit = matrix_limit(in_float, texts(1_500), *_widths(checkpoint), load_classifier(checkpoint).shape, threads=1)
        cache = cache_on_and_off(in_float, texts(6_000), threads=1)
        memory_mb = {"bundled": memory(BUNDLED, texts(1_500), 2_000, 20_000)}
        # A network of 3 million parameters scores a million texts in minutes, in the same runtime.
        export(write_base(home / "base", LABELS), home / "small", "fp16", texts(100), {})
        memory_mb["small"] = memory(home / "small", texts(1_500), 100_000, 1_000_000)
    agreement = Description.read(BUNDLED).metrics["agreement_with_torch"]
    lines = [
        *_compared_with_torch(rates),
        Line(
            "matrix products alone",
            _rate(limit["limit"]),
            f"the scorer reaches {limit['scorer_share']:.0%} of the limit",
        ),
        Line("int8 over float32", f"{rates[INT8] / rates[FLOAT]:.2f} ×", f"{agreement:.2%} of torch's labels"),
        Line("a cache, 30 % retweets", _rate(cache["on"]), f"{cache['ratio']:.2f} × without it"),
        *(
            Line(f"memory after {int(count):,} texts, {model} model", f"{size:,.0f} MB")
            for model, sizes in memory_mb.items()
            for count, size in sizes.items()
        ),
    ]
    figures = {"rates": rates, "limit": limit, "agreement": agreement, "cache": cache, "memory_mb": memory_mb}
    return Result(lines, figures)


def big() -> Result:
    """Weights of the size of roberta-base on one core: pipelines, and the scorer in float32 and int8."""
    with tempfile.TemporaryDirectory(prefix="bench-big-") as scratch:
        home = Path(scratch)
        checkpoint = roberta_base(home / "torch", BUNDLED)
        description = export(checkpoint, home / "int8", "int8", texts(400), {})
        folders = {FLOAT: float_folder(home / "int8", home / "float"), INT8: home / "int8"}
        rates = _rates(checkpoint, folders, texts(64))
    agreement = description.metrics["agreement_with_torch"]
    lines = [
        *_compared_with_torch(rates),
        Line("int8 and torch agree", f"{agreement:.2%}", "random layers"),
    ]
    return Result(lines, {"rates": rates, "agreement": agreement})


def _rate(value: float) -> str:
    return f"{value:,.1f} tweets/s" if value < 100 else f"{value:,.0f} tweets/s"


def _compared_with_torch(rates: Mapping[str, float]) -> list[Line]:
    one, batches = rates[ONE_BY_ONE], rates[IN_BATCHES]
    return [
        Line(name, _rate(rate), f"{rate / one:.1f} × one by one, {rate / batches:.1f} × batches of 32")
        for name, rate in rates.items()
    ]


def _widths(checkpoint: Path) -> tuple[int, int]:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    return config["hidden_size"], config["intermediate_size"]


def _rates(checkpoint: Path, folders: Mapping[str, Path], sample: Sequence[str]) -> dict[str, float]:
    """Return the tweets/s of pipelines on torch and on the optimum export, and of the scorer; one core, no cache."""
    import torch
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer, pipeline

    torch.set_num_threads(1)
    normal = [normalise(text) for text in sample]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    plain = pipeline("text-classification", model=str(checkpoint), tokenizer=tokenizer)
    exported = ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True, session_options=_one_thread())
    optimum = pipeline("text-classification", model=exported, tokenizer=tokenizer)
    alternatives: dict[str, Callable[[], Any]] = {
        ONE_BY_ONE: lambda: [plain(text, truncation=True) for text in normal],
        IN_BATCHES: lambda: plain(normal, batch_size=32, truncation=True),
        "pipeline on the optimum export, batches of 32": lambda: optimum(normal, batch_size=32, truncation=True),
    }
    for name, folder in folders.items():
        scorer = Scorer(folder, 1)
        if name == INT8 and scorer.precision != "int8":
            raise ValueError(f"the scorer does not use int8 for {folder} on this processor")
        alternatives[name] = partial(scorer.score_normalised, normal)
    return {name: len(normal) / spent for name, spent in interleaved_seconds(alternatives, rounds=3).items()}


def _one_thread() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options
