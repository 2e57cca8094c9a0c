"""The callback of the Trainer that reports progress in the terminal and curves to MLflow."""

import time
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from transformers import TrainerCallback

from spark_apps.model.mlflow_run import MlflowRun

# Without a terminal, a line at this interval replaces the progress bar.
_LINE_SECONDS = 30.0


class ProgressCallback(TrainerCallback):
    """Shows steps, loss and validation metrics on `console`, and logs the curves to `run` if given."""

    def __init__(self, console: Console, run: MlflowRun | None) -> None:
        self._console = console
        self._run = run
        self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}, {task.fields[speed]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=None, loss="…", speed="…")
        self._began, self._first_step = time.monotonic(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if state.global_step:
            self._console.print(f"continuing after step {state.global_step:,} of {state.max_steps:,}")
        self._began, self._first_step = time.monotonic(), state.global_step
        self._bar.update(self._task, total=state.max_steps, completed=state.global_step)
        self._bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._bar.update(self._task, completed=state.global_step, speed=self._speed(args, state))

    def _speed(self, args: Any, state: Any) -> str:
        """Return the rate since the start and the time left at this rate, validation and checkpoints included.

        Batches of similar length come in turn, long texts first: the rate of the last steps would say little.
        """
        seconds = (time.monotonic() - self._began) / (state.global_step - self._first_step)
        left = timedelta(seconds=round(seconds * (state.max_steps - state.global_step)))
        return f"{args.train_batch_size / seconds:,.0f} tweets/s, {left} left"

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.stop()

    def stop(self) -> None:
        """Remove the progress bar."""
        self._bar.stop()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, lr_scheduler: Any = None, **_: Any) -> None:  # noqa: ARG002
        step, steps = state.global_step, state.max_steps
        curves: dict[str, float] = {}
        if "loss" in logs:
            # Learning rates decay from the head to the embeddings: report the rate of the head, which the user sets.
            curves = {"loss": logs["loss"], "learning_rate": max(lr_scheduler.get_last_lr())}
            self._bar.update(self._task, loss=f"{logs['loss']:.3f}")
            if not self._console.is_terminal and time.monotonic() - self._last_line > _LINE_SECONDS:
                self._last_line = time.monotonic()
                speed = self._speed(args, state)
                self._console.print(f"step {step:,} of {steps:,}: loss {logs['loss']:.3f}, {speed}")
        if "eval_macro_recall" in logs:
            curves |= {f"validation_{name}": logs[f"eval_{name}"] for name in ("loss", "macro_recall", "accuracy")}
            recall = logs["eval_macro_recall"]
            self._console.print(f"step {step:,} of {steps:,}: macro recall on the validation split {recall:.4f}")
        if self._run and curves:
            self._run.log_metrics(curves, step)
