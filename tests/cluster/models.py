"""A small model, trained and uploaded to the registry of the installation while other tests run."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.installation import Installation, run_command
from tests.model.folders import TRAINING, write_base, write_data

_MODEL_COMMAND = [sys.executable, "-m", "spark_apps.cli.main", "model"]


@dataclass(frozen=True)
class Uploads:
    """The `runs:/…` URIs of labelled tweets, of the same tweets with wrong labels, and of a model."""

    tweets: str
    wrong_labels: str
    model: str


@dataclass(frozen=True)
class TrainedModel:
    """A training in the background."""

    _uploads: "Future[Uploads]"

    @classmethod
    @contextmanager
    def in_background(cls, installation: Installation, folder: Path) -> Iterator["TrainedModel"]:
        """Start to train and upload; wait for the end when the context ends."""
        with ThreadPoolExecutor(1) as executor:
            yield cls(executor.submit(_train_and_upload, installation, folder))

    def uploads(self) -> Uploads:
        """Wait for the uploads, or raise the error that ended the training."""
        return self._uploads.result(timeout=600)


def _train_and_upload(installation: Installation, folder: Path) -> Uploads:
    tweets = write_data(folder / "tweets", train=1_600, val=200)
    wrong_labels = Path(shutil.copytree(tweets, folder / "wrong-labels"))
    labels = (tweets / "val_labels.txt").read_text().split()
    (wrong_labels / "val_labels.txt").write_text("".join(f"{(int(label) + 1) % 3}\n" for label in labels))
    base, model = write_base(folder / "base"), folder / "trained"
    # The streams need the processor more than the training does.
    files = [f"--data={tweets}", f"--base={base}", f"--out={model}"]
    figures = json.loads(run_command("nice", *_MODEL_COMMAND, "train", *files, *TRAINING, "--json").splitlines()[-1])
    assert figures["macro_recall"] > 0.98, f"the model has not learned the tweets: {figures}"
    password = installation.password("mlflow", "writer-password")
    login = {"MLFLOW_TRACKING_USERNAME": "writer", "MLFLOW_TRACKING_PASSWORD": password}
    with installation.port_forward("mlflow", 5000) as registry:
        uploads = [
            run_command(*_MODEL_COMMAND, "upload", str(path), "--registry", registry, env=os.environ | login).strip()
            for path in (tweets, wrong_labels, model)
        ]
    return Uploads(*uploads)
