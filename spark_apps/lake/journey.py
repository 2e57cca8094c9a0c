"""The progress of one tweet through the lake, read without Spark."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from deltalake import QueryBuilder

from spark_apps.lake.commits import open_table
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS, Table

_SILVER = "PREPARE tweet AS SELECT ingested_at FROM tweets WHERE id = $1 AND ingested_at >= $2"
_GOLD = "PREPARE tweet AS SELECT scored_at, label, score FROM tweets WHERE id = $1 AND ingested_at >= $2"


def journey(lake: str, id_: str, since: datetime) -> dict[str, datetime | str | float]:
    """Return the layers that the tweet `id_` has reached.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        id_: id of the tweet.
        since: lower bound of the tweet's `ingested_at`; it prunes the files to read.

    Returns:
        `silver` (the time of ingestion) once the tweet is in silver/tweets; `gold` (the time of scoring), `label` and
        `score` once it is in gold/sentiment. Empty where the tweet is in neither table.

    Raises:
        LakeError: a table exists but is not readable.
    """
    reached: dict[str, datetime | str | float] = {}
    for row in _execute(lake, SILVER_TWEETS, _SILVER, id_, since):
        reached["silver"] = row["ingested_at"]
    for row in _execute(lake, GOLD_SENTIMENT, _GOLD, id_, since):
        reached |= {"gold": row["scored_at"], "label": str(row["label"]), "score": float(row["score"])}
    return reached


def _execute(lake: str, table: Table, statement: str, id_: str, since: datetime) -> list[dict[str, Any]]:
    """Run a prepared statement over `table`; return no rows where the table does not exist yet."""
    delta = open_table(lake, table)
    if delta is None:
        return []
    query = QueryBuilder().register("tweets", delta)
    query.execute(statement)
    # DataFusion's EXECUTE takes literals only.
    escaped_id = id_.replace("'", "''")
    since_literal = f"TIMESTAMP '{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"
    rows: list[dict[str, Any]] = pa.table(query.execute(f"EXECUTE tweet ('{escaped_id}', {since_literal})")).to_pylist()
    return rows
