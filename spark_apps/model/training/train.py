"""Fine-tune a RoBERTa for three sentiment labels, with transformers' Trainer."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from rich.console import Console
from transformers import DataCollatorWithPadding, EvalPrediction, Trainer, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from spark_apps.model.dataset import DataError, DataVersion, Split, data_version, read_split
from spark_apps.model.evaluation.metrics import Quality, macro_recall
from spark_apps.model.mlflow_run import MlflowRun
from spark_apps.model.training.base import Base, load_base
from spark_apps.model.training.callbacks import ProgressCallback
from spark_apps.model.training.objective import balanced_loss, optimiser
from spark_apps.model.training.recipe import Recipe
from spark_apps.model.training.state import TrainingState, WeightAverage, last_complete
from spark_apps.scoring.text import MAX_TOKENS, normalise

SPLITS = ("train", "val")
_EVALUATIONS_PER_EPOCH = 2
_CHECKPOINTS_PER_EPOCH = 6
# Timeout of MLflow: long enough to upload a plot, and shorter than the time between two points of a curve.
_TRACKING_SECONDS = 20


class _Tweets(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """The normalised and tokenised tweets of a split, without padding."""

    def __init__(self, split: Split, tokenizer: Any) -> None:
        texts = [normalise(text) for text in split.texts]
        self.input_ids = tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        self.labels = split.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, object]:
        ids = self.input_ids[index]
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": self.labels[index]}


def train(
    data: Path, base: str, out: Path, recipe: Recipe, registry: str | None = None, console: Console | None = None
) -> dict[str, Any]:
    """Fine-tune `base` on the train split of `data`; write model and tokenizer to `out`.

    A second call with the same `out` continues an interrupted run from its last checkpoint. The weights are then the
    same as without the interruption: bit for bit on a CPU with the same number of threads, but not on a GPU, where the
    order of sums varies. For a finished run, the call returns the saved figures.

    Args:
        data: folder with the splits `train` and `val` in TweetEval's layout.
        base: folder or Hugging Face id of a RoBERTa.
        out: folder of this run.
        recipe: hyperparameters.
        registry: URI of the MLflow server to which the run is logged; None logs nothing.
        console: receives progress; stderr by default.

    Returns:
        Figures of the averaged weights on the validation split, and the macro recall without averaging.

    Raises:
        DataError, ModelError, TrainingError: `data`, `base` or `out` cannot be used.
        TrackingError: MLflow does not answer at the start.
    """
    console = console or Console(stderr=True, highlight=False)
    transformers.logging.set_verbosity_error()
    splits = {name: read_split(data, name) for name in SPLITS}
    versions = [data_version(data, name) for name in SPLITS]
    missing = set(range(3)) - set(splits["train"].labels)
    if missing:
        raise DataError(f"{data}: no tweet of the train split has the label {min(missing)}: add tweets with this label")
    state = TrainingState(out, _settings(base, versions, recipe))
    if state.figures:
        console.print(f"the training run in {out} is already finished: nothing to do")
        return state.figures
    set_seed(recipe.seed)
    start = load_base(base)
    state.begin()
    console.print(f"base {base}: {start.head}; training on {_device()}")
    if registry is None:
        console.print("no registry given: parameters and curves of this run are not logged")
        return _fit(start, splits, out, recipe, state, None, console)
    with _open_run(registry, state, versions, recipe, base) as run:
        return _fit(start, splits, out, recipe, state, run, console)


def _settings(base: str, versions: Sequence[DataVersion], recipe: Recipe) -> dict[str, Any]:
    """Return the settings that must be equal for a run to continue."""
    folder = Path(base).expanduser()
    hashes = {f"{version.split}_sha256": version.sha256 for version in versions}
    return {"base": str(folder.resolve()) if folder.is_dir() else base} | hashes | asdict(recipe)


def _open_run(
    registry: str, state: TrainingState, versions: Sequence[DataVersion], recipe: Recipe, base: str
) -> MlflowRun:
    """Resume the MLflow run of an interrupted training run, or create an MLflow run with parameters and datasets."""
    known = state.run_id(registry)
    run = MlflowRun(registry, _TRACKING_SECONDS, "train", known)
    if run.id != known:
        state.save_run_id(registry, run.id)
        rows = {f"{version.split}_rows": version.rows for version in versions}
        run.log_params({"base": base} | asdict(recipe) | rows)
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
    tweets = {name: _Tweets(split, start.tokenizer) for name, split in splits.items()}
    trainer = Trainer(
        model=start.model,
        args=_arguments(checkpoints, recipe, len(tweets["train"])),
        train_dataset=tweets["train"],
        eval_dataset=tweets["val"],
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
    not_averaged = _evaluate(trainer, tweets["val"])
    start.model.load_state_dict(average.weights, strict=False)
    quality = _evaluate(trainer, tweets["val"])
    start.model.save_pretrained(out)
    start.tokenizer.save_pretrained(out)
    figures = {
        **{name: value for name, value in asdict(quality).items() if name != "reliability"},
        "macro_recall_without_average": not_averaged.macro_recall,
        "steps": trainer.state.global_step,
        "seconds": round(time.monotonic() - began, 1),
        "device": _device(),
    }
    if run:
        _log(run, quality, not_averaged)
    state.end(figures)
    return figures


def _arguments(checkpoints: Path, recipe: Recipe, tweets: int) -> TrainingArguments:
    steps = -(-tweets // recipe.batch_size)
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=64,
        warmup_ratio=recipe.warmup,
        lr_scheduler_type="linear",
        group_by_length=True,  # batches of texts of similar length have little padding
        use_cpu=not torch.cuda.is_available(),
        bf16=recipe.bf16 or (torch.cuda.is_available() and torch.cuda.is_bf16_supported()),
        eval_strategy="steps",
        eval_steps=max(1, steps // _EVALUATIONS_PER_EPOCH),
        save_strategy="steps",
        save_steps=max(1, steps // _CHECKPOINTS_PER_EPOCH),
        save_total_limit=2,  # the previous checkpoint remains until the new one is complete
        logging_steps=min(50, max(1, steps // 10)),
        report_to=[],
        seed=recipe.seed,
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _metrics(prediction: EvalPrediction) -> dict[str, float]:
    predicted = np.asarray(prediction.predictions).argmax(axis=1)
    truth = np.asarray(prediction.label_ids)
    return {"macro_recall": macro_recall(truth, predicted), "accuracy": float((truth == predicted).mean())}


def _evaluate(trainer: Trainer, tweets: _Tweets) -> Quality:
    """Return the quality of the trainer's current weights on `tweets`."""
    prediction = trainer.predict(tweets)  # type: ignore[arg-type]
    logits = torch.from_numpy(np.asarray(prediction.predictions, np.float32))
    return Quality.of(np.asarray(prediction.label_ids), torch.softmax(logits, dim=1).numpy())


def _log(run: MlflowRun, quality: Quality, not_averaged: Quality) -> None:
    from spark_apps.model.evaluation.plots import all_plots

    run.log_metrics(quality.scalars() | {"macro_recall_without_average": not_averaged.macro_recall})
    run.log_plots(all_plots(quality, "validation split"))


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
