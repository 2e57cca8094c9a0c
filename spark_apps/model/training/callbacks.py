"""A training as it goes: progress for the person at the terminal, curves for MLflow."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

from spark_apps.model.run import Run

# Where no bar can be drawn, a line as often as this.
_LINE_SECONDS = 30.0


class Follow(TrainerCallback):
    """Shows steps, loss and validation on `console`, and sends the curves to `run` where there is one."""

    def __init__(self, console: Console, run: Run | None) -> None:
        self._console = console
        self._run = run
        self._said = time.monotonic()
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=None, loss="…")

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if state.global_step:
            self._console.print(f"going on after step {state.global_step:,} of {state.max_steps:,}")
        self._bar.update(self._task, total=state.max_steps, completed=state.global_step)
        self._bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._bar.update(self._task, completed=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.stop()

    def stop(self) -> None:
        """Give the terminal back."""
        self._bar.stop()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, lr_scheduler: Any = None, **_: Any) -> None:  # noqa: ARG002
        step, of = state.global_step, state.max_steps
        curves: dict[str, float] = {}
        if "loss" in logs:
            # The first group of weights is that of the embeddings; the setting is the rate of the head.
            curves = {"loss": logs["loss"], "learning_rate": max(lr_scheduler.get_last_lr())}
            self._bar.update(self._task, loss=f"{logs['loss']:.3f}")
            if not self._console.is_terminal and time.monotonic() - self._said > _LINE_SECONDS:
                self._said = time.monotonic()
                self._console.print(f"step {step:,} of {of:,}: loss {logs['loss']:.3f}")
        if "eval_macro_recall" in logs:
            curves |= {f"validation_{name}": logs[f"eval_{name}"] for name in ("loss", "macro_recall", "accuracy")}
            recall = logs["eval_macro_recall"]
            self._console.print(f"step {step:,} of {of:,}: macro recall on the validation split {recall:.4f}")
        if self._run and curves:
            self._run.curves(curves, step)
