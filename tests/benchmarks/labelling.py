"""What 500 labels of people are worth: labels of the least certain tweets against labels of random tweets.

    python -m tests.benchmarks.labelling --data semeval --base granite-embedding-30m-english --new year=2016

Simulates a model that meets new tweets. A model is trained on tweets that are not new. It scores a pool of new tweets,
of which people label 500: those with the smallest margin between the two highest probabilities, as the dashboard offers
them, or random ones. Training then continues on these and on tweets of the first training. Each model is evaluated on
new tweets that are in no pool. Each round has another pool, and another seed of the training.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from spark_apps.model.dataset import LabelledTweets, Split, write_split
from spark_apps.model.training.base import load_base
from spark_apps.model.training.leave_out import LeaveOut, training_splits
from spark_apps.model.training.recipe import Recipe
from spark_apps.model.training.train import train
from spark_apps.model.training.tweets import TokenisedTweets
from tests.benchmarks.processor import processor

_KNOWN, _POOL, _EVALUATED, _REPEATED = 8_000, 5_000, 3_000, 1_500
_FIRST = Recipe(epochs=1, freeze_embeddings=True)
_CONTINUED = replace(_FIRST, epochs=3, learning_rate=5e-5, average=0.98)
_BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="folder of labelled tweets; repeat to join some")
    parser.add_argument("--base", required=True, help="folder of the encoder")
    parser.add_argument("--new", required=True, help="the new tweets, such as source=NAME, year=2016 or language=de")
    parser.add_argument("--labels", type=int, default=500, help="number of tweets that people label")
    parser.add_argument("--rounds", type=int, default=5, help="number of pools and seeds")
    parser.add_argument("--bf16", action="store_true", help="train in bfloat16")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(arguments, Path(folder))


def run(arguments: argparse.Namespace, folder: Path) -> None:
    console, random = Console(), np.random.default_rng(0)
    splits = training_splits(LabelledTweets(tuple(map(Path, arguments.data))), LeaveOut.parse(arguments.new))
    known, new = (splits[name].at(random.permutation(len(splits[name]))) for name in ("train", "val"))
    known, evaluated, rest = known.at(range(_KNOWN)), new.at(range(_EVALUATED)), range(_EVALUATED, len(new))
    first, continued = (replace(recipe, bf16=arguments.bf16) for recipe in (_FIRST, _CONTINUED))
    recalls = {"no labels": [fit(arguments.base, known, evaluated, first, folder / "first", console)]}
    repeated = known.at(range(_REPEATED))
    for number in range(arguments.rounds):
        pool = new.at(random.choice(rest, min(_POOL, len(rest)), replace=False))
        by_margin = np.argsort(margins(folder / "first", pool), kind="stable")
        chosen = {"least certain": by_margin[: arguments.labels], "random": np.arange(arguments.labels)}
        for name, rows in chosen.items():
            tweets, recipe = join(repeated, pool.at(rows)), replace(continued, seed=number)
            recall = fit(str(folder / "first"), tweets, evaluated, recipe, folder / f"{name} {number}", console)
            recalls.setdefault(name, []).append(recall)
    table = Table("labels", "macro recall, mean", "each round", title=f"{processor()}; new tweets: {arguments.new}")
    for name, values in recalls.items():
        table.add_row(name, f"{np.mean(values):.4f}", ", ".join(f"{value:.4f}" for value in values))
    console.print(table)


def fit(base: str, tweets: Split, evaluated: Split, recipe: Recipe, out: Path, console: Console) -> float:
    """Train `base` on `tweets`; return the macro recall on `evaluated`."""
    data = out.with_name(f"{out.name} data")
    data.mkdir()
    write_split(data, "train", tweets)
    write_split(data, "val", evaluated)
    recall = float(train(LabelledTweets((data,)), base, out, recipe, console=console)["macro_recall"])
    console.print(f"{out.name}: macro recall {recall:.4f}")
    return recall


def margins(model: Path, tweets: Split) -> Any:
    """Return the difference between the two highest probabilities of each tweet; shape (n,)."""
    loaded = load_base(str(model))
    tokenised, margin = TokenisedTweets(tweets, loaded.tokenizer), np.empty(len(tweets))
    order = np.argsort(tokenised.lengths, kind="stable")
    loaded.model.eval()
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        features = [{"input_ids": tokenised[row]["input_ids"]} for row in rows]
        batch = loaded.tokenizer.pad(features, return_tensors="pt")
        with torch.inference_mode():
            probabilities = torch.softmax(loaded.model(**batch).logits, dim=1).sort(dim=1).values
        margin[rows] = (probabilities[:, -1] - probabilities[:, -2]).numpy()
    return margin


def join(one: Split, other: Split) -> Split:
    return Split(
        one.texts + other.texts,
        one.labels + other.labels,
        one.languages + other.languages,
        one.sources + other.sources,
    )


if __name__ == "__main__":
    main()
