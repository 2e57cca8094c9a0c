"""The progress of one tweet through the lake, read without Spark."""

from datetime import datetime
from typing import Any

from spark_apps.lake.query import LakeQuery, Statement
from spark_apps.tables import GOLD_SENTIMENT, SILVER_TWEETS, Table

_TYPES = ("VARCHAR", "TIMESTAMP WITH TIME ZONE")
_SILVER = Statement("SELECT ingested_at FROM tweets WHERE id = $1 AND ingested_at >= $2", *_TYPES)
_GOLD = Statement(
    "SELECT scored_at, label, score FROM tweets WHERE id = $1 AND ingested_at >= $2 AND label IS NOT NULL",
    *_TYPES,
)


def journey(lake: str, id_: str, since: datetime) -> dict[str, datetime | str | float]:
    """Return the layers that the tweet `id_` has reached.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        id_: id of the tweet.
        since: lower bound of the tweet's `ingested_at`; it prunes the files to read.

    Returns:
        `silver` (the time of ingestion) once the tweet is in silver/tweets; `gold` (the time of scoring), `label` and
        `score` once the tweet is in gold/sentiment. Empty if the tweet is in neither table.

    Raises:
        LakeError: a table exists but is not readable.
    """
    reached: dict[str, datetime | str | float] = {}
    for row in _rows(lake, SILVER_TWEETS, _SILVER, id_, since):
        reached["silver"] = row["ingested_at"]
    for row in _rows(lake, GOLD_SENTIMENT, _GOLD, id_, since):
        reached |= {"gold": row["scored_at"], "label": str(row["label"]), "score": float(row["score"])}
    return reached


def _rows(lake: str, table: Table, statement: Statement, id_: str, since: datetime) -> list[dict[str, Any]]:
    """Run `statement` over `table`; return no rows if the table does not exist yet."""
    query = LakeQuery.open(lake, tweets=table)
    return query.rows(statement, id_, since) if query else []
