"""The columns that scoring adds match the table that Gold writes."""

from spark_apps.scoring.udf import ADDED_COLUMNS
from spark_apps.tables import GOLD_SENTIMENT


def test_scoring_adds_columns_with_the_types_of_gold_sentiment() -> None:
    stored = {name: type_ for name, type_ in ADDED_COLUMNS.items() if name not in ("cached", "milliseconds")}
    assert stored.items() <= {column.name: column.type for column in GOLD_SENTIMENT.columns}.items()
