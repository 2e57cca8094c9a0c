"""What lets a training that was killed go on as if it never had been: average of weights, order of tweets, settings."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from spark_apps.errors import UserError

_AVERAGE_FILE = "average.pt"
_STATE_FILE = "training.json"


class TrainingError(UserError):
    """A folder in which this training can neither begin nor go on."""


def last_complete(checkpoints: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end; remove what a kill left half written."""
    found = sorted(checkpoints.glob("checkpoint-*"), key=lambda folder: -int(folder.name.rpartition("-")[2]))
    for folder in found:
        if (folder / _AVERAGE_FILE).is_file():
            return folder
        shutil.rmtree(folder)
    return None


class Average(TrainerCallback):
    """Keeps the moving average of the weights, and the state of chance at the start of the epoch.

    Both are written beside each checkpoint, last and at once: a checkpoint that has them is complete. The Trainer draws
    the order of an epoch at its start, and would draw another one where a training goes on within it.
    """

    def __init__(self, decay: float, resumed: Path | None) -> None:
        self.weights: dict[str, torch.Tensor] = {}
        self._decay = decay
        self._resumed = resumed
        self._chance = torch.get_rng_state()

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        if self._resumed is None:
            self.weights = {name: weights.detach().clone() for name, weights in model.named_parameters()}
            return
        kept = torch.load(self._resumed / _AVERAGE_FILE, map_location="cpu")
        self.weights = {name: weights.to(args.device) for name, weights in kept["weights"].items()}
        self._chance = kept["chance"]

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if self._resumed is not None:
            torch.set_rng_state(self._chance)
            self._resumed = None
        self._chance = torch.get_rng_state()

    @torch.no_grad()
    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        # The first steps weigh less: they are far from where the training ends.
        decay = min(self._decay, (1 + state.global_step) / (10 + state.global_step))
        for name, weights in model.named_parameters():
            self.weights[name].lerp_(weights.detach(), 1 - decay)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        file = Path(args.output_dir) / f"checkpoint-{state.global_step}" / _AVERAGE_FILE
        half = file.with_suffix(".half")
        torch.save({"weights": self.weights, "chance": self._chance}, half)
        half.replace(file)


class TrainingState:
    """`training.json` in the folder of a training: its settings, its MLflow run and, at the end, its figures."""

    def __init__(self, out: Path, settings: dict[str, Any]) -> None:
        """Look at the training in `out`, if one is there; `TrainingError` where `out` holds anything else."""
        self._file = out / _STATE_FILE
        if self._file.is_file():
            self._fields = json.loads(self._file.read_text(encoding="utf-8"))
            _refuse_others(out, self._fields["settings"], settings)
            return
        if out.is_file() or (out.is_dir() and any(out.iterdir())):
            raise TrainingError(f"--out {out} holds something that is no training of this command: give a new folder")
        self._fields = {"settings": settings}

    def begin(self) -> None:
        """Write the settings down: from now on the folder is this training's."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._write()

    @property
    def figures(self) -> dict[str, Any] | None:
        """The figures of a training that has ended."""
        found: dict[str, Any] | None = self._fields.get("figures")
        return found

    def end(self, figures: dict[str, Any]) -> None:
        self._fields["figures"] = figures
        self._write()

    def run_id(self, registry: str) -> str | None:
        """Return the MLflow run of this training in `registry`."""
        found: str | None = self._fields.get("runs", {}).get(registry)
        return found

    def keep_run(self, registry: str, run_id: str) -> None:
        self._fields.setdefault("runs", {})[registry] = run_id
        self._write()

    def _write(self) -> None:
        half = self._file.with_suffix(".half")
        half.write_text(json.dumps(self._fields, indent=2) + "\n", encoding="utf-8")
        half.replace(self._file)


def _refuse_others(out: Path, had: dict[str, Any], wanted: dict[str, Any]) -> None:
    other = [f"{name} {had.get(name)}, not {wanted[name]}" for name in wanted if had.get(name) != wanted[name]]
    if other:
        raise TrainingError(
            f"--out {out} holds a training of other settings ({'; '.join(other)}): "
            "give a new folder, or the same settings"
        )
