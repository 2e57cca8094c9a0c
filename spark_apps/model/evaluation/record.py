"""What `evaluate` does: measure, write predictions, and record the figures in MLflow with pictures and data version."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType

from spark_apps.model.dataset import write_predictions
from spark_apps.model.evaluation.evaluate import Evaluation, evaluate
from spark_apps.model.render import render_evaluation, render_stream
from spark_apps.model.run import Run
from spark_apps.registry.client import Registry
from spark_apps.registry.model_uri import model_folder
from spark_apps.settings import Settings

if TYPE_CHECKING:  # deltalake is needed for a lake only
    from spark_apps.model.evaluation.stream_evaluation import StreamEvaluation


def measure_split(
    data: Path, split: str, model: str | None, predictions: Path | None, settings: Settings, console: Console
) -> tuple[dict[str, Any], RenderableType]:
    """Measure `model` on one split of `data`; return the figures as JSON has them and as a person reads them.

    With `predictions`, a file for the labels found, the split may be without labels.
    """
    registry = Registry.of(settings)
    with _run(settings, "evaluate") as run, model_folder(model, registry) as folder:
        found = evaluate(folder, data, split, os.cpu_count() or 1, console, labels_wanted=predictions is None)
        if predictions:
            write_predictions(predictions, found.probabilities.argmax(axis=1).tolist())
        if run:
            _record_evaluation(run, found, model or "bundled")
    return found.to_dict(), render_evaluation(found)


def measure_lake(lake: str, settings: Settings) -> tuple[dict[str, Any], RenderableType]:
    """Measure the stream of `lake`; return the figures as JSON has them and as a person reads them."""
    from spark_apps.model.evaluation.stream_evaluation import evaluate_stream

    with _run(settings, "evaluate stream") as run:
        found = evaluate_stream(lake)
        if run:
            _record_stream(run, found)
    return found.to_dict(), render_stream(found)


@contextmanager
def _run(settings: Settings, name: str) -> Iterator[Run | None]:
    """Open the MLflow run first: one that cannot be opened is found out before the long work."""
    if settings.registry is None:
        yield None
        return
    with Run(settings.registry, settings.registry_timeout, name) as run:
        yield run


def _record_evaluation(run: Run, found: Evaluation, model: str) -> None:
    """Record the figures of one split; `model` says which model was asked for."""
    from spark_apps.model.evaluation.plots import all_pictures

    run.params(
        {
            "model": model,
            "model_sha256": found.model.sha256,
            "precision": found.model.precision,
            "data": found.data.name,
            "split": found.data.split,
            "data_sha256": found.data.sha256,
            "threads": found.speed.threads,
        }
    )
    run.data([found.data])
    latency = {f"latency_ms_{name}": value for name, value in found.speed.latency_ms.items()}
    quality = found.quality.scalars() if found.quality else {}
    run.figures(quality | latency | {"tweets": found.data.rows, "tweets_per_second": found.speed.tweets_per_second})
    if found.quality:
        run.pictures(all_pictures(found.quality, f"{found.data.name}/{found.data.split}"))
    run.document("figures.json", found.to_dict())


def _record_stream(run: Run, found: "StreamEvaluation") -> None:
    """Record the figures of a stream; those of a version, where there are several, under `version_<number>/`."""
    from spark_apps.model.evaluation.plots import all_pictures

    run.params({"lake": found.lake} | {f"{name}_version": version for name, version in found.tables.items()})
    several = found.versions if len(found.versions) > 1 else {}
    for prefix, figures in {"": found.total, **{f"version_{name}/": one for name, one in several.items()}}.items():
        values = figures.quality.scalars() | {"tweets": figures.quality.tweets}
        values |= {f"latency_seconds_{name}": value for name, value in figures.latency_seconds.items()}
        if figures.tweets_per_second is not None:
            values["tweets_per_second"] = figures.tweets_per_second
        run.figures({f"{prefix}{name}": value for name, value in values.items()})
        title = f"stream, model {prefix[8:-1]}" if prefix else "stream"
        run.pictures((f"{prefix}{name}", picture) for name, picture in all_pictures(figures.quality, title))
    run.document("figures.json", found.to_dict())
