"""Reads silver/quarantine without Spark: a summary by reason, and the newest rows of a reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from spark_apps.lake.query import LakeQuery, Statement
from spark_apps.lake.status import check_exists
from spark_apps.printable import printable
from spark_apps.tables import QUARANTINE, REASONS

# A document may have 64 MB, and the path of a file in an archive any length.
_MAX_CHARACTERS = 500
_BATCH_ROWS = 16
_TIME = "TIMESTAMP WITH TIME ZONE"
_SUMMARY = Statement(
    "SELECT reason, count(*) AS rows, max(ingested_at) AS newest, "
    "left(first_value(source_file ORDER BY ingested_at DESC), $1) AS file "
    "FROM quarantine GROUP BY reason ORDER BY rows DESC, reason",
    "INT",
)
_TIMES = Statement(
    "SELECT ingested_at FROM quarantine WHERE reason = $1 ORDER BY ingested_at DESC LIMIT $2", "VARCHAR", "INT"
)
# `left` alone returns a view of the whole text, which stays in memory.
_ROWS = Statement(
    "SELECT ingested_at, left(source_file, $4) AS file, left(detail, $4) AS detail, "
    "arrow_cast(left(raw, $4), 'Utf8') AS raw, character_length(raw) AS raw_characters "
    "FROM quarantine WHERE reason = $1 AND ingested_at >= $3 ORDER BY ingested_at DESC LIMIT $2",
    "VARCHAR",
    "INT",
    _TIME,
    "INT",
)


@dataclass(frozen=True)
class ReasonSummary:
    """The quarantined rows of one reason.

    Attributes:
        reason: reason of the rejection.
        explanation: explanation of the reason.
        rows: number of rows.
        newest: when Bronze read the newest row, UTC.
        file: file of the newest row.
    """

    reason: str
    explanation: str
    rows: int
    newest: datetime
    file: str

    def lines(self) -> Iterator[str]:
        yield f"{self.rows:,} × {printable(self.reason)}, {self.explanation}"
        yield f"    newest {self.newest:%Y-%m-%d %H:%M:%S} UTC, from {printable(self.file)}"


@dataclass(frozen=True)
class QuarantinedRow:
    """One quarantined row; the texts are shortened to 500 characters.

    Attributes:
        ingested_at: when Bronze read the document, UTC.
        file: URI of the landed file, with the path of a file in an archive.
        detail: explanation of the reason; None if the reason says all.
        raw: text of the rejected document or record; None if it is not text.
        raw_characters: length of the whole text; None without a text.
    """

    ingested_at: datetime
    file: str
    detail: str | None
    raw: str | None
    raw_characters: int | None

    def lines(self) -> Iterator[str]:
        yield f"{self.ingested_at:%Y-%m-%d %H:%M:%S} UTC, {printable(self.file)}"
        if self.detail:
            yield f"    detail: {printable(self.detail)}"
        if self.raw:
            yield f"    raw, {self.raw_characters:,} characters: {printable(self.raw)}"


def summarise(lake: str) -> list[ReasonSummary]:
    """Return a summary of each reason in the quarantine, the most frequent reason first.

    Args:
        lake: folder or s3a:// URI of the Delta tables.

    Raises:
        LakeError: the lake does not exist, or the table is not readable.
    """
    query = _open(lake)
    rows = query.rows(_SUMMARY, _MAX_CHARACTERS) if query else []
    return [ReasonSummary(explanation=explain(row["reason"]), **row) for row in rows]


def newest_rows(lake: str, reason: str, limit: int) -> list[QuarantinedRow]:
    """Return the newest rows with a reason, the newest first.

    Args:
        lake: folder or s3a:// URI of the Delta tables.
        reason: reason of the rejection.
        limit: maximum number of rows.

    Raises:
        LakeError: the lake does not exist, or the table is not readable.
    """
    query = _open(lake)
    times = query.rows(_TIMES, reason, limit) if query else []
    if query is None or not times:
        return []
    # Only now read the large texts, those of the newest rows, a few at a time.
    query.set_batch_rows(_BATCH_ROWS)
    rows = query.rows(_ROWS, reason, limit, times[-1]["ingested_at"], _MAX_CHARACTERS)
    return [QuarantinedRow(**row) for row in rows]


def explain(reason: str) -> str:
    """Return the explanation of a quarantine reason."""
    return REASONS.get(reason, "a reason of another version")


def _open(lake: str) -> LakeQuery | None:
    """Open the quarantine; return None if Silver has not created the table yet."""
    query = LakeQuery.open(lake, quarantine=QUARANTINE)
    if query is None:
        check_exists(lake)
    return query
