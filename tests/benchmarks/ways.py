"""The scorer beside what a user would pick instead: the same weights and texts, one core, turn about in one process."""

import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from spark_apps.model.checkpoint import load
from spark_apps.model.export import export
from spark_apps.scoring.scorer import Scorer
from spark_apps.scoring.text import normalise
from tests.benchmarks.naive import torch_model
from tests.benchmarks.scorer import cache_on_and_off, float_folder, int8_against_float, matrix_limit, memory, turn_about

JSON = Path("artifacts/bench-scorer.json")
# One tweet at a time is slow: its rate is measured on fewer of them.
_FEW = 200


def main(bundled: Path, texts: Sequence[str]) -> None:
    """Measure the model in the folder `bundled`; print a table and write the figures to JSON."""
    with tempfile.TemporaryDirectory(prefix="bench-ways-") as scratch:
        home = Path(scratch)
        torch = torch_model(bundled, home / "torch")
        int8, fp32 = home / "int8", home / "float"
        agreement = export(torch, int8, "int8", texts, {}).metrics["agreement_with_torch"]
        fp32.mkdir()
        float_folder(int8, fp32)
        shape = load(torch).shape
        found: dict[str, Any] = {
            "limit": matrix_limit(fp32, texts, *_widths(torch), shape, threads=1),
            "int8": int8_against_float(int8, texts, threads=1) | {"agreement_with_torch": agreement},
            "cache": cache_on_and_off(fp32, texts, threads=1),
            "ways": _ways(torch, {"scorer, float32": fp32, "scorer, int8": int8}, texts[:_FEW]),
            "memory_mb": memory(fp32, texts, 2_000, 20_000),
        }
    JSON.parent.mkdir(exist_ok=True)
    JSON.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    Console().print(_table(found))
    print(f"all figures: {JSON}")


def _widths(checkpoint: Path) -> tuple[int, int]:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    return config["hidden_size"], config["intermediate_size"]


def _ways(checkpoint: Path, folders: dict[str, Path], texts: Sequence[str]) -> dict[str, float]:
    """Return the tweets/s of pipelines, on torch and on optimum's export, and of our scorer: one core, no cache."""
    import torch
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer, pipeline

    torch.set_num_threads(1)
    normal = [normalise(text) for text in texts]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    plain = pipeline("text-classification", model=str(checkpoint), tokenizer=tokenizer)
    theirs = ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True, session_options=_one_thread())
    optimum = pipeline("text-classification", model=theirs, tokenizer=tokenizer)
    ways: dict[str, Callable[[], Any]] = {
        "pipeline on torch, one by one": lambda: [plain(text, truncation=True) for text in normal],
        "pipeline on torch, batches of 32": lambda: plain(normal, batch_size=32, truncation=True),
        "pipeline on optimum's export, batches of 32": lambda: optimum(normal, batch_size=32, truncation=True),
    }
    for name, folder in folders.items():
        ways[name] = partial(Scorer(folder, 1).score_normalised, normal)
    return {name: len(texts) / spent for name, spent in turn_about(ways, turns=3).items()}


def _one_thread() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options


def _table(found: dict[str, Any]) -> Table:
    view = Table("way", "tweets/s", "beside", title="one core, the same weights and texts", title_justify="left")
    slowest = found["ways"]["pipeline on torch, one by one"]
    for name, rate in found["ways"].items():
        view.add_row(name, f"{rate:,.0f}", f"{rate / slowest:.1f} × the first")
    limit, int8, cache = found["limit"], found["int8"], found["cache"]
    view.add_section()
    view.add_row("matrix products alone", f"{limit['limit']:,.0f}", f"the scorer has {limit['scorer_share']:.0%} of it")
    view.add_row(
        "int8",
        f"{int8['int8']:,.0f}",
        f"{int8['ratio']:.2f} × float32, {int8['agreement_with_torch']:.2%} of torch's labels",
    )
    view.add_row("a cache, 30 % retweets", f"{cache['on']:,.0f}", f"{cache['ratio']:.2f} × without it")
    sizes = ", ".join(f"{size:,.0f} MB after {count} texts" for count, size in found["memory_mb"].items())
    view.add_row("memory", "", sizes)
    return view
