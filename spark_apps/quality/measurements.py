"""Figures of a lake for a window of time, by when rows were written: read by deltalake and DataFusion, without Spark.

Tables are summed by their engine and counts are taken from the notes in their logs, so memory stays flat. The queries
are constants with parameters; what is given to them is text, and quoted.
"""

from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import pyarrow as pa
from deltalake import QueryBuilder
from deltalake.exceptions import DeltaError

from spark_apps.lake.commits import Commit, LakeError, batch_commits, open_table
from spark_apps.quality.profile import Profile
from spark_apps.tables import GOLD_SENTIMENT, QUARANTINE, SILVER_TWEETS, Table

_RESCORED_AT = "rescored_at"
# A rescore changes labels and version of rows that were written before: they are not what a version did in the stream.
_AS_SCORED = "CREATE VIEW scored AS SELECT * FROM gold WHERE rescored_at IS NULL"
# A table that was made before there were rescores.
_ALL = "CREATE VIEW scored AS SELECT * FROM gold"

_COUNT = "PREPARE found (TIMESTAMP WITH TIME ZONE) AS SELECT count(*) AS tweets FROM gold WHERE scored_at >= $1"

# A column for each of FIGURES. What is no language by its form counts as an unknown one: whoever lands tweets may write
# there what he likes.
_PROFILES = r"""
PREPARE found (TIMESTAMP WITH TIME ZONE, VARCHAR, BIGINT) AS
WITH texts AS (
  SELECT CASE WHEN regexp_like(lang, '^[A-Za-z0-9-]{1,35}$') THEN lang ELSE 'und' END AS lang,
         label, full_text, character_length(full_text) AS size
  FROM scored WHERE scored_at >= $1 AND model_version = $2
)
SELECT lang, count(*) AS tweets,
  make_array(count(*) FILTER (WHERE label = 'negative'), count(*) FILTER (WHERE label = 'neutral'),
             count(*) FILTER (WHERE label = 'positive')) AS label,
  make_array(count(*) FILTER (WHERE size <= 20), count(*) FILTER (WHERE size BETWEEN 21 AND 40),
             count(*) FILTER (WHERE size BETWEEN 41 AND 60), count(*) FILTER (WHERE size BETWEEN 61 AND 80),
             count(*) FILTER (WHERE size BETWEEN 81 AND 100), count(*) FILTER (WHERE size BETWEEN 101 AND 120),
             count(*) FILTER (WHERE size BETWEEN 121 AND 140), count(*) FILTER (WHERE size BETWEEN 141 AND 200),
             count(*) FILTER (WHERE size BETWEEN 201 AND 280), count(*) FILTER (WHERE size > 280)) AS length,
  make_array(count(*) FILTER (WHERE full_text LIKE '%http://%' OR full_text LIKE '%https://%'),
             count(*) FILTER (WHERE NOT (full_text LIKE '%http://%' OR full_text LIKE '%https://%'))) AS link,
  make_array(count(*) FILTER (WHERE regexp_like(full_text, '(^|\W)@\w')),
             count(*) FILTER (WHERE NOT regexp_like(full_text, '(^|\W)@\w'))) AS mention,
  make_array(count(*) FILTER (WHERE regexp_like(full_text, '(^|\W)[#＃]\w')),
             count(*) FILTER (WHERE NOT regexp_like(full_text, '(^|\W)[#＃]\w'))) AS hashtag,
  make_array(count(*) FILTER (WHERE octet_length(full_text) > size),
             count(*) FILTER (WHERE octet_length(full_text) = size)) AS non_ascii
FROM texts GROUP BY lang HAVING count(*) >= $3 ORDER BY tweets DESC, lang
"""


def waits_since(lake: str, before: Table, after: Table, read: str) -> datetime | None:
    """Return when the oldest row of `before` was written that `after` has yet to read; None where none waits.

    `read` is what `after` calls the rows that it has read in its notes. A quiet source is no fault: then nothing waits.
    """
    reader = open_table(lake, after)
    last = next(batch_commits(reader), None) if reader else None
    done = last.metadata.totals.get(read, 0) if last else 0
    waiting = takewhile(lambda commit: commit.metadata.totals.get("rows", 0) > done, _notes(lake, before))
    oldest = deque(waiting, maxlen=1)
    return oldest[0].at if oldest else None


def scored(lake: str, since: datetime) -> int:
    """Return how many tweets were scored since then."""
    found = _query(lake, (_COUNT,), _instant(since))
    return int(found[0]["tweets"]) if found else 0


def records(lake: str, since: datetime) -> tuple[int, Counter[str]]:
    """Return how many records Silver accepted since then, duplicates included, and by reason how many it rejected."""
    accepted = sum(
        commit.metadata.counts.get("rows", 0) + commit.metadata.counts.get("duplicates", 0)
        for commit in _within(lake, SILVER_TWEETS, since)
    )
    rejected: Counter[str] = Counter()
    for commit in _within(lake, QUARANTINE, since):
        rejected.update(commit.metadata.counts)
    return accepted, rejected


def profiles(lake: str, since: datetime, version: str, least: int) -> dict[str, Profile]:
    """Return by language what the tweets are like that `version` scored since then, where there are at least so many.

    The languages with the most tweets come first.
    """
    delta = open_table(lake, GOLD_SENTIMENT)
    known = {field.name for field in delta.schema().fields} if delta else set()
    view = _AS_SCORED if _RESCORED_AT in known else _ALL
    found = _query(lake, (view, _PROFILES), _instant(since), _text(version), str(int(least)))
    return {row["lang"]: Profile.of(row) for row in found}


def _within(lake: str, table: Table, since: datetime) -> Iterator[Commit]:
    return takewhile(lambda commit: commit.at >= since, _notes(lake, table))


def _notes(lake: str, table: Table) -> Iterator[Commit]:
    delta = open_table(lake, table)
    return batch_commits(delta) if delta else iter(())


def _query(lake: str, statements: tuple[str, ...], *parameters: str) -> list[dict[str, Any]]:
    """Prepare and run the last of `statements` over Gold; no rows where it is not there yet."""
    delta = open_table(lake, GOLD_SENTIMENT)
    if delta is None:
        return []
    query = QueryBuilder().register("gold", delta)
    try:
        for statement in statements:
            query.execute(statement)
        found: list[dict[str, Any]] = pa.table(query.execute(f"EXECUTE found ({', '.join(parameters)})")).to_pylist()
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise LakeError(f"{GOLD_SENTIMENT.path(lake)} cannot be read: {str(error).splitlines()[0]}") from error
    return found


def _instant(time: datetime) -> str:
    return f"TIMESTAMP '{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
