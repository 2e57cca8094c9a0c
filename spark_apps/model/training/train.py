"""Fine-tune a RoBERTa or XLM-RoBERTa for three sentiment labels, with transformers' Trainer."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from rich.console import Console
from transformers import DataCollatorWithPadding, EvalPrediction, Trainer, set_seed
from transformers.trainer_callback import PrinterCallback

from spark_apps.labels import LABELS
from spark_apps.model.dataset import DataVersion, LabelledTweets, Split
from spark_apps.model.evaluation.groups import by_group
from spark_apps.model.evaluation.metrics import Quality, macro_recall
from spark_apps.model.mlflow_run import MlflowRun
from spark_apps.model.training.arguments import training_arguments
from spark_apps.model.training.base import Base, load_base
from spark_apps.model.training.callbacks import ProgressCallback
from spark_apps.model.training.dropout import replace_dropout
from spark_apps.model.training.leave_out import LeaveOut, training_splits
from spark_apps.model.training.objective import balanced_loss, optimiser
from spark_apps.model.training.recipe import Recipe
from spark_apps.model.training.state import TrainingState, WeightAverage, last_complete
from spark_apps.model.training.tweets import TokenisedTweets
from spark_apps.scoring.probabilities import Probabilities

# Tweets of the validation split that draw the curves. The figures at the end are of all its tweets.
_CURVE_TWEETS = 4_000
# Timeout of MLflow: long enough to upload a plot, and shorter than the time between two points of a curve.
_TRACKING_SECONDS = 20


def train(
    data: LabelledTweets,
    base: str,
    out: Path,
    recipe: Recipe,
    registry: str | None = None,
    console: Console | None = None,
    leave_out: LeaveOut | None = None,
) -> dict[str, Any]:
    """Fine-tune `base` on the train split of `data`; write model and tokenizer to `out`.

    A second call with the same `out` continues an interrupted run from its last checkpoint. The weights are then the
    same as without the interruption: bit for bit on a CPU with the same number of threads, but not on a GPU, where the
    order of sums varies. For a finished run, the call returns the saved figures.

    Args:
        data: labelled tweets with the splits `train` and `val`.
        base: folder or Hugging Face id of a RoBERTa or XLM-RoBERTa.
        out: folder of this run.
        recipe: hyperparameters.
        registry: URI of the MLflow server to which the run is logged; None logs nothing.
        console: receives progress; stderr by default.
        leave_out: tweets of the train split that evaluate the model instead of training it.

    Returns:
        Figures of the averaged weights on the validation split, also by language and source, and the macro recall
        without averaging.

    Raises:
        DataError, ModelError, TrainingError: `data`, `base` or `out` cannot be used.
        TrackingError: MLflow does not answer at the start.
    """
    console = console or Console(stderr=True, highlight=False)
    transformers.logging.set_verbosity_error()
    splits = training_splits(data, leave_out)
    versions = [data.version(name) for name in (("train",) if leave_out else ("train", "val"))]
    settings = _settings(base, versions, splits, recipe, leave_out)
    state = TrainingState(out, settings)
    if state.figures:
        console.print(f"the training run in {out} is already finished: nothing to do")
        return state.figures
    set_seed(recipe.seed)
    start = load_base(base)
    if not torch.cuda.is_available():
        replace_dropout(start.model)
    if recipe.freeze_embeddings:
        start.model.get_input_embeddings().requires_grad_(False)
    state.begin()
    console.print(f"base {base}: {start.head}; training on {_device()}")
    for name, split in splits.items():
        console.print(f"{name}: {_summary(split)}")
    if registry is None:
        console.print("no registry given: this run is not logged to MLflow; pass --registry to log it")
        return _fit(start, splits, out, recipe, state, None, console)
    with _open_run(registry, state, settings | {"base": base}, versions) as run:
        return _fit(start, splits, out, recipe, state, run, console)


def _settings(
    base: str,
    versions: Sequence[DataVersion],
    splits: Mapping[str, Split],
    recipe: Recipe,
    leave_out: LeaveOut | None,
) -> dict[str, Any]:
    """Return the settings that must be equal for a run to continue."""
    folder = Path(base).expanduser()
    return {
        "base": str(folder.resolve()) if folder.is_dir() else base,
        **{f"{version.split}_sha256": version.sha256 for version in versions},
        **{f"{name}_rows": len(split) for name, split in splits.items()},
        **({"leave_out": str(leave_out)} if leave_out else {}),
        **asdict(recipe),
    }


def _summary(split: Split) -> str:
    """Return the number of tweets, and their languages and sources."""
    groups = (", ".join(f"{name} {count:,}" for name, count in counts.items()) for counts in split.counts().values())
    return f"{len(split):,} tweets ({'; '.join(groups)})"


def _open_run(
    registry: str, state: TrainingState, params: dict[str, Any], versions: Sequence[DataVersion]
) -> MlflowRun:
    """Resume the MLflow run of an interrupted training run, or create an MLflow run with parameters and datasets."""
    known = state.run_id(registry)
    run = MlflowRun(registry, _TRACKING_SECONDS, "train", known)
    if run.id != known:
        state.save_run_id(registry, run.id)
        run.log_params(params)
        run.log_datasets(versions)
    return run


def _fit(
    start: Base, splits: Mapping[str, Split], out: Path, recipe: Recipe, state: TrainingState, run: MlflowRun | None,
    console: Console,
) -> dict[str, Any]:  # fmt: skip
    """Train from the last checkpoint, if any; save the averaged weights, log and return the figures."""
    began = time.monotonic()
    checkpoints = out / "checkpoints"
    last = last_complete(checkpoints)
    average, progress = WeightAverage(recipe.average, last), ProgressCallback(console, run)
    every = -(-len(splits["val"]) // _CURVE_TWEETS)
    train_tweets, val_tweets, curve_tweets = (
        TokenisedTweets(split, start.tokenizer)
        for split in (splits["train"], splits["val"], splits["val"].at(range(0, len(splits["val"]), every)))
    )
    trainer = Trainer(
        model=start.model,
        args=training_arguments(checkpoints, recipe, len(train_tweets)),
        train_dataset=train_tweets,
        eval_dataset=curve_tweets,
        data_collator=DataCollatorWithPadding(start.tokenizer),
        compute_metrics=_metrics,
        compute_loss_func=balanced_loss(recipe, splits["train"].labels),
        optimizers=(optimiser(recipe, start.model), None),
        callbacks=[average, progress],
    )
    # PrinterCallback writes to stdout, which commands reserve for their result.
    trainer.remove_callback(PrinterCallback)
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    finally:
        progress.stop()
    truth = np.asarray(splits["val"].labels)
    not_averaged = Quality.of(truth, _probabilities(trainer, val_tweets))
    start.model.load_state_dict(average.weights, strict=False)
    probabilities = _probabilities(trainer, val_tweets)
    quality, groups = Quality.of(truth, probabilities), by_group(splits["val"], probabilities.argmax(axis=1))
    start.model.save_pretrained(out)
    start.tokenizer.save_pretrained(out)
    figures = {
        **{name: value for name, value in asdict(quality).items() if name != "reliability"},
        **{kind: {name: asdict(group) for name, group in members.items()} for kind, members in groups.items()},
        "macro_recall_without_average": not_averaged.macro_recall,
        "steps": trainer.state.global_step,
        "seconds": round(time.monotonic() - began, 1),
        "device": _device(),
    }
    if run:
        _log(run, quality, not_averaged)
    state.end(figures)
    return figures


def _metrics(prediction: EvalPrediction) -> dict[str, float]:
    predicted = np.asarray(prediction.predictions).argmax(axis=1)
    truth = np.asarray(prediction.label_ids)
    return {"macro_recall": macro_recall(truth, predicted), "accuracy": float((truth == predicted).mean())}


def _probabilities(trainer: Trainer, tweets: TokenisedTweets) -> Probabilities:
    """Return the probabilities that the trainer's current weights give to `tweets`, in their order; shape (n, 3)."""
    # The Trainer would also group these tweets by length, and not return their order.
    trainer.args.group_by_length = False
    by_length = np.argsort(tweets.lengths, kind="stable")
    predictions = trainer.predict(torch.utils.data.Subset(tweets, by_length.tolist())).predictions
    probabilities = np.empty((len(tweets), len(LABELS)), np.float32)
    probabilities[by_length] = torch.softmax(torch.from_numpy(np.asarray(predictions, np.float32)), dim=1).numpy()
    return probabilities


def _log(run: MlflowRun, quality: Quality, not_averaged: Quality) -> None:
    from spark_apps.model.evaluation.plots import all_plots

    run.log_metrics(quality.scalars() | {"macro_recall_without_average": not_averaged.macro_recall})
    run.log_plots(all_plots(quality, "validation split"))


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
