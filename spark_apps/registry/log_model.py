"""Logs a model folder to MLflow as a pyfunc model, and registers it."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from spark_apps.scoring.description import Description
from spark_apps.settings import MODEL_NAME


def log_model(experiment: str, description: Description, folder: Path) -> str:
    """Log the model in `folder` to a new MLflow run, register it, and return its version.

    Uses MLflow's global tracking and registry URIs, because `mlflow.pyfunc.log_model` takes no client.

    Args:
        experiment: id of the experiment for the run.
        description: description of the model; it lists the files to log.
        folder: folder of the model.
    """
    import mlflow

    mlflow.set_experiment(experiment_id=experiment)
    with _quiet(), tempfile.TemporaryDirectory() as scratch, mlflow.start_run(run_name="register"):
        files = Path(scratch) / "model"
        files.mkdir()
        for file in description.files():
            shutil.copyfile(folder / file, files / file)
        logged = mlflow.pyfunc.log_model(
            name="model",
            # "Models from code": MLflow stores a copy of this file with the version, and runs the copy to load the
            # model.
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"model": str(files)},
            signature=_signature(),
            pip_requirements=[f"{name}=={installed(name)}" for name in ("onnxruntime", "tokenizers", "numpy")],
            registered_model_name=MODEL_NAME,
        )
    return str(logged.registered_model_version)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide MLflow's log and warnings; errors are still raised."""
    from mlflow.utils.logging_utils import disable_logging, enable_logging

    disable_logging()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        enable_logging()


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    columns = ["label", "negative", "neutral", "positive"]
    types = [DataType.string, DataType.float, DataType.float, DataType.float]
    return ModelSignature(
        Schema([ColSpec(DataType.string, "text")]),
        Schema([ColSpec(type_, name) for type_, name in zip(types, columns, strict=True)]),
    )
