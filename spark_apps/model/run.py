"""Runs in MLflow, written through a client of their own: no active run, no autologging, nothing global."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from spark_apps.model.dataset import DataVersion
from spark_apps.registry.connection import TrackingError, connect, experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)
# What a dataset's digest may hold of a hash.
_DIGEST = 36
# What MLflow takes in one request.
_MOST_METRICS = 1000


class Run:
    """One run. As a context it ends as FINISHED, FAILED or, by Ctrl-C, KILLED."""

    def __init__(self, uri: str, timeout: float, name: str, run_id: str | None = None) -> None:
        """Open the run `run_id` again, or begin one called `name`; `TrackingError` where MLflow does not answer."""
        try:
            self._client = connect(uri, timeout)
            if run_id is None:
                run_id = str(self._client.create_run(experiment(self._client), run_name=name).info.run_id)
            else:
                self._client.update_run(run_id, status="RUNNING")
        except ModuleNotFoundError:
            raise
        except Exception as error:  # MLflow lets through what its stores and its HTTP library raise
            raise TrackingError(f"MLflow at {uri} takes no run: {_first_line(error)}") from error
        self.id = run_id
        self._uri = uri
        self._waiting: list[Any] = []
        self._problem = False

    def params(self, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        self._send(params=[Param(name, str(value)) for name, value in values.items()])

    def data(self, versions: Iterable[DataVersion]) -> None:
        """Say which tweets were used, as datasets of the run: digest (the start of the hash), rows and whole hash."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(
                    name=f"{version.name}/{version.split}",
                    digest=version.sha256[:_DIGEST],
                    source_type="local",
                    source=version.name,
                    profile=json.dumps({"num_rows": version.rows, "sha256": version.sha256}),
                ),
                [InputTag("mlflow.data.context", version.split)],
            )
            for version in versions
        ]
        self._write(lambda: self._client.log_inputs(self.id, inputs))

    def figures(self, values: Mapping[str, float]) -> None:
        self.curves(values, 0)

    def curves(self, values: Mapping[str, float], step: int) -> None:
        """Add one point to each curve. What MLflow does not take now it is offered again with the next point."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(name, float(value), now, step) for name, value in values.items()]
        self._send_waiting()

    def pictures(self, pictures: Iterable[tuple[str, "Figure"]]) -> None:
        for name, picture in pictures:
            self._write(partial(self._client.log_figure, self.id, picture, name))

    def document(self, name: str, fields: dict[str, Any]) -> None:
        """Keep `fields` as a JSON file of the run."""
        self._write(lambda: self._client.log_dict(self.id, fields, name))

    def upload(self, folder: Path, name: str) -> str:
        """Keep the files of `folder` as artifacts of the run; return their URI, `runs:/<run>/<name>`.

        Unlike figures they are what the run is for: `TrackingError` where they are not taken.
        """
        try:
            self._client.log_artifacts(self.id, str(folder), artifact_path=name)
        except Exception as error:  # as above
            raise TrackingError(f"MLflow at {self._uri} does not take {folder}: {_first_line(error)}") from error
        return f"runs:/{self.id}/{name}"

    def _send_waiting(self) -> None:
        while self._waiting and self._send(metrics=self._waiting[:_MOST_METRICS]):
            del self._waiting[:_MOST_METRICS]

    def _send(self, **batch: Any) -> bool:
        return self._write(lambda: self._client.log_batch(self.id, **batch))

    def _write(self, write: Callable[[], object]) -> bool:
        """Do one write; hours of training are worth more than their record, so a failure is only told, once."""
        try:
            write()
        except ModuleNotFoundError:
            raise
        except Exception as error:  # as above
            if not self._problem:
                _log.warning("MLflow at %s does not take the run's record: %s", self._uri, _first_line(error))
            self._problem = True
            return False
        self._problem = False
        return True

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        status = "FINISHED" if kind is None else "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
        self._send_waiting()
        self._write(lambda: self._client.set_terminated(self.id, status))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
