"""`tweet-sentiment model …`: train, export, upload and evaluate a model; `cli_release.py` has the other commands."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from spark_apps.cli.options import DATA_HELP, AsJson, Data, RegistryUri, clear_errors, console
from spark_apps.cli.release import EXAMPLE_REGISTRY
from spark_apps.cli.release import app as release_app
from spark_apps.model.training.recipe import Recipe
from spark_apps.registry.client import Registry
from spark_apps.registry.model_uri import all_fetched
from spark_apps.settings import MODEL_NAME, PRODUCTION, SettingsError, load

app = typer.Typer(no_args_is_help=True, help="Train, export, measure and release the model.")
app.add_typer(release_app)

_PROVENANCE = "provenance.json"
_RECIPE = Recipe()


@app.command(
    epilog="Example: tweet-sentiment model train --data semeval --base ibm-granite/granite-embedding-30m-english "
    "--out trained"
)
def train(
    data: Data,
    base: Annotated[str, typer.Option(help="Hugging Face id or local folder of a RoBERTa checkpoint.")],
    out: Annotated[Path, typer.Option(help="Folder of the trained model; a run that was cut off goes on from it.")],
    epochs: Annotated[float, typer.Option(min=0.001, help="Passes over the train split.")] = _RECIPE.epochs,
    seed: Annotated[int, typer.Option(help="Seed of weights and order.")] = _RECIPE.seed,
    learning_rate: Annotated[
        float, typer.Option(min=1e-8, help="Of the head; each layer below has a lower one.")
    ] = _RECIPE.learning_rate,
    batch_size: Annotated[int, typer.Option(min=1, help="Tweets a step.")] = _RECIPE.batch_size,
    balance: Annotated[
        float, typer.Option(min=0, max=1, help="0 weighs tweets alike in the loss, 1 weighs classes alike.")
    ] = _RECIPE.balance,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Multiply in bfloat16: faster on processors with AVX512_BF16 or AMX.")
    ] = _RECIPE.bf16,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a checkpoint on the train split; give its figures on the validation split.

    With a registry, parameters, curves, the confusion matrix and the version of the data go to an MLflow run.
    """
    with clear_errors(), all_fetched(Registry.of(load(registry=registry)), data) as (fetched,):
        from spark_apps.model.dataset import data_version
        from spark_apps.model.training.train import train as fine_tune

        folder = Path(fetched)
        recipe = Recipe(epochs, batch_size, learning_rate, balance=balance, seed=seed, bf16=bf16)
        figures = fine_tune(folder, base, out, recipe, load(registry=registry).registry, console)
        # A path would say more of this machine than of the model.
        start = Path(base).resolve().name if Path(base).is_dir() else base
        tweets = data_version(folder, "train")
        provenance = {"base_model": start, "data": tweets.name, "data_sha256": tweets.sha256, **asdict(recipe)}
        (out / _PROVENANCE).write_text(json.dumps(provenance), encoding="utf-8")
        if as_json:
            print(json.dumps(figures))
        else:
            print(f"{out}: macro recall {figures['macro_recall']:.4f} on the validation split")


@app.command(
    epilog="Example: tweet-sentiment model export --model trained --data semeval --precision int8 --out exported"
)
def export(
    model: Annotated[
        str, typer.Option(help="Folder of a trained model, runs:/… of one, or Hugging Face id of a classifier.")
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the exported model.")],
    precision: Annotated[
        str,
        typer.Option(
            help="fp32; fp16: float16 storage, half the size; int8: fastest, falls back to float32; RoBERTas only."
        ),
    ] = "fp16",
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Export to ONNX; refused when its labels differ from torch's on the validation split.

    The description of the exported model keeps its figures on that split. With a registry, the exported model goes to
    an MLflow run, too.
    """
    with clear_errors(), all_fetched(Registry.of(load(registry=registry)), model, data) as (checkpoint, labelled):
        from spark_apps.model.dataset import read_split
        from spark_apps.model.evaluation.evaluate import evaluate as measure
        from spark_apps.model.onnx_export.export import export as write

        tweets = Path(labelled)
        file = Path(checkpoint) / _PROVENANCE
        provenance = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        found = write(checkpoint, out, precision, read_split(tweets, "val").texts, provenance, os.cpu_count() or 1)
        quality = measure(out, tweets, "val", os.cpu_count() or 1, console).quality
        if quality:
            found.metrics["validation"] = {**quality.scalars(), "tweets": quality.tweets}
            found.write(out)
        uri = _upload(registry, out) if load(registry=registry).registry else None
        if as_json:
            print(json.dumps(asdict(found) | {"uri": uri}))
        else:
            agreement = found.metrics["agreement_with_torch"]
            print(f"{uri or out}: labels agree with torch on {agreement:.2%} of the validation split")


@app.command(epilog=f"Example: tweet-sentiment model upload semeval --registry {EXAMPLE_REGISTRY}")
def upload(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of labelled tweets, or of a trained model.")
    ],
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Keep a folder in an MLflow run, and print the runs:/… by which the other commands and `release_model` read it."""
    with clear_errors():
        uri = _upload(registry, folder)
        print(json.dumps({"uri": uri}) if as_json else uri)


def _upload(registry: str | None, folder: Path) -> str:
    from spark_apps.model.run import Run

    settings = load(registry=registry)
    (uri,) = settings.require("registry")
    name = folder.resolve().name
    with Run(uri, settings.registry_timeout, f"upload {name}") as run:
        return run.upload(folder, name)


@app.command(
    epilog="Example: tweet-sentiment model evaluate --data semeval --split val "
    f"--model models:/{MODEL_NAME}@{PRODUCTION} --registry {EXAMPLE_REGISTRY}, "
    "or: tweet-sentiment model evaluate --lake ./lake --json"
)
def evaluate(
    data: Annotated[
        str | None,
        typer.Option(help=DATA_HELP),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Name of the split; val by default.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Folder of an exported model, runs:/… of one, models:/{MODEL_NAME}@{PRODUCTION} or "
            f"models:/{MODEL_NAME}/3; the bundled one by default."
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="File to write: the label of each tweet as 0, 1 or 2, one a line; needs no labels file."),
    ] = None,
    lake: Annotated[
        str | None,
        typer.Option(
            help="Instead of --data: measure the stream of a lake, by the labels of its tweets. [TWEETS_LAKE]"
        ),
    ] = None,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on labelled tweets, through the scorer that Gold uses, or what the stream of a lake did.

    With a registry, figures, pictures and the version of the data go to an MLflow run. The numbers of --predictions
    are those of TweetEval: 0 negative, 1 neutral, 2 positive.
    """
    with clear_errors():
        from spark_apps.model.evaluation.record import measure_lake, measure_split

        settings = load(registry=registry, **({"lake": lake} if lake else {}))
        if (data is None and settings.lake is None) or (data is not None and lake is not None):
            raise SettingsError("name one of --data (a labelled split) and --lake (what the stream of a lake did)")
        if data is not None:
            with all_fetched(Registry.of(load(registry=registry)), data) as (folder,):
                found, shown = measure_split(Path(folder), split or "val", model, predictions, settings, console)
        elif split or model or predictions:
            raise SettingsError("--split, --model and --predictions go with --data: a stream is measured as it is")
        else:
            found, shown = measure_lake(str(settings.lake), settings)
        if as_json:
            print(json.dumps(found))
        else:
            Console(highlight=False).print(shown)
