"""Evaluates a model or a stream; with a registry, logs figures, plots and data versions to an MLflow run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from spark_apps.model.dataset import LabelledTweets, write_predictions
from spark_apps.model.evaluation.evaluate import Evaluation, evaluate
from spark_apps.model.mlflow_run import MlflowRun
from spark_apps.registry.client import Registry
from spark_apps.registry.model_uri import fetch_model
from spark_apps.settings import Settings

if TYPE_CHECKING:  # Only a lake needs deltalake.
    from spark_apps.model.evaluation.stream_evaluation import StreamEvaluation


def evaluate_and_log_split(
    data: LabelledTweets,
    split: str,
    model: str | None,
    predictions: Path | None,
    settings: Settings,
    console: Console,
) -> Evaluation:
    """Evaluate a model on one split of `data`.

    Args:
        data: labelled tweets.
        split: name of the split.
        model: folder or URI of the model; None for the bundled model.
        predictions: file to which the predicted labels are written; the split then needs no labels.
        settings: settings with the registry, if any.
        console: receives progress.

    Raises:
        DataError: a file of the split is missing or invalid.
        ModelError: the model does not exist or cannot be loaded.
        TrackingError: MLflow does not answer.
    """
    with _run(settings, "evaluate") as run, fetch_model(model, Registry.from_settings(settings)) as folder:
        threads = os.cpu_count() or 1
        evaluation = evaluate(folder, data, split, threads, console, labels_required=predictions is None)
        if predictions:
            write_predictions(predictions, evaluation.probabilities.argmax(axis=1).tolist())
        if run:
            _log_evaluation(run, evaluation, model or "bundled")
    return evaluation


def evaluate_and_log_stream(lake: str, settings: Settings) -> "StreamEvaluation":
    """Evaluate the stream of `lake`, a folder or s3a:// URI.

    Raises:
        StreamEvaluationError: a table is missing or not readable, or no labelled tweet is scored.
        TrackingError: MLflow does not answer.
    """
    from spark_apps.model.evaluation.stream_evaluation import evaluate_stream

    with _run(settings, "evaluate stream") as run:
        evaluation = evaluate_stream(lake)
        if run:
            _log_stream(run, evaluation)
    return evaluation


@contextmanager
def _run(settings: Settings, name: str) -> Iterator[MlflowRun | None]:
    """Open an MLflow run if there is a registry: callers open it first, so that an unreachable registry fails early."""
    if settings.registry is None:
        yield None
        return
    with MlflowRun(settings.registry, settings.registry_timeout, name) as run:
        yield run


def _log_evaluation(run: MlflowRun, evaluation: Evaluation, model: str) -> None:
    """Log the evaluation of one split; `model` is the folder or URI that the user gave."""
    from spark_apps.model.evaluation.plots import all_plots

    data, speed, quality = evaluation.data, evaluation.speed, evaluation.quality
    run.log_params(
        {
            "model": model,
            "model_sha256": evaluation.model.sha256,
            "precision": evaluation.model.precision,
            "data": data.name,
            "split": data.split,
            "data_sha256": data.sha256,
            "threads": speed.threads,
        }
    )
    run.log_datasets([data])
    latency = {f"latency_ms_{name}": value for name, value in speed.latency_ms.items()}
    scalars = quality.scalars() if quality else {}
    by_language = {
        f"language_{name}/{figure}": value
        for name, group in evaluation.groups.get("languages", {}).items()
        for figure, value in group.values().items()
    }
    run.log_metrics(
        scalars | by_language | latency | {"tweets": data.rows, "tweets_per_second": speed.tweets_per_second}
    )
    if quality:
        run.log_plots(all_plots(quality, f"{data.name}/{data.split}"))
    run.log_json("figures.json", evaluation.to_dict())


def _log_stream(run: MlflowRun, stream: "StreamEvaluation") -> None:
    """Log the evaluation of a stream; if several versions scored it, also each of them under `version_<number>/`."""
    from spark_apps.model.evaluation.plots import all_plots

    run.log_params({"lake": stream.lake} | {f"{name}_version": version for name, version in stream.tables.items()})
    several = stream.versions if len(stream.versions) > 1 else {}
    by_prefix = {"": stream.total, **{f"version_{version}/": evaluation for version, evaluation in several.items()}}
    for prefix, evaluation in by_prefix.items():
        values = evaluation.quality.scalars() | {"tweets": evaluation.quality.tweets}
        values |= {f"latency_seconds_{name}": value for name, value in evaluation.latency_seconds.items()}
        if evaluation.tweets_per_second is not None:
            values["tweets_per_second"] = evaluation.tweets_per_second
        run.log_metrics({f"{prefix}{name}": value for name, value in values.items()})
        title = f"stream, model {prefix.removeprefix('version_').rstrip('/')}" if prefix else "stream"
        run.log_plots((f"{prefix}{name}", plot) for name, plot in all_plots(evaluation.quality, title))
    run.log_json("figures.json", stream.to_dict())
