"""`tweet-sentiment model …`: train, export, evaluate, upload, release, rollback, first, list and describe."""

import getpass
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from spark_apps.errors import UserError
from spark_apps.model.recipe import Recipe
from spark_apps.settings import MODEL_NAME, PRODUCTION, SettingsError, load

if TYPE_CHECKING:
    from spark_apps.model.release import Release

app = typer.Typer(no_args_is_help=True, help="Train, export, measure and release the model.")
_console = Console(stderr=True, highlight=False)

Data = Annotated[
    str, typer.Option(help="Folder, or runs:/… of one, with <split>_text.txt and <split>_labels.txt, one tweet a line.")
]
Registry = Annotated[str | None, typer.Option(help="URI of the MLflow registry. [TWEETS_REGISTRY]")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_PROVENANCE = "provenance.json"
_EXAMPLE_REGISTRY = "http://127.0.0.1:5000"
_RECIPE = Recipe()
# The extra that brings a module which may be missing; all others come with `train`.
_EXTRAS = {"mlflow": "registry", "matplotlib": "registry", "deltalake": "streams"}


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what a person can mend into one sentence and exit code 2."""
    try:
        yield
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(str(error.name), "train")
        _console.print(
            f"[bold red]error[/]: {error.name} is not installed: run `uv sync --inexact --extra {extra}`",
            soft_wrap=True,
        )
        raise typer.Exit(2) from None
    except (UserError, ValueError, OSError) as error:
        _console.print(f"[bold red]error[/]: {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from None


@contextmanager
def _fetched(registry: str | None, *names: str) -> Iterator[list[str]]:
    """Give the folders that `names` mean; those of MLflow runs are fetched, and there as long as the context lasts."""
    from spark_apps.model.registry import Registry as Registered
    from spark_apps.model.source import fetched

    found = Registered.of(load(registry=registry))
    with ExitStack() as stack:
        yield [stack.enter_context(fetched(name, found)) for name in names]


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
    registry: Registry = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a checkpoint on the train split; give its figures on the validation split.

    With a registry, parameters, curves, the confusion matrix and the version of the data go to an MLflow run.
    """
    with clear_errors(), _fetched(registry, data) as (fetched,):
        from spark_apps.model.data import data_version
        from spark_apps.model.train import train as fine_tune

        folder = Path(fetched)
        recipe = Recipe(epochs, batch_size, learning_rate, balance=balance, seed=seed, bf16=bf16)
        figures = fine_tune(folder, base, out, recipe, load(registry=registry).registry, _console)
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
        str, typer.Option(help="fp32; fp16: float16 storage, half the size; int8: fastest, falls back to float32.")
    ] = "fp16",
    registry: Registry = None,
    as_json: AsJson = False,
) -> None:
    """Export to ONNX; refused when its labels differ from torch's on the validation split.

    The description of the exported model keeps its figures on that split. With a registry, the exported model goes to
    an MLflow run, too.
    """
    with clear_errors(), _fetched(registry, model, data) as (checkpoint, labelled):
        from spark_apps.model.data import read_split
        from spark_apps.model.evaluate import evaluate as measure
        from spark_apps.model.export import export as write

        tweets = Path(labelled)
        file = Path(checkpoint) / _PROVENANCE
        provenance = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        found = write(checkpoint, out, precision, read_split(tweets, "val").texts, provenance, os.cpu_count() or 1)
        quality = measure(out, tweets, "val", os.cpu_count() or 1, _console).quality
        if quality:
            found.metrics["validation"] = {**quality.scalars(), "tweets": quality.tweets}
            found.write(out)
        uri = _upload(registry, out) if load(registry=registry).registry else None
        if as_json:
            print(json.dumps(asdict(found) | {"uri": uri}))
        else:
            agreement = found.metrics["agreement_with_torch"]
            print(f"{uri or out}: labels agree with torch on {agreement:.2%} of the validation split")


