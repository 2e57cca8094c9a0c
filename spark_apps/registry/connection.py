"""Connects to MLflow, and creates the experiment of the model."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spark_apps.errors import first_line
from spark_apps.scoring.description import ModelError
from spark_apps.settings import MODEL_NAME

# MLflow reads this variable at each request: the timeout is the same for all clients of a process.
_TIMEOUT_ENV = "MLFLOW_HTTP_REQUEST_TIMEOUT"
# Timeout of an upload in multiples of the timeout of other requests.
_UPLOAD_TIMEOUT_FACTOR = 24
# How MLflow and its HTTP library report that a server knows no such user, and that the user lacks a permission.
_UNKNOWN_USER = re.compile(r"error code 401\b|\b401 Client Error|^UNAUTHENTICATED\b")
_NO_PERMISSION = re.compile(r"\b403\b.*Permission denied|^PERMISSION_DENIED\b", re.DOTALL)
_PAGE = "docs/models.md#log-in-to-mlflow"


class TrackingError(ModelError):
    """MLflow does not answer, or refuses a run or its artifacts."""


def connect(uri: str, timeout: float) -> Any:
    """Return an MLflow client.

    Args:
        uri: URI of an MLflow server, or sqlite:///….
        timeout: seconds after which an HTTP request fails.
    """
    # With MLflow's defaults, a request to a stopped server blocks for minutes.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    os.environ[_TIMEOUT_ENV] = str(max(1, round(timeout)))
    # With a server, MLflow prints the URL of each run to stdout, which commands reserve for their result.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    # MLflow reads this one when it is imported, and otherwise sends usage statistics to its makers.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    # Hides the log of database migrations.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def upload_timeout() -> Iterator[None]:
    """Give the requests of the body more time: a server answers an upload once the file is in its store."""
    timeout = os.environ[_TIMEOUT_ENV]
    os.environ[_TIMEOUT_ENV] = str(int(timeout) * _UPLOAD_TIMEOUT_FACTOR)
    try:
        yield
    finally:
        os.environ[_TIMEOUT_ENV] = timeout


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


def reason(error: Exception) -> str:
    """Return why a request failed, with the remedy if the server has refused the user.

    Of other errors, return the start of the message: MLflow's errors may contain a whole HTML page.
    """
    text = str(error)
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    if _UNKNOWN_USER.search(text):
        problem = f"it does not accept the user {user} with this password" if user else "it requires a login"
        return f"{problem} (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD ({_PAGE})"
    if _NO_PERMISSION.search(text):
        return f"the user {user} may not do this (403): log in as a user who may, such as writer ({_PAGE})"
    return first_line(error)[:300]
