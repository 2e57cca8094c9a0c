"""Logs to an MLflow run through a client, without an active run, autologging or other global state."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from spark_apps.model.dataset import DataVersion
from spark_apps.registry.connection import TrackingError, connect, ensure_experiment, reason, upload_timeout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)
# Maximum length of a dataset's digest in MLflow.
_DIGEST_LENGTH = 36
# Maximum number of metrics in a request to MLflow.
_BATCH_METRICS = 1000


class MlflowRun:
    """One MLflow run. On exit from the context, it ends as FINISHED, as FAILED or, after Ctrl-C, as KILLED.

    If MLflow refuses a write, the methods do not raise, because an outage must not end a training run. The first
    failure of an outage is logged as a warning, and metrics are sent again later.
    """

    def __init__(self, uri: str, timeout: float, name: str, run_id: str | None = None) -> None:
        """Resume the run `run_id`, or create a run called `name`.

        Args:
            uri: URI of an MLflow server, or sqlite:///….
            timeout: seconds after which a request fails.
            name: name of a new run.
            run_id: id of the run to resume; None to create a run.

        Raises:
            TrackingError: MLflow does not answer.
        """
        try:
            self._client = connect(uri, timeout)
            if run_id is None:
                run_id = str(self._client.create_run(ensure_experiment(self._client), run_name=name).info.run_id)
            else:
                self._client.update_run(run_id, status="RUNNING")
        except ModuleNotFoundError:
            raise
        except Exception as error:  # MLflow passes on the exceptions of its stores and of its HTTP library
            raise TrackingError(f"MLflow at {uri} does not accept a run: {reason(error)}") from error
        self.id = run_id
        self._uri = uri
        self._unsent: list[Any] = []
        self._failing = False

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Log parameters of the run, as text."""
        from mlflow.entities import Param

        self._send(params=[Param(name, str(value)) for name, value in values.items()])

    def log_datasets(self, versions: Iterable[DataVersion]) -> None:
        """Log splits as datasets of the run, with the number of rows and the SHA-256, which also gives the digest."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(
                    name=f"{version.name}/{version.split}",
                    digest=version.sha256[:_DIGEST_LENGTH],
                    source_type="local",
                    source=version.name,
                    profile=json.dumps({"num_rows": version.rows, "sha256": version.sha256}),
                ),
                [InputTag("mlflow.data.context", version.split)],
            )
            for version in versions
        ]
        self._write(lambda: self._client.log_inputs(self.id, inputs))

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log metrics at a step; metrics that MLflow refuses are sent again with the next ones."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._unsent += [Metric(name, float(value), now, step) for name, value in values.items()]
        self._send_metrics()

    def log_plots(self, plots: Iterable[tuple[str, "Figure"]]) -> None:
        """Log plots, given with their file names, as artifacts."""
        for name, plot in plots:
            self._write(partial(self._client.log_figure, self.id, plot, name))

    def log_json(self, name: str, fields: dict[str, Any]) -> None:
        """Log `fields` as a JSON artifact."""
        self._write(lambda: self._client.log_dict(self.id, fields, name))

    def upload(self, folder: Path, name: str) -> str:
        """Log the files of `folder` as artifacts; return their URI, `runs:/<run>/<name>`.

        Raises:
            TrackingError: MLflow refuses the files. Unlike other writes, an upload is the purpose of its run.
        """
        try:
            with upload_timeout():
                self._client.log_artifacts(self.id, str(folder), artifact_path=name)
        except Exception as error:  # see `__init__`
            raise TrackingError(f"MLflow at {self._uri} does not accept {folder}: {reason(error)}") from error
        return f"runs:/{self.id}/{name}"

    def _send_metrics(self) -> None:
        while self._unsent and self._send(metrics=self._unsent[:_BATCH_METRICS]):
            del self._unsent[:_BATCH_METRICS]

    def _send(self, **batch: Any) -> bool:
        return self._write(lambda: self._client.log_batch(self.id, **batch))

    def _write(self, write: Callable[[], object]) -> bool:
        """Run one write and return whether it succeeded; on failure only log a warning, the first of an outage."""
        try:
            write()
        except ModuleNotFoundError:
            raise
        except Exception as error:  # see `__init__`
            if not self._failing:
                _log.warning("MLflow at %s refuses data; the run continues without it: %s", self._uri, reason(error))
            self._failing = True
            return False
        self._failing = False
        return True

    def __enter__(self) -> "MlflowRun":
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        status = "FINISHED" if kind is None else "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
        self._send_metrics()
        self._write(lambda: self._client.set_terminated(self.id, status))
