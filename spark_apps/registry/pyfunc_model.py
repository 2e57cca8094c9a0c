"""The registered model as MLflow's pyfunc flavour loads it: texts in, labels and probabilities out."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from spark_apps.labels import LABELS
from spark_apps.scoring.scorer import Scorer


class SentimentModel(PythonModel):
    """`predict` takes a column `text` and gives label, negative, neutral and positive, one row a text."""

    def load_context(self, context: Any) -> None:
        self._scorer = Scorer(Path(context.artifacts["model"]), threads=1)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        found = self._scorer.score(model_input["text"].tolist())
        columns = {label: found[:, column] for column, label in enumerate(LABELS)}
        return pd.DataFrame({"label": [LABELS[best] for best in found.argmax(axis=1)], **columns})


set_model(SentimentModel())
