"""The pyfunc model of a version. MLflow stores a copy of this file with each version, and runs the copy to load it.

A version keeps loading only as long as the modules imported here keep their names.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from spark_apps.labels import LABELS
from spark_apps.scoring.scorer import Scorer


class SentimentModel(PythonModel):
    """Predicts the columns label, negative, neutral and positive from the column `text`, one row per text."""

    def load_context(self, context: Any) -> None:
        self._scorer = Scorer(Path(context.artifacts["model"]), threads=1)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        probabilities = self._scorer.score(model_input["text"].tolist())
        columns = {label: probabilities[:, column] for column, label in enumerate(LABELS)}
        return pd.DataFrame({"label": [LABELS[best] for best in probabilities.argmax(axis=1)], **columns})


set_model(SentimentModel())
