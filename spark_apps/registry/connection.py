"""Clients of an MLflow server or database, and the experiment of the project in it."""

import logging
import os
from pathlib import Path
from typing import Any

from spark_apps.scoring.description import ModelError
from spark_apps.settings import MODEL_NAME


class TrackingError(ModelError):
    """The tracking server cannot be written to."""


def connect(uri: str, timeout: float) -> Any:
    """Return a client of the MLflow at `uri`, a server's URI or sqlite:///…, that gives up after `timeout` seconds."""
    # MLflow reads these at each request; its own defaults block for minutes when a server is down.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, round(timeout)))
    # Where a server records runs, their addresses would stand on stdout, among what was asked for.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    from mlflow import MlflowClient

    # What it says of its migrations is no news here.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment(client: Any) -> str:
    """Return the id of the model's experiment, made where it is missing; beside a SQLite file lie its artifacts."""
    found = client.get_experiment_by_name(MODEL_NAME)
    if found is not None:
        return str(found.experiment_id)
    database = client.tracking_uri.removeprefix("sqlite:///")
    beside = None if database == client.tracking_uri else (Path(database).parent / "artifacts").absolute().as_uri()
    return str(client.create_experiment(MODEL_NAME, artifact_location=beside))
