"""`tweet-sentiment model …`: the commands that train: train and validate."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from spark_apps.cli.labelled import fetch_tweets
from spark_apps.cli.options import AsJson, Data, Language, RegistryUri, console, report_errors
from spark_apps.model.training.recipe import Recipe
from spark_apps.registry.client import Registry
from spark_apps.scoring.description import UNDETERMINED
from spark_apps.settings import load

app = typer.Typer()

# Written by `train` into the folder of a model, read by `export`.
PROVENANCE = "provenance.json"
_RECIPE = Recipe()

Base = Annotated[
    str, typer.Option(help="Hugging Face id or folder of a RoBERTa or XLM-RoBERTa, encoder or classifier.")
]
Epochs = Annotated[float, typer.Option(min=0.001, help="Number of passes over the train split.")]
LearningRate = Annotated[
    float, typer.Option(min=1e-8, help="Learning rate of the head; each layer below has a lower rate.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Tweets per step.")]
Balance = Annotated[
    float, typer.Option(min=0, max=1, help="Loss weights: 0 gives each tweet the same weight, 1 each class.")
]
Bf16 = Annotated[
    bool, typer.Option("--bf16", help="Train in bfloat16: twice as fast on processors with AVX512_BF16 or AMX.")
]
FreezeEmbeddings = Annotated[
    bool, typer.Option("--freeze-embeddings", help="Keep the word embeddings of the base: faster, with less memory.")
]


@app.command(
    epilog="Example: tweet-sentiment model train --data semeval --base ibm-granite/granite-embedding-30m-english "
    "--out trained"
)
def train(
    data: Data,
    base: Base,
    out: Annotated[Path, typer.Option(help="Folder of the trained model; an interrupted run resumes from it.")],
    language: Language = UNDETERMINED,
    epochs: Epochs = _RECIPE.epochs,
    seed: Annotated[
        int, typer.Option(help="Seed of the initial weights and of the order of the tweets.")
    ] = _RECIPE.seed,
    learning_rate: LearningRate = _RECIPE.learning_rate,
    batch_size: BatchSize = _RECIPE.batch_size,
    balance: Balance = _RECIPE.balance,
    bf16: Bf16 = _RECIPE.bf16,
    freeze_embeddings: FreezeEmbeddings = _RECIPE.freeze_embeddings,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a checkpoint on the train split, and evaluate it on the validation split.

    With a registry, parameters, curves, the confusion matrix and the data version are logged to an MLflow run.
    """
    recipe = Recipe(
        epochs, batch_size, learning_rate, balance=balance, seed=seed, bf16=bf16, freeze_embeddings=freeze_embeddings
    )
    with report_errors(), fetch_tweets(Registry.from_settings(load(registry=registry)), data, language) as tweets:
        from spark_apps.model.training.train import train as fine_tune

        figures = fine_tune(tweets, base, out, recipe, load(registry=registry).registry, console)
        version = tweets.version("train")
        provenance = {
            # Store only the name of a local folder: its full path describes this machine.
            "base_model": Path(base).resolve().name if Path(base).is_dir() else base,
            "data": version.name,
            "data_sha256": version.sha256,
            **tweets.read("train").counts(),
            **asdict(recipe),
        }
        (out / PROVENANCE).write_text(json.dumps(provenance), encoding="utf-8")
        if as_json:
            print(json.dumps(figures))
        else:
            print(f"{out}: macro recall {figures['macro_recall']:.4f} on the validation split")


@app.command(
    epilog="Example: tweet-sentiment model validate --data semeval --base ibm-granite/granite-embedding-30m-english "
    "--leave-out year=2013 --leave-out year=2016 --out validation"
)
def validate(
    data: Data,
    base: Base,
    out: Annotated[Path, typer.Option(help="Folder of the trained models; interrupted runs resume from it.")],
    leave_out: Annotated[
        list[str],
        typer.Option(
            help="Tweets to leave out: source=NAME, year=YYYY (in the name of a source) or language=CODE. Repeat the "
            "option to train once without each of them."
        ),
    ],
    seed: Annotated[list[int], typer.Option(help="Seed; repeat the option to train with several.")] = [_RECIPE.seed],  # noqa: B006 - typer copies the default
    language: Language = UNDETERMINED,
    epochs: Epochs = _RECIPE.epochs,
    learning_rate: LearningRate = _RECIPE.learning_rate,
    batch_size: BatchSize = _RECIPE.batch_size,
    balance: Balance = _RECIPE.balance,
    bf16: Bf16 = _RECIPE.bf16,
    freeze_embeddings: FreezeEmbeddings = _RECIPE.freeze_embeddings,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Train without some sources, years or languages, and evaluate each model on the tweets left out.

    Only the train split is used. The mean and the worst run show what to expect on new tweets. The validation split is
    from the same sources as the train split, and overstates it.
    """
    with report_errors(), fetch_tweets(Registry.from_settings(load(registry=registry)), data, language) as tweets:
        from spark_apps.model.render import render_validation
        from spark_apps.model.training.leave_out import LeaveOut
        from spark_apps.model.training.validate import validate as validate_recipe

        recipe = Recipe(
            epochs, batch_size, learning_rate, balance=balance, bf16=bf16, freeze_embeddings=freeze_embeddings
        )
        conditions = [LeaveOut.parse(text) for text in leave_out]
        result = validate_recipe(tweets, base, out, recipe, conditions, seed, load(registry=registry).registry, console)
        if as_json:
            print(json.dumps(result.to_dict()))
        else:
            Console(highlight=False).print(render_validation(result))
