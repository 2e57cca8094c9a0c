"""The state that an interrupted training run needs to continue: averaged weights, random state and settings."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from spark_apps.errors import UserError

_AVERAGE_FILE = "average.pt"
_STATE_FILE = "training.json"


class TrainingError(UserError):
    """The output folder contains other files, or a training run with other settings."""


def last_complete(checkpoints: Path) -> Path | None:
    """Return the newest complete checkpoint, if any; delete newer ones, which an interruption left incomplete."""
    folders = sorted(checkpoints.glob("checkpoint-*"), key=lambda folder: -int(folder.name.rpartition("-")[2]))
    for folder in folders:
        if (folder / _AVERAGE_FILE).is_file():
            return folder
        shutil.rmtree(folder)
    return None


def _trained(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Yield the names and the weights of the parameters that are not frozen."""
    return ((name, weights) for name, weights in model.named_parameters() if weights.requires_grad)


class WeightAverage(TrainerCallback):
    """Keeps the moving average of the weights, and torch's random state at the start of the epoch.

    Both are saved in a file of each checkpoint. The file is written last, so a checkpoint with this file is complete.
    The Trainer shuffles the tweets at the start of an epoch: without the random state, a run that resumes within an
    epoch would continue with another order.
    """

    def __init__(self, decay: float, resumed: Path | None) -> None:
        """Average with `decay` per step; continue the average of the checkpoint `resumed`, if given."""
        self.weights: dict[str, torch.Tensor] = {}
        self._decay = decay
        self._resumed = resumed
        self._random_state = torch.get_rng_state()

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        if self._resumed is None:
            self.weights = {name: weights.detach().clone() for name, weights in _trained(model)}
            return
        saved = torch.load(self._resumed / _AVERAGE_FILE, map_location="cpu")
        self.weights = {name: weights.to(args.device) for name, weights in saved["weights"].items()}
        self._random_state = saved["chance"]

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if self._resumed is not None:
            torch.set_rng_state(self._random_state)
            self._resumed = None
        self._random_state = torch.get_rng_state()

    @torch.no_grad()
    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        # The decay is lower at the start: the first weights are far from the final ones and should not last.
        decay = min(self._decay, (1 + state.global_step) / (10 + state.global_step))
        for name, weights in _trained(model):
            self.weights[name].lerp_(weights.detach(), 1 - decay)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        file = Path(args.output_dir) / f"checkpoint-{state.global_step}" / _AVERAGE_FILE
        partial = file.with_suffix(".partial")
        torch.save({"weights": self.weights, "chance": self._random_state}, partial)
        partial.replace(file)


class TrainingState:
    """The file `training.json` in the output folder: settings, ids of MLflow runs and, at the end, figures."""

    def __init__(self, out: Path, settings: dict[str, Any]) -> None:
        """Read the state of the run in `out`, or prepare the state of a new run.

        Args:
            out: output folder of the run.
            settings: settings that must be equal for the run to continue.

        Raises:
            TrainingError: `out` contains other files, or a run with other settings.
        """
        self._file = out / _STATE_FILE
        if self._file.is_file():
            self._fields = json.loads(self._file.read_text(encoding="utf-8"))
            _check_same_settings(out, self._fields["settings"], settings)
            return
        if out.is_file() or (out.is_dir() and any(out.iterdir())):
            raise TrainingError(f"--out {out} contains files that are not of a training run: give a new folder")
        self._fields = {"settings": settings}

    def begin(self) -> None:
        """Save the settings: from then on, the folder belongs to this run."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._write()

    @property
    def figures(self) -> dict[str, Any] | None:
        """Figures of a finished run, else None."""
        figures: dict[str, Any] | None = self._fields.get("figures")
        return figures

    def end(self, figures: dict[str, Any]) -> None:
        """Save the figures: the run is finished."""
        self._fields["figures"] = figures
        self._write()

    def run_id(self, registry: str) -> str | None:
        """Return the id of this run's MLflow run in `registry`, or None."""
        run_id: str | None = self._fields.get("runs", {}).get(registry)
        return run_id

    def save_run_id(self, registry: str, run_id: str) -> None:
        self._fields.setdefault("runs", {})[registry] = run_id
        self._write()

    def _write(self) -> None:
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self._fields, indent=2) + "\n", encoding="utf-8")
        partial.replace(self._file)


def _check_same_settings(out: Path, saved: dict[str, Any], given: dict[str, Any]) -> None:
    """Raise `TrainingError`, with all differences, unless the settings are equal."""
    changed = [f"{name} {saved.get(name)}, not {given[name]}" for name in given if saved.get(name) != given[name]]
    if changed:
        raise TrainingError(
            f"--out {out} contains a training run with other settings ({'; '.join(changed)}): "
            "give a new folder, or the same settings"
        )
