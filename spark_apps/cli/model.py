"""`tweet-sentiment model …`: export, upload, evaluate. `cli/train.py` and `cli/release.py` have the others."""

import json
import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from spark_apps.cli.labelled import fetch_tweets
from spark_apps.cli.options import DATA_HELP, AsJson, Data, Language, RegistryUri, console, report_errors
from spark_apps.cli.release import EXAMPLE_REGISTRY
from spark_apps.cli.release import app as release_app
from spark_apps.cli.train import PROVENANCE
from spark_apps.cli.train import app as train_app
from spark_apps.registry.client import Registry
from spark_apps.registry.model_uri import fetch_folder
from spark_apps.scoring.description import UNDETERMINED
from spark_apps.settings import MODEL_NAME, PRODUCTION, SettingsError, load

app = typer.Typer(no_args_is_help=True, help="Train, export, evaluate and release the model.")
app.add_typer(train_app)
app.add_typer(release_app)


@app.command(
    epilog="Example: tweet-sentiment model export --model trained --data semeval --precision int8 --out exported"
)
def export(
    model: Annotated[
        str, typer.Option(help="Trained model: a folder, runs:/…, or the Hugging Face id of a classifier.")
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the exported model.")],
    language: Language = UNDETERMINED,
    precision: Annotated[
        str,
        typer.Option(
            help="fp32; fp16: weights stored in float16, half the size; int8: fastest, for RoBERTa only, with an fp16 "
            "fallback for GPUs and for processors on which int8 gives other results."
        ),
    ] = "fp16",
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Export a trained model to ONNX; fail if the labels differ from torch's on the validation split.

    The description of the exported model records its figures on that split. With a registry, the exported model is also
    uploaded to an MLflow run.
    """
    with report_errors():
        target = Registry.from_settings(load(registry=registry))
        with fetch_folder(model, target) as checkpoint, fetch_tweets(target, data, language) as tweets:
            from spark_apps.model.evaluation.evaluate import evaluate as evaluate_model
            from spark_apps.model.onnx_export.export import export as export_model

            provenance_file = Path(checkpoint) / PROVENANCE
            provenance = json.loads(provenance_file.read_text(encoding="utf-8")) if provenance_file.is_file() else {}
            split, threads = tweets.read("val"), os.cpu_count() or 1
            description = export_model(checkpoint, out, precision, split.texts, provenance, threads, split.languages)
            evaluation = evaluate_model(out, tweets, "val", threads, console)
            if evaluation.quality:
                figures = {**evaluation.quality.scalars(), "tweets": evaluation.quality.tweets}
                description.metrics["validation"] = figures
                by_language = evaluation.groups["languages"]
                for name, group in by_language.items() if len(by_language) > 1 else ():
                    description.metrics[f"validation {name}"] = {**group.values(), "tweets": group.tweets}
                description.write(out)
            uri = _upload(registry, out) if load(registry=registry).registry else None
            if as_json:
                print(json.dumps(asdict(description) | {"uri": uri}))
            else:
                agreement = description.metrics["agreement_with_torch"]
                print(f"{uri or out}: the labels agree with torch on {agreement:.2%} of the validation split")


@app.command(
    epilog=f"Example: tweet-sentiment model upload semeval --registry {EXAMPLE_REGISTRY}, "
    "or: tweet-sentiment model upload --from-lake ./lake"
)
def upload(
    folder: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, help="Folder of labelled tweets, or of a trained model."),
    ] = None,
    from_lake: Annotated[
        str | None,
        typer.Option(help="Instead of a folder: upload the tweets of a lake that people labelled on the dashboard."),
    ] = None,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Upload a folder to an MLflow run; print its runs:/… URI for the other commands and the DAG `release_model`.

    --from-lake makes labelled tweets of the last label that each tweet has: the splits train and val (a fifth).
    """
    with report_errors(), ExitStack() as stack:
        if (folder is None) == (from_lake is None):
            raise SettingsError("pass either a folder or --from-lake (the tweets that people labelled)")
        if folder is None:
            from spark_apps.model.human_labels import write_human_labels

            settings = load(registry=registry, lake=from_lake)
            settings.require("registry")
            folder = Path(stack.enter_context(TemporaryDirectory()), "human_labels")
            folder.mkdir()
            counts = write_human_labels(str(settings.lake), folder)
            console.print(", ".join(f"{name}: {tweets:,} tweets" for name, tweets in counts.items()))
        uri = _upload(registry, folder)
        print(json.dumps({"uri": uri}) if as_json else uri)


def _upload(registry: str | None, folder: Path) -> str:
    """Upload the files of `folder` to a new MLflow run in the given or configured registry; return their URI."""
    from spark_apps.model.mlflow_run import MlflowRun

    settings = load(registry=registry)
    (uri,) = settings.require("registry")
    name = folder.resolve().name
    with MlflowRun(uri, settings.registry_timeout, f"upload {name}") as run:
        return run.upload(folder, name)


@app.command(
    epilog="Example: tweet-sentiment model evaluate --data semeval --split val "
    f"--model models:/{MODEL_NAME}@{PRODUCTION} --registry {EXAMPLE_REGISTRY}, "
    "or: tweet-sentiment model evaluate --lake ./lake --json"
)
def evaluate(
    data: Annotated[list[str] | None, typer.Option(help=DATA_HELP)] = None,
    language: Language = UNDETERMINED,
    split: Annotated[str | None, typer.Option(help="Split to evaluate; val by default.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Exported model: a folder, runs:/…, models:/{MODEL_NAME}@{PRODUCTION} or models:/{MODEL_NAME}/3; "
            "by default the bundled model."
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="File for the predicted labels (0, 1 or 2, one per line). The split then needs no labels."),
    ] = None,
    lake: Annotated[
        str | None,
        typer.Option(
            help="Instead of --data: evaluate the stream of a lake on tweets that came with labels. [TWEETS_LAKE]"
        ),
    ] = None,
    registry: RegistryUri = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model on labelled tweets with the scorer that Gold uses, or evaluate the stream of a lake.

    With a registry, figures, plots and data versions are logged to an MLflow run. --predictions writes the numbers of
    TweetEval: 0 negative, 1 neutral, 2 positive.
    """
    with report_errors():
        from spark_apps.model.evaluation.tracking import evaluate_and_log_split, evaluate_and_log_stream
        from spark_apps.model.render import render_evaluation, render_stream

        settings = load(registry=registry, lake=lake)
        if (not data and settings.lake is None) or (data and lake is not None):
            raise SettingsError("pass either --data (a labelled split) or --lake (the stream of a lake)")
        if data:
            with fetch_tweets(Registry.from_settings(settings), data, language) as tweets:
                evaluation = evaluate_and_log_split(tweets, split or "val", model, predictions, settings, console)
            figures, rendered = evaluation.to_dict(), render_evaluation(evaluation)
        elif split or model or predictions:
            raise SettingsError("--split, --model and --predictions need --data: omit them for the stream of a lake")
        else:
            stream = evaluate_and_log_stream(str(settings.lake), settings)
            figures, rendered = stream.to_dict(), render_stream(stream)
        if as_json:
            print(json.dumps(figures))
        else:
            Console(highlight=False).print(rendered)
