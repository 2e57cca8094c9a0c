"""Score tweets in micro-batches and in a rescore; a poison tweet, which ends its task, gets no label."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.scoring.description import ModelVersion
from spark_apps.scoring.udf import ADDED_COLUMNS, add_sentiment, worker_functions
from spark_apps.streaming.poison import PoisonRow, find_poison_rows, to_frame

_KEY = "id"


def score_tweets(tweets: DataFrame, model: ModelVersion, poison: Sequence[PoisonRow] = (), rows: int = 0) -> DataFrame:
    """Add ADDED_COLUMNS to `tweets`; the label of a poison row is null.

    Args:
        tweets: rows with the columns `id` and `full_text`.
        model: model that scores them.
        poison: rows that end their task.
        rows: approximate number of rows, as for `add_sentiment`.
    """
    if not poison:
        return add_sentiment(tweets, model, rows)
    ids = to_frame(tweets.sparkSession, poison, f"{_KEY} STRING")
    scored = add_sentiment(tweets.join(ids, _KEY, "left_anti"), model, rows)
    values = dict.fromkeys(ADDED_COLUMNS, F.lit(None)) | {
        "model": F.lit(model.name),
        "model_version": F.lit(model.version),
        "scored_at": F.current_timestamp(),
        "cached": F.lit(False),
    }
    columns = {name: values[name].cast(type_) for name, type_ in ADDED_COLUMNS.items()}
    return scored.unionByName(tweets.join(ids, _KEY, "left_semi").withColumns(columns))


def find_poison_tweets(tweets: DataFrame, model: ModelVersion) -> list[PoisonRow]:
    """Return the poison rows among `tweets`: rows with a text that ends a task of `score_tweets`."""
    score, load_model = worker_functions(tweets.sparkSession, model)
    return find_poison_rows(tweets.select(_KEY, "full_text"), [_KEY], score, load_model)