@app.command(epilog=f"Example: tweet-sentiment model upload semeval --registry {_EXAMPLE_REGISTRY}")
def upload(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of labelled tweets, or of a trained model.")
    ],
    registry: Registry = None,
    as_json: AsJson = False,
) -> None:
    """Keep a folder in an MLflow run, and print the runs:/… by which the other commands and `release_model` read it."""
    with clear_errors():
        uri = _upload(registry, folder)
        print(json.dumps({"uri": uri}) if as_json else uri)


def _upload(registry: str | None, folder: Path) -> str:
    from spark_apps.model.tracking import Run

    settings = load(registry=registry)
    (uri,) = settings.require("registry")
    name = folder.resolve().name
    with Run(uri, settings.registry_timeout, f"upload {name}") as run:
        return run.upload(folder, name)


@app.command(
    epilog="Example: tweet-sentiment model evaluate --data semeval --split val "
    f"--model models:/{MODEL_NAME}@{PRODUCTION} --registry http://127.0.0.1:5000, "
    "or: tweet-sentiment model evaluate --lake ./lake --json"
)
def evaluate(
    data: Annotated[
        str | None,
        typer.Option(help="Folder, or runs:/… of one, with <split>_text.txt and <split>_labels.txt, one tweet a line."),
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
    registry: Registry = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on labelled tweets, through the scorer that Gold uses, or what the stream of a lake did.

    With a registry, figures, pictures and the version of the data go to an MLflow run. The numbers of --predictions
    are those of TweetEval: 0 negative, 1 neutral, 2 positive.
    """
    with clear_errors():
        from spark_apps.model.measure import measure_lake, measure_split

        settings = load(registry=registry, **({"lake": lake} if lake else {}))
        if (data is None and settings.lake is None) or (data is not None and lake is not None):
            raise SettingsError("name one of --data (a labelled split) and --lake (what the stream of a lake did)")
        if data is not None:
            with _fetched(registry, data) as (folder,):
                found, shown = measure_split(Path(folder), split or "val", model, predictions, settings, _console)
        elif split or model or predictions:
            raise SettingsError("--split, --model and --predictions go with --data: a stream is measured as it is")
        else:
            found, shown = measure_lake(str(settings.lake), settings)
        if as_json:
            print(json.dumps(found))
        else:
            Console(highlight=False).print(shown)


By = Annotated[str | None, typer.Option(help="Who does it, as it is written down; the user by default.")]
Why = Annotated[str, typer.Option(help="Why, as it is written down.")]


@app.command(
    epilog=f"Example: tweet-sentiment model release --model exported --data semeval --registry {_EXAMPLE_REGISTRY} "
    '--why "trained on the tweets of 2026"'
)
def release(
    data: Data,
    model: Annotated[
        str | None, typer.Option(help="Folder of an exported model, or runs:/… of one; the bundled one by default.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split on which the version is judged.")] = "val",
    why: Why = "",
    by: By = None,
    registry: Registry = None,
    as_json: AsJson = False,
) -> None:
    """Register a model, stage it, let it pass the gates, and put it in production.

    Exit codes: 0 it is in production, 3 a gate refused it and production is as it was, 2 it could not be tried. The
    limits of the gates are read from TWEETS_GATE_MACRO_RECALL, …_CLASS_RECALL, …_AGREEMENT, …_AGREEMENT_INT8,
    …_LATENCY_MS and …_SMOKE.
    """
    with clear_errors():
        from spark_apps.model.gates import load_limits
        from spark_apps.model.registry import BUNDLED
        from spark_apps.model.release import release as put

        limits, who = load_limits(), by or getpass.getuser()
        with _fetched(registry, model or str(BUNDLED), data) as (folder, tweets):
            found = put(required_registry(registry), Path(folder), Path(tweets), split, limits, who, why, _console)
        if as_json:
            print(json.dumps(found.to_dict()))
    _tell_release(found, as_json)


def _tell_release(found: "Release", as_json: bool) -> None:
    from spark_apps.model.view import render_gates

    if not as_json:
        Console(highlight=False).print(render_gates(found.gates))
    for gate in found.refused:
        _console.print(
            f"[bold red]refused[/] by the gate {gate.name}: {gate.figure:.4g}, the limit is {gate.limit:.4g} "
            f"({escape(gate.says)})",
            soft_wrap=True,
        )
    if found.refused:
        _console.print(f"in production stays {found.production or 'nothing'}; version {found.version} is in staging")
        raise typer.Exit(3)
    if found.production != found.version:
        _console.print(f"version {found.version} passed; version {found.production}, higher, passed meanwhile")
    _console.print(f"version {found.production} is in production")


@app.command(
    epilog=f'Example: tweet-sentiment model rollback --registry {_EXAMPLE_REGISTRY} --why "too many negatives"'
)
def rollback(
    to: Annotated[str | None, typer.Option(help="Version to go to; the one before production's by default.")] = None,
    why: Why = "",
    by: By = None,
    registry: Registry = None,
    as_json: AsJson = False,
) -> None:
    """Take production back to the version before; running streams follow at their next micro-batch."""
    with clear_errors():
        from spark_apps.model.release import rollback as take_back

        before, now = take_back(required_registry(registry), to, by or getpass.getuser(), why)
        if as_json:
            print(json.dumps({"before": before, "production": now}))
        else:
            print(f"{MODEL_NAME} version {now} is in production again, instead of version {before}")


@app.command(epilog=f"Example: tweet-sentiment model first --registry {_EXAMPLE_REGISTRY} --wait 300")
def first(
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for a registry that does not answer yet.")] = 0,
    registry: Registry = None,
) -> None:
    """Put the model that comes with the project in production, where the registry has none there."""
    with clear_errors():
        from spark_apps.model.registry import BUNDLED, RegistryError

        found, until = required_registry(registry), time.monotonic() + wait
        while True:
            try:
                version = found.ensure_production(BUNDLED)
                break
            except RegistryError as error:
                if time.monotonic() > until:
                    raise
                _console.print(f"waiting: {escape(str(error))}", soft_wrap=True)
                time.sleep(2)
        print(f"{MODEL_NAME} version {version} is in production")


@app.command("list", epilog=f"Example: tweet-sentiment model list --registry {_EXAMPLE_REGISTRY} --json")
def list_versions(registry: Registry = None, as_json: AsJson = False) -> None:
    """List the registered versions, newest first, and who moved production to which of them, when and why."""
    with clear_errors():
        from spark_apps.model.view import render_versions

        versions = required_registry(registry).versions()
        if as_json:
            print(json.dumps([found.to_dict() for found in versions]))
        else:
            Console(highlight=False).print(render_versions(versions))


@app.command(epilog=f"Example: tweet-sentiment model describe {PRODUCTION} --registry {_EXAMPLE_REGISTRY}")
def describe(
    version: Annotated[str, typer.Argument(help=f"A version, {PRODUCTION} or staging.")] = PRODUCTION,
    registry: Registry = None,
    as_json: AsJson = False,
) -> None:
    """Say all that is known of one version: its figures, where it comes from, its moves."""
    with clear_errors():
        from spark_apps.model.source import version_folder
        from spark_apps.model.view import render_version
        from spark_apps.scoring.description import Description

        found = required_registry(registry)
        known = found.version(version)
        with version_folder(found, known.version) as folder:
            description = Description.read(folder)
        if as_json:
            print(json.dumps({**known.to_dict(), "description": asdict(description)}))
        else:
            Console(highlight=False).print(render_version(known, description))


def required_registry(uri: str | None) -> Any:
    """Open the registry of the option or the environment; `SettingsError` where there is none."""
    from spark_apps.model.registry import Registry as Registered

    settings = load(registry=uri)
    (found,) = settings.require("registry")
    return Registered(found, settings.registry_timeout)
