"""Connects to MLflow, and creates the experiment of the model."""

import logging
import os
from pathlib import Path
from typing import Any

from spark_apps.scoring.description import ModelError
from spark_apps.settings import MODEL_NAME


class TrackingError(ModelError):
    """MLflow does not answer, or refuses a run or its artifacts."""


def connect(uri: str, timeout: float) -> Any:
    """Return an MLflow client.

    Args:
        uri: URI of an MLflow server, or sqlite:///….
        timeout: seconds after which an HTTP request fails.
    """
    # MLflow reads these variables at each request. With its defaults, a request to a stopped server blocks for minutes.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, round(timeout)))
    # With a server, MLflow prints the URL of each run to stdout, which commands reserve for their result.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    # MLflow reads this one when it is imported, and otherwise sends usage statistics to its makers.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    # Hides the log of database migrations.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def ensure_experiment(client: Any) -> str:
    """Return the id of the model's experiment; create the experiment if it does not exist.

    The artifacts of a SQLite database are stored in a folder beside the database file.
    """
    experiment = client.get_experiment_by_name(MODEL_NAME)
    if experiment is not None:
        return str(experiment.experiment_id)
    database = client.tracking_uri.removeprefix("sqlite:///")
    artifacts = None if database == client.tracking_uri else (Path(database).parent / "artifacts").absolute().as_uri()
    return str(client.create_experiment(MODEL_NAME, artifact_location=artifacts))
